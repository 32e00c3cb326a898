"""The course as a whole: which part a page belongs to, shown above the page, and where pages went
whose address has changed.
"""

import html
import os
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from imprint import policy
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
# chapters had numbers in their addresses once
NUMBERED = [
    "explaining-with-cases",
    "data-preparation",
    "recognition-networks",
    "blur",
    "k-same-select",
    "pprl-vgan",
    "averaged-sets",
    "explanation-with-deep-taylor",
    "the-comparison",
    "the-attackers-view",
    "radiomics",
    "encrypted-inference",
    "a-yardstick",
    "disentanglement",
    "sign-transfer",
]
MOVED = {f"{number:02d}-{name}": name for number, name in enumerate(NUMBERED)}


class Part(NamedTuple):
    """A part of the course: its page, its title, the pages within, and its `number`, 0 for the part
    before the first.
    """

    page: str
    title: str
    pages: list[str]
    number: int = 0


def parts() -> list[Part]:
    """Return the parts in their order, as the table of contents has them: those with sections."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    found: list[Part] = []
    for caption in contents["parts"]:
        for entry in caption["chapters"]:
            if "sections" not in entry:
                continue
            title = heading(ROOT / f"{entry['file']}.md")
            number = sum(part.number > 0 for part in found) + 1 if "numbered" in caption else 0
            pages = [below["file"] for below in entry["sections"]]
            found.append(Part(entry["file"], title, pages, number))
    return found


def heading(path: Path) -> str:
    """Return the first heading of a page written in Markdown."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("# ")).removeprefix("# ")


def strip(page: str, found: list[Part]) -> str:
    """Return the strip above a page of the course as HTML: all parts, with this page's marked; ""
    for a page of no part.
    """
    if not any(page in (part.page, *part.pages) for part in found):
        return ""
    items = []
    for part in found:
        where = os.path.relpath(part.page, Path(page).parent).replace(os.sep, "/") + ".html"
        here = page in (part.page, *part.pages)
        mark = ' class="here"' + (' aria-current="page"' if page == part.page else "")
        title = f"{part.number or ''} {html.escape(part.title)}".strip()
        items.append(f'<li><a href="{where}"{mark if here else ""}>{title}</a></li>')
    return f'<nav class="parts" aria-label="Parts of the course"><ol>{"".join(items)}</ol></nav>'


def show_part(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Put the strip above the page's text."""
    if context.get("body"):
        context["body"] = strip(page, parts()) + context["body"]


def name_the_folds(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Give what unfolds a part in the contents a name for those who do not see its arrow."""
    made = context.get("generate_toctree_html")
    if made is None:
        return

    def named(*args: Any, **kwargs: Any) -> Any:
        tree = made(*args, **kwargs)
        soup = BeautifulSoup(tree, "html.parser") if isinstance(tree, str) else tree
        for entry in soup.select("li.has-children"):
            fold, link = entry.select_one(":scope > details > summary"), entry.select_one("a")
            if fold is not None and link is not None:
                fold["aria-label"] = f"Pages of {link.get_text(strip=True)}"
        return str(soup) if isinstance(tree, str) else soup

    context["generate_toctree_html"] = named


def moved(name: str) -> str:
    """Return a page that leads to the chapter of this name, without a script."""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{policy()}'
        f"<title>Moved</title><link rel=canonical href={name}.html>"
        f'<meta http-equiv="refresh" content="0; url={name}.html"></head>'
        f'<body><main><h1>Moved</h1><p>This chapter is now at <a href="{name}.html">'
        f"{name}.html</a>.</p></main></body></html>\n"
    )


def lead_on(app: Sphinx, error: Exception | None) -> None:
    """Write a page at each old address."""
    if error is None and app.builder.format == "html":
        for old, name in MOVED.items():
            page = Path(app.outdir) / "chapters" / f"{old}.html"
            page.write_text(moved(name), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Connect both to Sphinx."""
    app.connect("html-page-context", show_part, priority=900)
    app.connect("html-page-context", name_the_folds, priority=999)
    app.connect("build-finished", lead_on)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
