"""Link each word of the glossary where a page uses it first: a Sphinx extension that works on what
was parsed, so that the notebooks stay plain Markdown.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = "chapters/glossary"
WITHOUT = {GLOSSARY, "chapters/api", "chapters/bibliography"}  # pages that define or list
SKIPPED = (
    nodes.title,
    nodes.rubric,
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.caption,
    nodes.comment,
    addnodes.toctree,
    addnodes.desc,
)
# also verbs, or words with an everyday meaning: the noun only after one of these words
NOUN = (
    r"(?i:a|an|the|each|every|one|two|three|four|five|ten|this|no|another|several|single|fresh|same"
    r"|new|first|second|whole|its|their|released)"
)
AMBIGUOUS = dict.fromkeys(
    ("draw", "release", "probe", "query", "split", "policy", "source", "dealer", "site", "update"),
    NOUN,
) | {
    "control": r"(?i:a|no|every|each|empty|positive|negative)",
    "signs": r"(?i:the|these|true|own|individual|visible|of)",
    "stranger": r"(?i:a|the|invented)",
}
ALSO = {
    "Anonymity group": ["group of K", "hides among"],
    "Deep Taylor decomposition": ["Deep Taylor"],
    "Evidence score e": ["evidence score"],
    "Intersection attack": ["intersect", "intersection of groups"],
    "Kendall's τ": ["Kendall's"],
    "Latent code": ["code of 128 numbers"],
    "KL divergence": ["KL term", "Kullback-Leibler"],
    "Model extraction": ["copying by questions"],
    "Own-versus-other evidence": ["own-versus-other"],
    "Parrot attack": ["parrot"],
    "Private set intersection": ["set intersection"],
    "Region of interest": ["region of an image"],
    "Reverse attack": ["reverse attacker"],
    "Secret share": ["random share"],
    "Wiener deconvolution": ["Wiener filter", "Wiener's filter"],
}


class Term(NamedTuple):
    """A word of the glossary: its `name` there, the `anchor` of its paragraph, and its `forms`."""

    name: str
    anchor: str
    forms: list[str]


def anchor(name: str) -> str:
    """Return the anchor of a term: "term-" and its letters and digits."""
    return "term-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def terms(text: str) -> list[Term]:
    """Return the terms of a glossary, whose paragraphs begin with the term in bold and a full stop.

    "A, B" and "A (B)" are two forms of one term.
    """
    found = []
    for name in re.findall(r"^\*\*(.+?)\.\*\*", text, re.M):
        forms = [form.strip() for form in re.split(r", |\(|\)", name)]
        forms = [form.removeprefix("to ") for form in forms if form]
        found.append(Term(name, anchor(name), forms + ALSO.get(name, [])))
    return found


@functools.cache
def of_the_book() -> list[Term]:
    """Return the terms of this book's glossary."""
    return terms((ROOT / f"{GLOSSARY}.md").read_text(encoding="utf-8"))


def pattern(form: str) -> str:
    """Return the regular expression of one form, its plural included; abbreviations keep their
    case, other words may begin with a capital.
    """
    if form.isupper() or not form.isascii():
        return re.escape(form).replace("'", "['’]") + r"(?:s\b|(?!\w))"
    first, rest = form[0], re.escape(form[1:])
    rest = rest[:-1] + "(?:y|ies)" if form.endswith("y") else rest + "(?:e?s)?"
    return f"[{first.upper()}{first.lower()}]{rest}\\b".replace("'", "['’]")


class Finder:
    """Finds the first use of each term in the texts given to `uses`, one after the other."""

    def __init__(self, known: list[Term]) -> None:
        """Begin with a page on which no term has been used."""
        self.left = {term.name: term for term in known}
        forms = sorted(
            ((form, term.name) for term in known for form in term.forms),
            key=lambda pair: -len(pair[0]),
        )
        self._of = [name for _, name in forms]
        parts = []
        for number, (form, _) in enumerate(forms):
            before = AMBIGUOUS.get(form.lower())
            lead = rf"\b{before}\s+" if before else r"(?<![\w-])"
            parts.append(rf"{lead}(?P<f{number}>{pattern(form)})")
        self._all = re.compile("|".join(parts))

    def uses(self, text: str) -> Iterator[tuple[int, int, Term]]:
        """Yield (start, end, term) for each term that this text uses as the first one."""
        for match in self._all.finditer(text):
            group = match.lastgroup or ""
            term = self.left.pop(self._of[int(group[1:])], None)
            if term is not None:
                yield match.start(group), match.end(group), term


def readable(document: nodes.document) -> list[nodes.Text]:
    """Return the texts of a page that a reader meets in order: no headings, links, code, formulas,
    and nothing that is folded away.
    """
    folded, found = 0, []
    for node in document.findall():
        if isinstance(node, nodes.raw):
            folded += node.astext().count("<details") - node.astext().count("</details")
        elif isinstance(node, nodes.Text) and not folded and not _inside(node):
            found.append(node)
    return found


def _inside(node: nodes.Node) -> bool:
    above = node.parent
    while above is not None:
        if isinstance(above, SKIPPED):
            return True
        above = above.parent
    return False


def link(document: nodes.document, known: list[Term], glossary: str) -> None:
    """Make the first use of each term in a page a link to its paragraph of the page `glossary`."""
    finder = Finder(known)
    for node in readable(document):
        text, end, parts = node.astext(), 0, []
        for start, stop, term in finder.uses(text):
            word = nodes.reference("", text[start:stop], internal=True, classes=["term"])
            word["refuri"] = f"{glossary}#{term.anchor}"
            parts += [nodes.Text(text[end:start]), word]
            end = stop
        if parts:
            node.parent.replace(node, [*parts, nodes.Text(text[end:])])


def link_page(app: Sphinx, document: nodes.document, page: str) -> None:
    """Link the terms of one page of the book."""
    if app.builder.format == "html" and page not in WITHOUT:
        link(document, of_the_book(), app.builder.get_relative_uri(page, GLOSSARY))


def name_paragraphs(app: Sphinx, document: nodes.document) -> None:
    """Give each paragraph of the glossary its anchor."""
    if app.env.docname == GLOSSARY:
        names = {f"{term.name}.": term.anchor for term in of_the_book()}
        for paragraph in document.findall(nodes.paragraph):
            first = next((child for child in paragraph.children if child.astext()), None)
            word = first.astext().replace("’", "'") if isinstance(first, nodes.strong) else ""
            if word in names:
                paragraph["ids"].append(names[word])


def setup(app: Sphinx) -> dict:
    """Connect both to Sphinx."""
    app.connect("doctree-read", name_paragraphs)
    app.connect("doctree-resolved", link_page, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
