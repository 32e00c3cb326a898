"""What stands around the text of the built book: linked words, notebooks to download, the printed
book."""

import re

import pdf
import pytest
import terms
from bs4 import BeautifulSoup, SoupStrainer

ONLY = SoupStrainer("article")
HERE = re.compile(r'\sid="(term-[^"]+)"')


@pytest.fixture(scope="module", params=pdf.pages())
def read(book, request):
    """Return a page's name and its article; a page is read once for its tests."""
    text = (book / f"{request.param}.html").read_text("utf-8")
    return request.param, BeautifulSoup(text, "html.parser", parse_only=ONLY)


def test_words_of_the_glossary_lead_to_their_paragraphs(book, read):
    page, article = read
    there = set(HERE.findall((book / f"{terms.GLOSSARY}.html").read_text("utf-8")))
    assert {term.anchor for term in terms.of_the_book()} <= there
    found = article.select("a.term")
    names = [tag["href"].partition("#")[2] for tag in found]
    assert len(names) == len(set(names)), "a term is linked twice"
    assert set(names) <= there
    assert not [tag for tag in found if tag.find_parent(["h1", "h2", "h3", "pre", "details"])]
    if page in terms.WITHOUT:
        assert not found
    elif (terms.ROOT / f"{page}.ipynb").is_file():
        assert len(found) >= 3, names


def test_unsolved_checks_show_one_neutral_line(read):
    for check in read[1].select(".tag_check .cell_output"):
        said = check.get_text().strip()
        assert re.fullmatch(r"Exercise \d: not answered yet\.", said), said


def test_questions_are_answered_in_a_fold(read):
    for strong in read[1].find_all("strong", string="Question."):
        following = strong.find_parent("p").find_next_sibling()
        assert following.name == "details", strong.parent.get_text()[:60]
        assert len(following.get_text().split()) > 5


def test_every_notebook_can_be_downloaded_and_its_source_is_linked(book):
    for page in pdf.pages():
        html = (book / f"{page}.html").read_text("utf-8")
        assert "btn-source-repository-button" in html, page
        if (terms.ROOT / f"{page}.ipynb").is_file():
            source = re.search(r'href="([^"]*_sources/[^"]*\.ipynb)"', html)
            assert source, f"{page} offers no notebook"
            assert ((book / page).parent / source[1]).resolve().is_file(), page


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
