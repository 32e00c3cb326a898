"""What a notebook of this course must look like. Each rule returns what is wrong, as lines a writer
can act on.
"""

import ast
import re

MAX_LINES = 15
OPENING = ["What you will learn", "Prerequisites", "Time"]
CLOSING = ["Exercises", "Quiz", "What this does not protect against", "Summary", "References"]
RECAP = "**So far.**"  # and three lines of a list, at the end of the first cell
BEGINS = "raise NotImplementedError"  # what an exercise's function holds until the reader answers
SHARED = 6  # nodes of an expression that a check may not have in common with its solution
WITHOUT_WIDGET = {"encrypted-inference"}
GUIDES = {"a-tour", "a-case-study", "bring-your-own-images", "capstone", "the-map", "upsampling"}
TRIED_GUIDES = {"a-tour", "a-case-study"}  # guides with exercises and compared cells
COMPARED = "nbval-check-output"
DRAWING = {
    "imshow",
    "subplots",
    "figure",
    "scatter",
    "hist",
    "bar",
    "barh",
    "plot",
    "show",
    "display_image",
    "Image",
}


def source(cell: dict) -> str:
    """Return a cell's text, which a notebook stores as a string or as lines."""
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    """Return a cell's tags."""
    return cell.get("metadata", {}).get("tags", [])


def code_cells(notebook: dict) -> list[dict]:
    """Return the code cells in their order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def headings(notebook: dict) -> list[tuple[int, str, str]]:
    """Return (level, text, what follows until the next heading) of every heading outside fenced
    code.
    """
    found: list[tuple[int, str]] = []
    below: list[str] = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "markdown":
            if found:
                below[-1] += "\n" + source(cell)
            continue
        fenced = False
        for line in source(cell).splitlines():
            fenced ^= line.lstrip().startswith("```")
            match = None if fenced else re.match(r"(#{1,6})\s+(.+?)\s*$", line)
            if match:
                found.append((len(match[1]), match[2]))
                below.append("")
            elif found:
                below[-1] += "\n" + line
    return [(*heading, text) for heading, text in zip(found, below, strict=True)]


def cell_faults(notebook: dict, setup: str) -> list[str]:
    """Return what is wrong with the cells of any notebook: first code cell, length, alternative
    text, Markdown.
    """
    code, faults = code_cells(notebook), []
    if not code or source(code[0]).strip() != setup.strip():
        faults.append(
            "the first code cell is not book/setup_cell.py; `make set-repository` stamps it in"
        )
    for cell in code[1:]:
        lines = [line for line in source(cell).splitlines() if line.strip()]
        start = lines[0][:60] if lines else "(empty)"
        if len(lines) > MAX_LINES:
            faults.append(
                f"the cell {start!r} has {len(lines)} lines of at most {MAX_LINES}; move some to "
                "the library"
            )
        if draws(source(cell)) and not alt(cell):
            faults.append(
                f"the cell {start!r} draws and has no alternative text in its metadata (mystnb, "
                "image, alt)"
            )
        if COMPARED in tags(cell) and not cell.get("outputs"):
            faults.append(
                f"the cell {start!r} has no output to compare; `python book/notebooks.py record "
                "NAME`"
            )
    for cell in notebook["cells"]:
        found = re.search(r"^\s*(:::|```\{).*|\{[a-z:]+\}`", source(cell), re.M)
        if found and cell["cell_type"] == "markdown":
            faults.append(
                f"{found[0]!r} is MyST, which Colab and GitHub show raw; use plain Markdown"
            )
    return faults


def alt(cell: dict) -> str:
    """Return the alternative text of a cell's figures, "" where there is none."""
    return str(cell.get("metadata", {}).get("mystnb", {}).get("image", {}).get("alt", "")).strip()


