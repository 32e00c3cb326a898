"""The whole book as one page: ids stay apart, links lead within, files are found."""

import pdf
import pytest

PAGE = """<html><body><article class="bd-article"><nav>up</nav><h1 id="blur">Blur</h1>
<a class="headerlink" href="#blur">#</a><a href="glossary.html#term-auc">AUC</a>
<a href="parts/hide.html">part</a><a href="#blur">top</a><a href="https://doi.org/1">doi</a>
<img src="../_images/a.png"/><details><summary>Answer</summary>That.</details></article></body></html>"""
KNOWN = {"chapters/blur", "chapters/glossary", "chapters/parts/hide"}


def test_an_article_keeps_its_ids_apart_and_its_links_inside():
    found = pdf.article(PAGE, "chapters/blur", KNOWN)
    assert found["id"] == "page-chapters-blur"
    assert found.h1["id"] == "page-chapters-blur--blur"
    assert [tag["href"] for tag in found.select("a")] == [
        "#page-chapters-glossary--term-auc",
        "#page-chapters-parts-hide",
        "#page-chapters-blur--blur",
        "https://doi.org/1",
    ]
    assert found.img["src"] == "_images/a.png"
    assert found.select("details[open]")
    assert not found.select("nav, .headerlink")


def test_a_page_without_an_article_is_refused():
    with pytest.raises(ValueError, match=r"chapters/blur\.html has no article"):
        pdf.article("<html></html>", "chapters/blur", KNOWN)


def test_pages_and_pictures_are_counted():
    text = b"<</Type /Pages>> <</Type /Page>> <</Type/Page /A>> <</Subtype /Image /SMask 3 0 R>>"
    assert pdf.count_pages(text) == 2
    assert pdf.count_pictures(text + b"<</Subtype /Image>>") == 1


def test_the_pages_are_those_of_the_contents_in_their_order():
    pages = pdf.pages()
    assert pages[:2] == ["chapters/index", "chapters/parts/start"]
    assert len(pages) == len(set(pages))
    assert {"chapters/symbols", "chapters/faq", "chapters/instructors-notes"} < set(pages)


def test_a_folder_without_a_book_is_named(tmp_path, capsys):
    assert pdf.main(["--html", str(tmp_path)]) == 1
    assert "holds no built book" in capsys.readouterr().err
