"""Every page of the built book, read in a browser and as a file."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import notebooks
import pdf
import pytest
from visits import Visit, together, visit

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


def test_workers_visit_a_page_once_and_again_where_the_first_visit_failed(tmp_path):
    made = []

    def look_at(name):
        made.append(name)
        if len(made) == 1:
            raise OSError("the browser went away")
        time.sleep(0.2)
        return {"wide": Visit(errors=[name])}

    with pytest.raises(OSError, match="went away"):
        together(tmp_path, "a.html", look_at)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: together(tmp_path, "a.html", look_at), range(4)))
    assert made == ["a.html"] * 2
    assert found == [{"wide": Visit(errors=["a.html"])}] * 4
    (tmp_path / "b-html.taken").touch()
    with pytest.raises(TimeoutError, match=r"b\.html: another worker"):
        together(tmp_path, "b.html", look_at, wait=0.1)


# the start page and the search are no chapters
PAGES = [f"{page}.html" for page in pdf.pages()]
VISITED = [*PAGES, "index.html", "search.html?q=identity"]


@pytest.fixture(scope="session")
def visited(browser, address, tmp_path_factory, worker_id):
    """Return what visits a page in every view, once in a run of all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "visits"
    folder.mkdir(exist_ok=True)
    kept = {}

    def visit_once(name: str) -> dict[str, Visit]:
        if name not in kept:
            kept[name] = together(folder, name, lambda name: visit(browser, address, name))
        return kept[name]

    return visit_once


@pytest.mark.parametrize("name", VISITED)
def test_a_page_loads_cleanly_fits_the_screen_and_describes_its_images(visited, name):
    problems = []
    for view, seen in visited(name).items():
        problems += [f"{view}: console: {text}" for text in seen.errors]
        problems += [f"{view}: asks another server: {url}" for url in sorted(set(seen.away))]
        problems += [f"{view}: not there: {url}" for url in seen.missing]
        problems += [f"{view}: forbids itself: {what}" for what in seen.refused]
        problems += [f"{view}: {seen.over} px wider than the screen"] if seen.over > 0 else []
        problems += [f"{view}: no alternative text: {src}" for src in seen.bare]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", [name for name in VISITED if name != "index.html"])  # it leads on
def test_a_page_has_no_serious_violation_of_accessibility(visited, name):
    found = [f"{view}: {text}" for view, seen in visited(name).items() for text in seen.violations]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_dark_mode_is_dark_with_light_text(visited, name):
    seen = visited(name)["dark"]
    assert _luminance(seen.back) < 0.1, f"background {seen.back}"
    assert _contrast(seen.back, seen.text) >= 4.5, f"{seen.text} on {seen.back}"


def test_every_page_of_the_contents_is_built_and_no_other(names):
    assert sorted(PAGES) == names


def test_theme_and_maths_are_light(visited, book):
    """Count what one visit of all pages loads besides the pages: scripts, styles and fonts, each
    once."""
    visits = [seen for name in VISITED for seen in visited(name).values()]
    loaded = {url for seen in visits for url in seen.loaded}
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
