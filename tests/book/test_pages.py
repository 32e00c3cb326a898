"""Every page of the built book, read in a browser and as a file."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import notebooks
import pytest
from visits import Visit, visit

PAGE_LIMIT = 1_500_000
ASSET_LIMIT = 4_000_000
ROOT = Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    """Collect the ids of a page and what it points to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.targets = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.update(value for key in ("id", "name") if (value := values.get(key)))
        for key in ("href", "src"):
            if values.get(key) and not (tag == "link" and values.get("rel") == "preconnect"):
                self.targets.append(values[key])


@pytest.fixture(scope="session")
def visits(browser, address, names) -> dict[tuple[str, str], Visit]:
    """Visit every page in every view; the start page and the search are not chapters."""
    pages = [*names, "index.html", "search.html?q=identity"]
    return {
        (name, view): seen for name in pages for view, seen in visit(browser, address, name).items()
    }


@pytest.mark.slow
def test_pages_load_cleanly_fit_the_screen_and_describe_their_images(visits):
    problems = []
    for (name, view), seen in visits.items():
        at = f"{name}, {view}"
        problems += [f"{at}: console: {text}" for text in seen.errors]
        problems += [f"{at}: asks another server: {url}" for url in sorted(seen.away)]
        problems += [f"{at}: not there: {url}" for url in seen.missing]
        problems += [f"{at}: forbids itself: {what}" for what in seen.refused]
        problems += [f"{at}: {seen.over} px wider than the screen"] if seen.over > 0 else []
        problems += [f"{at}: no alternative text: {src}" for src in seen.bare]
    assert not problems, "\n".join(problems)


def test_pages_have_no_serious_violation_of_accessibility(visits):
    found = [
        f"{name}, {view}: {text}"
        for (name, view), seen in visits.items()
        for text in seen.violations
        if name != "index.html"  # it only leads on
    ]
    assert not found, "\n".join(found)


def test_dark_mode_is_dark_with_light_text(visits, names):
    for name in names:
        seen = visits[name, "dark"]
        assert _luminance(seen.back) < 0.1, f"{name}: background {seen.back}"
        assert _contrast(seen.back, seen.text) >= 4.5, f"{name}: {seen.text} on {seen.back}"


def test_theme_and_maths_are_light(visits, book, address):
    """Count what one visit of all pages loads besides the pages: scripts, styles and fonts, each
    once."""
    loaded = {url.removeprefix(address) for seen in visits.values() for url in seen.loaded}
    assets = {url: (book / url).stat().st_size for url in loaded if "_static/" in url}
    assert any("mathjax" in url for url in assets)
    assert sum(assets.values()) <= ASSET_LIMIT, json.dumps(assets, indent=1)


def test_every_page_names_its_icon_so_that_no_browser_asks_for_another(book, names):
    for name in [*names, "index.html", "search.html", "genindex.html"]:
        page = (book / name).read_text(encoding="utf-8")
        icons = re.findall(r'<link[^>]*rel="(?:shortcut )?icon"[^>]*>', page)
        assert len(icons) == 1, f"{name}: {icons}"
        target = re.search(r'href="([^"]+)"', icons[0]).group(1)
        assert ((book / name).parent / target).is_file(), f"{name}: no icon at {target}"


def test_pages_can_be_read_without_javascript(browser, address, names):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name in names:
        page.goto(address + name, wait_until="load")
        assert page.locator(".bd-article h1").first.is_visible(), name
    context.close()


def search(browser, address: str, words: str) -> list[str]:
    """Return the titles that the search lists, once it has finished."""
    page = browser.new_page()
    page.goto(f"{address}search.html?q={words}", wait_until="load")
    page.get_by_text("Search finished").wait_for(timeout=30_000)
    found = page.locator("ul.search li > a").all_inner_texts()
    page.close()
    return found


@pytest.mark.parametrize(
    ("words", "title"),
    [("identity", "comparison"), ("K-Same", "k-same"), ("mp.Cohort", "api")],
)
def test_search_finds(browser, address, words, title):
    found = search(browser, address, words)
    assert any(title in text.lower() for text in found), found


def test_notebooks_open_in_colab_from_the_one_repository(book, names):
    url, branch = notebooks.repository()
    start = f"https://colab.research.google.com/{url.removeprefix('https://').replace('.com', '', 1)}/blob/{branch}/"
    for name in names:
        source = name.removesuffix(".html") + ".ipynb"
        links = re.findall(
            r'href="(https://colab[^"]+)"', (book / name).read_text(encoding="utf-8")
        )
        wanted = {start + source} if (ROOT / source).is_file() else set()
        assert set(links) == wanted, name


def test_internal_links_resolve(book):
    files = [path for path in book.rglob("*.html") if "_static" not in path.parts]
    parsed = {path: Links(path.read_text(encoding="utf-8")) for path in files}
    problems = []
    for path, links in parsed.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file, fragment = urldefrag(target)
            file = unquote(file.split("?")[0])
            aim = (path.parent / file).resolve() if file else path
            if not aim.exists():
                problems.append(f"{path.name}: {target} leads nowhere")
            elif fragment and aim in parsed and unquote(fragment) not in parsed[aim].ids:
                problems.append(f"{path.name}: {target} has no such place")
    assert len(parsed) >= 3
    assert not problems, "\n".join(sorted(set(problems)))


def test_pages_are_light(book, names):
    for name in names:
        path = book / name
        images = {
            path.parent / src
            for src in re.findall(r'<img[^>]+src="([^":]+)"', path.read_text(encoding="utf-8"))
        }
        size = path.stat().st_size + sum(
            image.stat().st_size for image in images if "_static" not in image.parts
        )
        assert size <= PAGE_LIMIT, f"{name}: {size / 1e6:.2f} MB"


def test_every_page_says_what_it_was_made_from(book, names):
    for name in names:
        text = (book / name).read_text(encoding="utf-8")
        for fact in ("commit", "library", "data", "Python", "torch", "numpy", "OpenCV", "built"):
            assert re.search(rf"<span>{fact}&nbsp;<code>[^<]+</code>", text), (
                f"{name}: the footer lacks {fact}"
            )


def _luminance(colour: str) -> float:
    red, green, blue = (float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3])
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)
