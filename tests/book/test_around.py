"""What stands around the text of the built book: linked words, notebooks to download, the printed
book."""

import re

import pdf
import pytest
import terms
from bs4 import BeautifulSoup


def article(book, page):
    return BeautifulSoup((book / f"{page}.html").read_text("utf-8"), "html.parser").article


def test_words_of_the_glossary_lead_to_their_paragraphs(book):
    there = {tag["id"] for tag in article(book, terms.GLOSSARY).find_all(id=True)}
    assert {term.anchor for term in terms.of_the_book()} <= there
    for page in pdf.pages():
        found = article(book, page).select("a.term")
        names = [tag["href"].partition("#")[2] for tag in found]
        assert len(names) == len(set(names)), f"{page}: a term is linked twice"
        assert set(names) <= there, page
        assert not [tag for tag in found if tag.find_parent(["h1", "h2", "h3", "pre", "details"])]
        if page in terms.WITHOUT:
            assert not found, page
        elif (terms.ROOT / f"{page}.ipynb").is_file():
            assert len(found) >= 3, f"{page}: {names}"


def test_unsolved_checks_show_one_neutral_line(book):
    for page in pdf.pages():
        for check in article(book, page).select(".tag_check .cell_output"):
            said = check.get_text().strip()
            assert re.fullmatch(r"Exercise \d: not answered yet\.", said), f"{page}: {said}"


def test_every_notebook_can_be_downloaded_and_its_source_is_linked(book):
    for page in pdf.pages():
        html = (book / f"{page}.html").read_text("utf-8")
        assert "btn-source-repository-button" in html, page
        if (terms.ROOT / f"{page}.ipynb").is_file():
            source = re.search(r'href="([^"]*_sources/[^"]*\.ipynb)"', html)
            assert source, f"{page} offers no notebook"
            assert ((book / page).parent / source[1]).resolve().is_file(), page


def test_questions_are_answered_in_a_fold(book):
    for page in pdf.pages():
        for strong in article(book, page).find_all("strong", string="Question."):
            following = strong.find_parent("p").find_next_sibling()
            assert following.name == "details", f"{page}: {strong.parent.get_text()[:60]}"
            assert len(following.get_text().split()) > 5


@pytest.mark.slow
def test_a_printed_book_has_its_pages_and_pictures(book, browser):
    wanted = ["chapters/parts/hide", "chapters/blur", "chapters/glossary"]
    printed, wrong = pdf.printed(book, wanted, browser)
    assert wrong == []
    assert pdf.count_pages(printed) >= 12
    assert pdf.count_pictures(printed) >= 5
    assert not (book / pdf.TOGETHER).exists()


def test_a_missing_figure_is_named(book, browser, tmp_path):
    page = browser.new_page()
    page.set_content("<img src='data:image/png;base64,AAAA' alt='broken'>")
    page.wait_for_timeout(200)
    assert pdf.missing(page) == ["data:image/png;base64,AAAA"]
    page.close()