def draws(code: str) -> bool:
    """Say whether a cell draws at its top level; a figure drawn inside a function of the cell is
    the stepper's.
    """
    try:
        tree = ast.parse(re.sub(r"^\s*[%!].*$", "", code, flags=re.M))
    except SyntaxError:
        return False
    outside = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    calls = [node.func for top in outside for node in ast.walk(top) if isinstance(node, ast.Call)]
    names = {
        func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls
    }
    return bool(names & DRAWING) and "Stepper" not in names


def chapter_faults(notebook: dict, name: str) -> list[str]:
    """Return where a chapter, named as its file, leaves the fixed skeleton."""
    found, faults = headings(notebook), []
    if not found or found[0][0] != 1 or found[0][1][0].isdigit():
        faults.append("it does not begin with the heading '# Title', without a number")
    elif source(notebook["cells"][0]).partition(RECAP)[0].strip() == f"# {found[0][1]}":
        faults.append("the first cell has a title and no paragraph that makes one read on")
    if sum(level == 1 for level, _, _ in found) > 1:
        faults.append("it has more than one heading of level 1")
    second = [i for i, (level, _, _) in enumerate(found) if level == 2]
    names = [found[i][1] for i in second]
    free = names[len(OPENING) : len(names) - len(CLOSING)]
    if (
        names[: len(OPENING)] != OPENING
        or names[len(names) - len(CLOSING) :] != CLOSING
        or not 2 <= len(free) <= 6
    ):
        faults.append(
            f"its level-2 headings are {names}; they must be {OPENING}, 2 to 6 free ones, {CLOSING}"
        )
        return faults
    ends = [*second[1:], len(found)]
    body = {
        found[i][1]: "".join(text for _, _, text in found[i:end])
        for i, end in zip(second, ends, strict=True)
    }
    for title in free:
        faults += [f"'{title}' {fault}" for fault in _section_faults(body[title])]
    recap = source(notebook["cells"][0]).partition(RECAP)[2]
    if not re.fullmatch(r"\n\n(- [^\n]+\n?){3}", recap):
        faults.append(f"its first cell does not end with {RECAP} and a list of three lines")
    if not re.search(r"^\s*\|.*\|.*\|.*\|\s*\n\s*\|[\s:|-]+\|", body["Prerequisites"], re.M):
        faults.append("Prerequisites has no table of concept, how important, where to get it")
    if not 3 <= body["Quiz"].count("<details>") <= 6:
        faults.append(
            f"the quiz has {body['Quiz'].count('<details>')} answers in <details>, not 3 to 5"
        )
    if not re.search(r"doi\.org/|arxiv\.org/|DOI|arXiv", body["References"]):
        faults.append("References names no DOI and no arXiv number")
    return (
        faults
        + exercise_faults(notebook)
        + _task_faults(notebook)
        + _compared_faults(notebook, name)
    )


def _section_faults(text: str) -> list[str]:
    """Return what is wrong with the text of one section of a chapter's own."""
    faults = []
    if not re.match(r"\s*\*(Core|Extra)\.\*\s*$", text, re.M):
        faults.append("does not say below its heading whether it is *Core.* or *Extra.*")
    questions = re.findall(r"^\s*\*\*Question\.\*\*[^\n]*\n*(.*)", text, re.M)
    if not questions:
        faults.append("has no paragraph that starts with **Question.**")
    if not all(below.startswith("<details><summary>Answer</summary>") for below in questions):
        faults.append(
            "has a **Question.** whose answer does not follow, folded: <details><summary>Answer"
            "</summary>"
        )
    return faults


def common(first: str, second: str) -> str:
    """Return the largest expression, at least `SHARED` nodes, that two pieces of code share but for
    the names of variables; "" where there is none. Names of called functions count.
    """
    here, there = _expressions(first), _expressions(second)
    both = [here[key] for key in here.keys() & there.keys() if here[key][0] >= SHARED]
    return max(both, default=(0, ""))[1]


def _functions(code: str) -> str:
    return "\n".join(
        ast.unparse(node) for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)
    )


