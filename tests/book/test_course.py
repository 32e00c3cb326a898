"""The frame of the course: the strip of parts above each page, numbers within a part, and old
addresses that lead on."""

import re

import course


def test_every_page_of_a_part_shows_where_it_is(book):
    parts = course.parts()
    assert [part.number for part in parts] == [0, 1, 2, 3, 4, 5, 6]
    for number, part in enumerate(parts):
        for place, page in enumerate([part.page, *part.pages]):
            text = (book / f"{page}.html").read_text(encoding="utf-8")
            strip = re.search(r'<nav class="parts".*?</nav>', text)[0]
            links = re.findall(r'<a href="([^"]+)"( class="here"[^>]*)?>(\d|Start)', strip)
            assert [n for _, _, n in links] == ["Start", *"123456"]
            assert [n for _, here, n in links if here] == [str(number or "Start")], page
            folder = (book / page).parent
            assert all((folder / address).is_file() for address, _, _ in links), page
            if not number:  # the part before the first has no numbers
                assert '<h1><span class="section-number">' not in text
                continue
            shown = re.search(r'<h1><span class="section-number">([\d.]+)', text)[1]
            assert shown == (f"{number}.{place}." if place else f"{number}."), page


def test_pages_of_no_part_have_no_strip(book):
    assert '<nav class="parts"' not in (book / "chapters" / "glossary.html").read_text("utf-8")
    assert course.strip("chapters/glossary", course.parts()) == ""


def test_a_part_names_each_of_its_chapters(book):
    for part in course.parts():
        text = (course.ROOT / f"{part.page}.md").read_text(encoding="utf-8")
        row = r"^\| \[[^\]]+\]\(\.\./([a-z0-9-]+)\.(?:ipynb|md)\)"
        linked = re.findall(row, text, re.M)
        named = {f"chapters/{name}" for name in linked}
        assert named == set(part.pages), part.page


def test_old_addresses_lead_to_the_chapter(browser, address, book):
    assert len(course.MOVED) == 15
    for old, name in course.MOVED.items():
        assert (book / "chapters" / f"{name}.html").is_file(), name
        text = (book / "chapters" / f"{old}.html").read_text(encoding="utf-8")
        assert f'content="0; url={name}.html"' in text
    page = browser.new_page()
    page.goto(f"{address}chapters/03-blur.html")
    page.wait_for_url("**/chapters/blur.html")
    assert "Blur" in page.title()
    page.close()
