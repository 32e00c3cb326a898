"""The API page, made from the docstrings: its two directives, and what makes plain text safe there.

`{offered}` lists what `import medpriv_lib as mp` offers, `{room} core` what is public in a room.
Docstrings of this library are plain text with code in backticks and indented examples, and its
signatures hold shapes as strings, so both are taken from the source as they are written.
"""

import ast
import dataclasses
import html
import importlib
import inspect
import pkgutil
import re
import textwrap
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MEMBERS = ["   :members:", "   :member-order: bysource", ""]


class Offered(SphinxDirective):
    """List what the package itself offers, each under the name by which it is used."""

    def run(self) -> list[nodes.Node]:
        """Return the entries in the order of the package's table."""
        import medpriv_lib

        lines = [".. py:currentmodule:: medpriv_lib", ""]
        for name in medpriv_lib.OFFERED:
            kind = "class" if inspect.isclass(getattr(medpriv_lib, name)) else "function"
            lines += [f".. auto{kind}:: medpriv_lib.{name}"]
            lines += MEMBERS if kind == "class" else [""]
        return parsed(self, lines)


class Room(SphinxDirective):
    """List the modules of one room: what is public in them, each with its first paragraph.

    The whole docstrings would be too long for a page; they stand in the file that is named.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the modules by name, and what they hold in the order of the source."""
        package = importlib.import_module(f"medpriv_lib.{self.arguments[0]}")
        names = [
            one.name for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        ]
        lines = []
        for name in [package.__name__, *names]:
            module = importlib.import_module(name)
            lines += [f".. rubric:: {name.removeprefix('medpriv_lib.')}", "", *first(module), ""]
            for thing in public(module):
                arguments, returned = signature(thing) or ("", None)
                code = thing.__name__ + arguments + (f" -> {returned}" if returned else "")
                lines += [f"``{code}``", *(f"   {line}" for line in first(thing)), ""]
        return folded(f"All of {self.arguments[0]}", parsed(self, lines))


def public(module: ModuleType) -> list[Any]:
    """Return the functions and classes that a module defines and that have a docstring."""
    return [
        thing
        for name, thing in vars(module).items()
        if (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
        and not name.startswith("_")
        and thing.__doc__
    ]


def first(thing: Any) -> list[str]:
    """Return the first paragraph of a docstring as reStructuredText."""
    return plain((inspect.getdoc(thing) or "").split("\n\n")[0].split("\n"))[:1]


def parsed(directive: SphinxDirective, lines: list[str]) -> list[nodes.Node]:
    """Return what these lines of reStructuredText say, inside a page of Markdown."""
    text = ["```{eval-rst}", *lines, "```"]
    box = nodes.container(classes=["api"])
    directive.state.nested_parse(StringList(text, directive.get_source_info()[0]), 0, box)
    return [box]


def folded(summary: str, inside: list[nodes.Node]) -> list[nodes.Node]:
    """Return nodes that a reader unfolds; the search of the book reads them all the same."""
    start = f'<details class="api"><summary>{html.escape(summary)}</summary>'
    return [
        nodes.raw("", start, format="html"),
        *inside,
        nodes.raw("", "</details>", format="html"),
    ]


def plain(docstring: list[str]) -> list[str]:
    """Return a docstring, plain text with code in backticks, as reStructuredText.

    Blocks are parted by blank lines: one that is indented as a whole is an example and shown as it
    is; lines that start with a hyphen are a list; all else is a paragraph.
    """
    text, found = "\n".join(docstring).strip("\n"), []
    for block in re.split(r"\n\s*\n", text):
        lines = block.split("\n")
        if all(line.startswith("  ") for line in lines):
            found += ["::", "", *(f"   {line}" for line in textwrap.dedent(block).split("\n")), ""]
            continue
        items = re.split(r"\n(?=\s*- )", block)
        for item in items:
            listed = item.lstrip().startswith("- ")
            words = " ".join(item.split()).removeprefix("- " if listed else "")
            found += [("- " if listed else "") + escaped(words)]
        found += [""]
    return found


def escaped(text: str) -> str:
    """Return one paragraph with its code marked as code and nothing else marked."""
    parts = re.split(r"`([^`]+)`", text)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = f"\\ ``{part.strip()}``\\ "
        else:
            parts[i] = re.sub(r"([\\*`|_])", r"\\\1", part)
    return "".join(parts).removeprefix("\\ ").removesuffix("\\ ")


def signature(thing: Any) -> tuple[str, str | None] | None:
    """Return the arguments and the result of a function or class as its source writes them.

    None where there is no source: what is made by a decorator, say.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    if isinstance(tree, ast.ClassDef):
        return _of_class(thing, tree)
    if isinstance(tree, ast.FunctionDef):
        returned = ast.unparse(tree.returns) if tree.returns else None
        return f"({_arguments(tree)})", returned
    return None


def _of_class(thing: type, tree: ast.ClassDef) -> tuple[str, None]:
    made = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    if made:
        return f"({_arguments(made[0])})", None
    if not dataclasses.is_dataclass(thing) and not hasattr(thing, "_fields"):
        return "", None
    fields = [one for one in tree.body if isinstance(one, ast.AnnAssign)]
    named = [one for one in fields if not ast.unparse(one.annotation).startswith("ClassVar")]
    return f"({', '.join(map(_field, named))})", None


def _field(one: ast.AnnAssign) -> str:
    text = f"{ast.unparse(one.target)}: {ast.unparse(one.annotation)}"
    return text if one.value is None else f"{text} = ..."


def _arguments(function: ast.FunctionDef) -> str:
    arguments = function.args
    for part in (arguments.posonlyargs, arguments.args):
        if part and part[0].arg in ("self", "cls"):
            del part[0]
    return ast.unparse(arguments)


def write_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, arguments: str, returned: str
) -> tuple[str, str | None] | None:
    """Answer Sphinx, which asks for every signature."""
    return signature(thing) if what in ("function", "method", "class", "exception") else None


def write_docstring(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Answer Sphinx, which passes every docstring; it wants the list itself changed."""
    lines[:] = plain(lines)


def skip(app: Sphinx, what: str, name: str, thing: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what nobody wrote: the fields' docstrings of a NamedTuple."""
    return (getattr(thing, "__doc__", None) or "").startswith("Alias for field") or None


def setup(app: Sphinx) -> dict:
    """Connect all to Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("offered", Offered)
    app.add_directive("room", Room)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-docstring", write_docstring)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
