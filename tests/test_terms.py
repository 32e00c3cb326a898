"""The glossary's words are linked where a page uses them first, and nowhere else."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import terms
from docutils import nodes
from docutils.utils import new_document

ROOT = Path(__file__).resolve().parent.parent
SOME = """**AUC.** The area.

**Bootstrap over patients (cluster bootstrap).** An interval.

**Draw.** One choice.

**FAR, TAR.** Two rates.

**Linkage.** Deciding.

**Privatizer, to privatise.** A method.

**Query.** A case.
"""


def page(*parts: nodes.Node) -> nodes.document:
    document = new_document("page")
    document.extend(parts)
    return document


def paragraph(*parts: nodes.Node | str) -> nodes.paragraph:
    return nodes.paragraph("", "", *[nodes.Text(p) if isinstance(p, str) else p for p in parts])


def linked(document: nodes.document) -> list[tuple[str, str]]:
    terms.link(document, terms.terms(SOME), "glossary.html")
    found = document.findall(lambda n: isinstance(n, nodes.reference) and "term" in n["classes"])
    return [(node.astext(), node["refuri"].partition("#term-")[2]) for node in found]


def test_terms_have_one_anchor_and_all_their_forms():
    assert terms.terms(SOME)[1] == terms.Term(
        "Bootstrap over patients (cluster bootstrap)",
        "term-bootstrap-over-patients-cluster-bootstrap",
        ["Bootstrap over patients", "cluster bootstrap"],
    )
    assert terms.terms(SOME)[5].forms == ["Privatizer", "privatise"]


def test_the_first_use_is_linked_and_the_text_stays():
    document = page(paragraph("The AUC of linkage; the AUC again."), paragraph("More linkage."))
    assert linked(document) == [("AUC", "auc"), ("linkage", "linkage")]
    assert document.astext() == "The AUC of linkage; the AUC again.\n\nMore linkage."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Two privatizers.", ["privatizers"]),
        ("A cluster bootstrap.", ["cluster bootstrap"]),
        ("A TAR of 3 %.", ["TAR"]),
        ("A tar of the harbour.", []),
        ("They draw a picture.", []),
        ("In each draw.", ["draw"]),
        ("Two queries.", ["queries"]),
        ("Whoever queries.", []),
        ("An un-linkage.", []),
        ("Linkages.", ["Linkages"]),
    ],
)
def test_words_are_told_from_their_likes(text, found):
    assert [word for word, _ in linked(page(paragraph(text)))] == found


@pytest.mark.parametrize(
    "wrapped",
    [
        nodes.literal("", "AUC"),
        nodes.reference("", "AUC", refuri="blur.html"),
        nodes.math("", "AUC"),
        nodes.title("", "AUC"),
    ],
)
def test_code_links_formulas_and_headings_stay(wrapped):
    assert linked(page(paragraph(wrapped))) == []


def test_folded_answers_wait_for_the_open_text():
    document = page(
        nodes.raw("", "<details><summary>Answer</summary>", format="html"),
        paragraph("The AUC."),
        nodes.raw("", "</details>", format="html"),
        paragraph("The AUC again."),
    )
    assert linked(document) == [("AUC", "auc")]
    assert document.children[1].children[0].astext() == "The AUC."


def test_paragraphs_of_the_glossary_get_their_anchors():
    quoted = paragraph(
        "", nodes.strong("", "Kendall’s τ."), " A measure."
    )  # as the parser leaves it
    other = paragraph("The words of this book.")
    app = SimpleNamespace(env=SimpleNamespace(docname=terms.GLOSSARY))
    terms.name_paragraphs(app, page(quoted, other))
    assert quoted["ids"] == ["term-kendall-s"]
    assert other["ids"] == []


def test_a_typographic_apostrophe_is_one():
    finder = terms.Finder([terms.Term("Kendall's τ", "k", ["Kendall's τ", "Kendall's"])])
    assert [text for text in ["Kendall’s"] if list(finder.uses(text))]


def test_words_in_emphasis_and_lists_are_found():
    item = nodes.list_item("", paragraph("An ", nodes.emphasis("", "AUC"), "."))
    assert linked(page(nodes.bullet_list("", item))) == [("AUC", "auc")]


def test_every_paragraph_of_the_glossary_is_a_term_of_its_own():
    text = (ROOT / "chapters" / "glossary.md").read_text(encoding="utf-8")
    paragraphs = [one for one in text.split("\n\n")[2:] if one.strip()]
    known = terms.of_the_book()
    assert len(known) == len(paragraphs)
    assert len({term.anchor for term in known}) == len(known)


def test_every_term_of_the_glossary_is_used_in_a_chapter():
    finder = terms.Finder(terms.of_the_book())
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                list(finder.uses("".join(cell["source"])))
    assert sorted(finder.left) == []
