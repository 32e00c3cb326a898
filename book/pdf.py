"""Print the built book to one PDF: `python book/pdf.py [--html FOLDER] [--out FILE]`. All pages are
put into one, in the order of the contents, and a headless Chromium prints it. Where a figure is
missing or pages are fewer than the book has, nothing is written and the exit status is 1.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TOGETHER = "whole-book.html"
# what a printed page does not need: buttons, strips of links, the set-up cell of each notebook
UNPRINTED = (
    "nav, .prev-next-area, .header-article, button, .tag_setup, a.headerlink, script, noscript"
)
FORMAT: dict[str, Any] = {
    "format": "A4",
    "margin": {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
}


def pages() -> list[str]:
    """Return the addresses of the pages, without ".html", in the order of the contents."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    found = [contents["root"]]
    for part in contents["parts"]:
        for entry in part["chapters"]:
            found += [entry["file"], *(below["file"] for below in entry.get("sections", []))]
    return found


def name_of(page: str) -> str:
    """Return the id of a page's article in the whole."""
    return "page-" + page.replace("/", "-")


def article(html: str, page: str, known: set[str]) -> Tag:
    """Return the article of a page with its ids, links and files as they are in the whole book.

    Raises `ValueError` for a page without an article.
    """
    soup = BeautifulSoup(html, "html.parser")
    found = soup.select_one("article.bd-article")
    if found is None:
        raise ValueError(f"{page}.html has no article; build the book anew (make pages)")
    for tag in found.select(UNPRINTED):
        tag.decompose()
    for fold in found.select("details"):
        fold["open"] = ""
    for tag in found.find_all(True):
        if tag.get("id"):
            tag["id"] = f"{name_of(page)}--{tag['id']}"
        for key in ("href", "src"):
            if tag.get(key):
                tag[key] = target(str(tag[key]), page, known)
        for key in ("for", "aria-labelledby", "aria-describedby"):
            tag.attrs.pop(key, None)
    found["id"] = name_of(page)
    return found


def target(address: str, page: str, known: set[str]) -> str:
    """Return where a link or a file of a page lies in the whole book: another page's place in it, a
    file's path from the root, what it was for another server.
    """
    if urlsplit(address).scheme or address.startswith("//"):
        return address
    path, fragment = urldefrag(address)
    where = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else f"{page}.html"
    other = where.replace(os.sep, "/").removesuffix(".html")
    if other in known:
        return f"#{name_of(other)}--{fragment}" if fragment else f"#{name_of(other)}"
    return where.replace(os.sep, "/") + (f"#{fragment}" if fragment else "")


def together(folder: Path, wanted: list[str]) -> str:
    """Return one page that holds all pages of a built book, to lie in its folder."""
    first = BeautifulSoup((folder / f"{wanted[0]}.html").read_text("utf-8"), "html.parser")
    for tag in first.select("[href], [src]"):
        for key in ("href", "src"):
            if tag.get(key):
                tag[key] = target(str(tag[key]), wanted[0], set())
    whole = first.new_tag("main", attrs={"class": "bd-main whole-book"})
    for page in wanted:
        html = (folder / f"{page}.html").read_text(encoding="utf-8")
        whole.append(article(html, page, set(wanted)))
    assert first.body is not None
    scripts = [tag for tag in first.select("body script") if "mathjax" in str(tag).lower()]
    first.body.clear()
    first.body.append(whole)
    for script in scripts:
        first.body.append(script)
    return str(first)


def count_pages(pdf: bytes) -> int:
    """Return the number of pages of a PDF as Chromium writes it, page objects uncompressed."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def count_pictures(pdf: bytes) -> int:
    """Return the number of raster pictures of a PDF, the masks of transparent ones not counted."""
    return len(re.findall(rb"/Subtype\s*/Image\b", pdf)) - len(re.findall(rb"/SMask\s", pdf))


def chromium() -> str:
    """Return the path of a Chromium. Raises `FileNotFoundError` where none is installed."""
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    path = next(found, None)
    if path is None:
        raise FileNotFoundError("no Chromium on this machine; install one (apt install chromium)")
    return path


def missing(page: "Page") -> list[str]:
    """Return the pictures of an opened page that did not load."""
    return page.evaluate(
        "[...document.images].filter(i => !(i.complete && i.naturalWidth))"
        ".map(i => i.src.slice(0, 90))"
    )


def printed(folder: Path, wanted: list[str], browser: "Browser") -> tuple[bytes, list[str]]:
    """Return the PDF of the pages `wanted` of a built book, and what is wrong with it."""
    whole = folder / TOGETHER
    whole.write_text(together(folder, wanted), encoding="utf-8")
    page = browser.new_page(color_scheme="light")
    try:
        page.set_default_timeout(0)
        page.goto(whole.as_uri(), wait_until="load")
        page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise : null")
        page.wait_for_load_state("networkidle")
        wrong = [f"missing figure: {source}" for source in missing(page)]
        pdf = page.pdf(**FORMAT, print_background=True, outline=True, tagged=True)
    finally:
        page.close()
        whole.unlink(missing_ok=True)
    if (count := count_pages(pdf)) < len(wanted):
        wrong.append(f"{count} printed pages of a book of {len(wanted)} pages")
    return pdf, wrong


def main(arguments: list[str]) -> int:
    """Write the PDF; return 1, and write nothing, where something is missing."""
    from playwright.sync_api import sync_playwright

    from medpriv_lib.core.files import atomic_write

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "book.pdf")
    options = parser.parse_args(arguments)
    if not (options.html / "index.html").is_file():
        print(f"{options.html} holds no built book; `make pages` builds it", file=sys.stderr)
        return 1
    flags = ["--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium(), args=flags)
        pdf, wrong = printed(options.html, pages(), browser)
        browser.close()
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    with atomic_write(options.out) as temporary:
        temporary.write_bytes(pdf)
    print(f"{count_pages(pdf)} pages, {len(pdf) / 1e6:.1f} MB: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