def _expressions(code: str) -> dict[str, tuple[int, str]]:
    """Return each expression with variables blanked -> (its nodes, its text)."""
    tree, found = ast.parse(code), {}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
    texts = [ast.unparse(node) for node in nodes]
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Name) and id(node) not in called:
            node.id = "_"
    for node, text in zip(nodes, texts, strict=True):
        size = sum(isinstance(part, ast.expr) for part in ast.walk(node))
        found[ast.dump(node)] = (size, text)
    return found


def _task_faults(notebook: dict) -> list[str]:
    """Return what is wrong with what an exercise asks: how hard, how it begins, what its check
    gives away.
    """
    faults, text, cells = [], "", {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text += source(cell)
        for kind in ("exercise", "check", "solution"):
            if kind in tags(cell):
                cells[cell["metadata"].get("exercise"), kind] = source(cell)
    for (name, kind), code in cells.items():
        if kind == "exercise" and BEGINS not in code:
            faults.append(f"the function of {name} does not begin as '{BEGINS}  # your lines'")
        if kind == "exercise" and not re.search(rf"\*\*{name} \((core|extra)\)\.", text):
            faults.append(f"'**{name} (core).**' or '(extra)' stands nowhere in the text")
        told = (
            common(code, _functions(cells.get((name, "solution"), ""))) if kind == "check" else ""
        )
        if told:
            faults.append(f"the check of {name} holds a part of its solution: {told}")
    return faults


def guide_faults(notebook: dict) -> list[str]:
    """Return what is wrong with the exercises of a guide that has some, and with its comparisons:
    its form is free, and two exercises and two compared cells are the least.
    """
    compared = sum(COMPARED in tags(cell) for cell in code_cells(notebook))
    few = [f"{compared} cells are compared ({COMPARED}), and 2 is the least"] * (compared < 2)
    return exercise_faults(notebook, least=2) + _task_faults(notebook) + few


def exercise_faults(notebook: dict, least: int = 3) -> list[str]:
    """Return what is wrong with the exercises: each is three cells in a row, asked, checked and
    solved, and there are at least `least`.
    """
    parts = [
        (cell["metadata"].get("exercise"), kind, cell)
        for cell in code_cells(notebook)
        for kind in ("exercise", "check", "solution")
        if kind in tags(cell)
    ]
    names = list(dict.fromkeys(name for name, _, _ in parts))
    faults = (
        [] if len(names) >= least else [f"it has {len(names)} exercises, and {least} is the least"]
    )
    wanted = [
        (f"Exercise {i}", kind)
        for i in range(1, len(names) + 1)
        for kind in ("exercise", "check", "solution")
    ]
    if [(name, kind) for name, kind, _ in parts] != wanted:
        faults.append(
            f"its exercise cells are {[(name, kind) for name, kind, _ in parts]}, not {wanted}"
        )
    for name, kind, cell in parts:
        if kind == "solution":
            if not source(cell).startswith(f"# @title Solution: {name}"):
                faults.append(
                    f"the solution of {name} does not begin with '# @title Solution: {name}'"
                )
            if cell["metadata"].get("cellView") != "form" or "hide-input" not in tags(cell):
                faults.append(
                    f"the solution of {name} is not hidden: cellView 'form', tag hide-input"
                )
        if COMPARED in tags(cell):
            faults.append(f"a cell of {name} is compared; its test runs it with several answers")
    return faults


def _compared_faults(notebook: dict, name: str) -> list[str]:
    faults, code = [], code_cells(notebook)
    compared = sum(COMPARED in tags(cell) for cell in code)
    if not 4 <= compared <= 12:
        faults.append(f"{compared} cells are compared ({COMPARED}), and about five are wanted")
    if name not in WITHOUT_WIDGET and not any("Stepper(" in source(cell) for cell in code):
        faults.append("it has no Stepper")
    return faults
