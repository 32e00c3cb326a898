"""Every page of the built book, read in a browser and as a file."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import notebooks
import pytest

VIEWS = {"wide": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (375, 812, "light")}
SCREENSHOTS = (
    Path(__file__).resolve().parents[2] / "_build" / "screenshots"
)  # for people to look at
PAGE_LIMIT = 1_500_000
ASSET_LIMIT = 4_000_000


class Reading:
    """What a browser saw of one page in one view."""

    def __init__(self, browser, address: str, name: str, view: str) -> None:
        width, height, scheme = VIEWS[view]
        self.page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        self.errors, self.away, self.missing = [], [], []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        here = (address, "data:", "blob:")
        self.page.on(
            "request", lambda r: None if r.url.startswith(here) else self.away.append(r.url)
        )
        self.page.on("response", lambda r: self.missing.append(r.url) if r.status >= 400 else None)
        self.page.goto(address + name, wait_until="load")
        self.page.wait_for_timeout(300)


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


@pytest.mark.parametrize("view", VIEWS)
def test_pages_load_cleanly_fit_the_screen_and_describe_their_images(browser, address, names, view):
    problems = []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for name in [*names, "index.html", "search.html"]:
        reading = Reading(browser, address, name, view)
        page = reading.page
        problems += [f"{name}: console: {text}" for text in reading.errors]
        problems += [f"{name}: asks another server: {url}" for url in sorted(set(reading.away))]
        problems += [f"{name}: not there: {url}" for url in reading.missing]
        over = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        problems += [f"{name}: {over} px wider than the screen"] if over > 0 else []
        bare = page.evaluate(
            "[...document.images].filter(i => !i.alt.trim()).map(i => i.src.slice(0, 60))"
        )
        problems += [f"{name}: no alt text: {src}" for src in bare]
        page.screenshot(
            path=SCREENSHOTS / f"{name.replace('/', '-').removesuffix('.html')}-{view}.png",
            full_page=True,
        )
        page.close()
    assert not problems, "\n".join(problems)


def test_every_page_names_its_icon_so_that_no_browser_asks_for_another(book, names):
    for name in [*names, "index.html", "search.html", "genindex.html"]:
        page = (book / name).read_text(encoding="utf-8")
        icons = re.findall(r'<link[^>]*rel="(?:shortcut )?icon"[^>]*>', page)
        assert len(icons) == 1, f"{name}: {icons}"
        target = re.search(r'href="([^"]+)"', icons[0]).group(1)
        assert ((book / name).parent / target).is_file(), f"{name}: no icon at {target}"


def test_dark_mode_is_dark_with_light_text(browser, address, names):
    for name in names:
        page = Reading(browser, address, name, "dark").page
        back, text = page.evaluate("""() => [getComputedStyle(document.body).backgroundColor,
            getComputedStyle(document.querySelector('.bd-article p')).color]""")
        page.close()
        assert _luminance(back) < 0.1, f"{name}: background {back}"
        assert _contrast(back, text) >= 4.5, f"{name}: {text} on {back}"


def test_pages_can_be_read_without_javascript(browser, address, names):
    context = browser.new_context(java_script_enabled=False)
    for name in names:
        page = context.new_page()
        page.goto(address + name, wait_until="load")
        heading = page.locator(".bd-article h1").first
        assert heading.is_visible(), name
    context.close()


def test_search_finds_the_table(browser, address):
    reading = Reading(browser, address, "search.html?q=identity", "wide")
    reading.page.wait_for_selector("ul.search li a", timeout=15_000)
    found = reading.page.locator("ul.search li a").all_inner_texts()
    reading.page.close()
    assert any("comparison" in text.lower() for text in found), found
    assert not reading.errors


def test_search_finds_k_same(browser, address, names):
    reading = Reading(browser, address, "search.html?q=K-Same", "wide")
    reading.page.wait_for_selector("ul.search li a", timeout=15_000)
    found = reading.page.locator("ul.search li a").all_inner_texts()
    reading.page.close()
    if any("k-same" in name for name in names):
        assert any("K-Same" in text for text in found), found
    assert found


def test_search_finds_what_the_package_offers(browser, address):
    reading = Reading(browser, address, "search.html?q=mp.Cohort", "wide")
    reading.page.wait_for_selector("ul.search li a", timeout=15_000)
    found = reading.page.locator("ul.search li a").all_inner_texts()
    reading.page.close()
    assert any("API" in text or "Cohort" in text for text in found), found
    assert not reading.errors


def test_notebooks_open_in_colab_from_the_one_repository(book, names):
    url, branch = notebooks.repository()
    start = f"https://colab.research.google.com/{url.removeprefix('https://').replace('.com', '', 1)}/blob/{branch}/"
    for name in names:
        source = name.removesuffix(".html") + ".ipynb"
        links = re.findall(
            r'href="(https://colab[^"]+)"', (book / name).read_text(encoding="utf-8")
        )
        wanted = {start + source} if (SCREENSHOTS.parents[1] / source).is_file() else set()
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


def test_theme_and_maths_are_light(browser, address, names):
    """Count what one visit of all pages loads besides the pages: scripts, styles and fonts, each
    once."""
    sizes = {}
    page = browser.new_page()
    page.on(
        "response",
        lambda r: sizes.__setitem__(urldefrag(r.url)[0], len(r.body())) if r.ok else None,
    )
    for name in names:
        page.goto(address + name, wait_until="networkidle")
    page.close()
    assets = {url: size for url, size in sizes.items() if "/_static/" in url}
    assert assets
    assert sum(assets.values()) <= ASSET_LIMIT, json.dumps(assets, indent=1)


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
