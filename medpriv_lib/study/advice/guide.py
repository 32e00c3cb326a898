"""The guide as HTML: the questions, and for every combination of answers what the results say."""

import os

from medpriv_lib.lessons import guide_html
from medpriv_lib.lessons.guide_html import Outcome
from medpriv_lib.study.advice.advise import Advice, advice
from medpriv_lib.study.advice.facts import read_facts
from medpriv_lib.study.advice.questions import QUESTIONS, situations
from medpriv_lib.study.advice.rules import NOTHING, asked

START = ("pictures", "anybody", "photographs", "signs")  # what this book began with


def guide(results: str | os.PathLike = "results", name: str = "which-method") -> str:
    """Return the guide over the results of a folder as HTML; `name` is its id on the page.

    Raises `FileNotFoundError` where results are missing.
    """
    facts, outcomes, matter = read_facts(results), {}, {}
    for situation in situations():
        key = tuple(situation.values())
        outcomes[key] = _outcome(advice(situation, facts))
        matter[key] = asked(situation)
    questions = {one.name: (one.text, one.answers) for one in QUESTIONS}
    return guide_html.page(name, questions, outcomes, matter, START)


def _outcome(one: Advice) -> Outcome:
    return Outcome(
        one.title,
        one.step,
        one.reason,
        one.attacker,
        one.missed,
        one.page,
        f"Read more: {one.page.replace('-', ' ')}",
        one.method == NOTHING,
    )
