"""Three paths through the course: which pages each of them takes, and how long, at the speed at
which `pace` measures every chapter.
"""

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pace
from course import ROOT, parts
from IPython.display import HTML

LEAST = re.compile(r"^#\s+(.+?)\s*$", re.M)


@dataclass(frozen=True)
class Walk:
    """One path: its `name`, for whom and to which end (`text`), its `pages` in their order, and
    whether code is read (`code`) and exercises are done (`exercises`).
    """

    name: str
    text: str
    pages: tuple[str, ...]
    code: bool = False
    exercises: bool = False

    def minutes(self) -> float:
        """Return how long the path takes."""
        return sum(self.takes(page) for page in self.pages)

    def takes(self, page: str) -> float:
        """Return how many minutes one page takes on this path."""
        words, lines, exercises = counted(page)
        return (
            words / pace.WORDS_A_MINUTE
            + self.code * lines / pace.LINES_A_MINUTE
            + self.exercises * pace.MINUTES_AN_EXERCISE * exercises
        )


def file_of(page: str) -> Path:
    """Return the source of a page. Raises `FileNotFoundError` for one that there is not."""
    for end in (".ipynb", ".md"):
        if (ROOT / f"{page}{end}").is_file():
            return ROOT / f"{page}{end}"
    raise FileNotFoundError(f"{ROOT / page}: no such page; correct the path in book/paths.py")


def counted(page: str) -> tuple[int, int, int]:
    """Return a page's words, lines of code and core exercises, counted as `pace` counts them."""
    path = file_of(page)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return pace.words({"cells": [{"cell_type": "markdown", "source": text}]}), 0, 0
    notebook = json.loads(text)
    return pace.words(notebook), pace.lines(notebook), pace.exercises(notebook)


def title_of(page: str) -> str:
    """Return a page's heading."""
    path = file_of(page)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    found = LEAST.search(text)
    return found[1] if found else page


def walks() -> tuple[Walk, ...]:
    """Return the three paths."""
    start, *rest = parts()
    openings = tuple(part.page for part in rest)
    chapters = {part.number: (part.page, *part.pages) for part in rest}
    first = (start.page, *start.pages)
    read = ("the-comparison", "the-attackers-view", "a-case-study", "what-the-law-asks")
    return (
        Walk(
            "Decide",
            "You have to say whether pictures may leave. No code. At the end you can answer the "
            "four questions for your own pictures, read an attack report, and write a decision "
            "down.",
            (*first, *openings[:-1], *(f"chapters/{name}" for name in read), openings[-1]),
        ),
        Walk(
            "Learn",
            "You want to know why. Parts 1 to 4 with their exercises. At the end you have rebuilt "
            "the study and can say what its table does not show.",
            first + chapters[1] + chapters[2] + chapters[3] + chapters[4],
            code=True,
            exercises=True,
        ),
        Walk(
            "Build",
            "You want to make a release, or a protocol. All of Learn, then parts 5 and 6. At the "
            "end your own method stands before a held attacker.",
            first + sum(chapters.values(), ()),
            code=True,
            exercises=True,
        ),
    )


def hours(minutes: float) -> str:
    """Return a time in words, rounded to half an hour."""
    halves = round(minutes / 30)
    whole = f"{halves // 2}" if halves > 1 else ""
    return f"{whole}{'½' if halves % 2 else ''} hour{'s' if halves > 2 else ''}"


def table() -> HTML:
    """Return the three paths as a table: for whom, how long, and their pages, linked."""
    rows = []
    for walk in walks():
        links = ", ".join(
            f'<a href="{html.escape(page.removeprefix("chapters/"))}.html">'
            f"{html.escape(title_of(page))}</a>"
            for page in walk.pages
        )
        words = sum(counted(page)[0] for page in walk.pages)
        rows.append(
            f'<tr><th scope="row"><strong>{walk.name}</strong></th>'
            f'<td style="white-space:normal;text-align:left">{html.escape(walk.text)}'
            f"<details><summary>{len(walk.pages)} pages</summary>{links}</details></td>"
            f"<td>{hours(walk.minutes())}</td><td>{words:,}</td></tr>"
        )
    return HTML(
        '<div class="scroll" tabindex="0" role="region" aria-label="three paths">'
        '<table class="numbers"><thead><tr><th scope="col">path</th><th scope="col">for whom, to '
        'which end</th><th scope="col">time</th><th scope="col">words</th></tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table></div>"
    )
