"""Every page forbids the browser to load anything from elsewhere, and nothing of its own is forbidden."""

import re

import imprint
import pytest
from visits import LISTEN

ELSEWHERE = "https://elsewhere.invalid"
TRIES = {
    "img-src": f"new Image().src = '{ELSEWHERE}/x.png'",
    "connect-src": f"fetch('{ELSEWHERE}/x').catch(() => 0)",
    "script-src-elem": "document.head.append(Object.assign(document.createElement('script'), "
    f"{{src: '{ELSEWHERE}/x.js'}}))",
    "style-src-elem": "document.head.append(Object.assign(document.createElement('link'), "
    f"{{rel: 'stylesheet', href: '{ELSEWHERE}/x.css'}}))",
    "frame-src": "document.body.append(Object.assign(document.createElement('iframe'), "
    f"{{src: '{ELSEWHERE}/'}}))",
}


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.add_init_script(LISTEN)
    yield page
    page.close()


def test_every_page_has_the_policy_before_anything_is_loaded(book, names):
    for name in [*names, "search.html", "genindex.html"]:
        text = (book / name).read_text(encoding="utf-8")
        assert text.count(imprint.policy()) == 1, name
        before = text.partition(imprint.policy())[0]
        assert not re.search(r"<(script|link|style|img)\b", before), name
    front = (book / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in front


def test_a_page_opened_as_a_file_works_too(page, book):
    page.goto((book / "chapters" / "index.html").as_uri(), wait_until="load")
    page.wait_for_timeout(200)
    assert page.evaluate("window.refused") == []
    back = page.evaluate("getComputedStyle(document.querySelector('.bd-article h1')).maxWidth")
    assert back == "704px", "the book's own style is loaded"


@pytest.mark.parametrize(("directive", "attempt"), TRIES.items())
def test_what_comes_from_elsewhere_is_refused(page, address, names, directive, attempt):
    page.goto(address + names[0], wait_until="load")
    page.evaluate(f"() => {{ {attempt}; }}")
    page.wait_for_function("window.refused.length > 0", timeout=5_000)
    assert any(what.startswith(directive) for what in page.evaluate("window.refused"))
