"""Which method? Every combination of answers ends in one recommendation with a reason and a figure,
and none contradicts the verdicts."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import medpriv_lib as mp
from medpriv_lib.lessons import guide_html
from medpriv_lib.lessons.guide_html import Outcome
from medpriv_lib.study.advice.advise import advice
from medpriv_lib.study.advice.facts import read_facts
from medpriv_lib.study.advice.guide import guide
from medpriv_lib.study.advice.questions import QUESTIONS, situations
from medpriv_lib.study.advice.rules import HIDDEN, METHODS, NOTHING, RULES, SHOWING, asked, rule_for
from medpriv_lib.study.table import read_table
from medpriv_lib.study.verdict import Line, verdicts

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
RESULTS = CHAPTERS / "results"
HOLDINGS = ("nothing", "photographs", "source")


@pytest.fixture(scope="module")
def facts():
    return read_facts(RESULTS)


@pytest.fixture(scope="module")
def every(facts):
    """Return what is advised in every situation, by its answers."""
    return {tuple(one.values()): advice(one, facts) for one in situations()}


def test_every_combination_ends_in_one_recommendation_with_reason_and_figure(every):
    count = 1
    for one in QUESTIONS:
        count *= len(one.answers)
    assert len(every) == count == 108
    for answers, one in every.items():
        assert one.method in METHODS, answers
        assert len(one.reason) > 20, answers
        assert one.attacker, answers
        assert any(re.search(r"guessing \d|proof", line) for line in one.attacker), answers
        assert any(re.search(r"\d", line) for line in one.attacker), answers
        assert any((CHAPTERS / f"{one.page}.{end}").is_file() for end in ("ipynb", "md")), one.page


def test_no_recommendation_contradicts_the_verdicts(every):
    """Asked of the tables anew, without the guide's own reading of them."""
    tables = [
        verdicts(read_table(RESULTS / kind / "table.csv")) for kind in ("confounded", "crossed")
    ]
    seen = set()
    for situation in situations():
        one = every[tuple(situation.values())]
        if situation["have"] != "pictures" or one.method in (NOTHING, "original"):
            continue
        needed = {"intelligible", "lends nobody"}
        if situation["survive"] != "eye":
            needed |= {"disease", "no signs added"}
        if situation["survive"] == "signs":
            needed |= {"evidence"}
        lines = [t[METHODS[one.method].row].line(need) for t in tables for need in needed]
        assert all(line.holds for line in lines), (situation, lines)
        seen.add(one.method)
        if situation["sees"] == "anybody" or situation["holds"] != "nothing":
            for table in tables:  # a verdict that says "not hidden" forbids the recommendation
                assert table[METHODS[one.method].row].line("hidden").holds is not False
    assert "stranger" in seen


def test_who_holds_more_is_never_shown_more(every):
    for (have, sees, _, survive), _ in every.items():
        refused = [every[have, sees, held, survive].method == NOTHING for held in HOLDINGS]
        assert refused == sorted(refused), (have, sees, survive)


def test_what_must_survive_costs(every):
    for (have, sees, holds, _), _ in every.items():
        refused = [
            every[have, sees, holds, s].method == NOTHING for s in ("eye", "disease", "signs")
        ]
        assert refused == sorted(refused), (have, sees, holds)


def test_refusing_is_an_answer_and_not_the_only_one(every):
    found = [one.method == NOTHING for one in every.values()]
    assert 10 < sum(found) < len(found) - 10


def test_every_rule_is_reached_and_names_known_methods():
    reached = [rule_for(one) for one in situations()]
    assert all(any(rule is one for one in reached) for rule in RULES)
    assert all(name in METHODS for rule in RULES for name in rule.candidates)
    assert "original" not in SHOWING
    assert "federated" not in SHOWING


def test_questions_that_do_not_matter_change_nothing(every):
    for situation in situations():
        one = every[tuple(situation.values())]
        for other in situations():
            if all(situation[name] == other[name] for name in asked(situation)):
                assert every[tuple(other.values())] == one


def test_a_method_that_hides_would_be_recommended_and_one_that_fails_once_would_not(facts):
    situation = {"have": "pictures", "sees": "anybody", "holds": "photographs", "survive": "signs"}
    row = METHODS["blur-3"].row
    good = {
        need: [Line(need, True, "planted")] * 2
        for need in ("intelligible", "lends nobody", "disease", "no signs added", "evidence")
    }
    attacked = [
        replace(one, linked=(50.0, 45.0, 55.0), named=(0.9, 0.2, 1.5))
        for one in facts.attacked[row]
    ]
    assert len(attacked) == 2
    planted = replace(
        facts, lines={**facts.lines, row: good}, attacked={**facts.attacked, row: attacked}
    )
    assert advice(situation, planted).method == "blur-3"
    for need in good:
        bad = {**good, need: [Line(need, True, ""), Line(need, False, "")]}
        assert (
            advice(situation, replace(planted, lines={**planted.lines, row: bad})).method == NOTHING
        )
    for worse in ({"linked": (56.0, 50.0, 57.0)}, {"linked": (54.0, 50.0, 59.0)}, {"linked": None}):
        one = replace(attacked[1], **worse)
        told = replace(planted, attacked={**planted.attacked, row: [attacked[0], one]})
        assert advice(situation, told).method == NOTHING
    alone = replace(planted, attacked={**planted.attacked, row: attacked[:1]})
    assert advice(situation, alone).method == NOTHING  # the other cohort was not attacked
    never = replace(planted, attacked={k: v for k, v in facts.attacked.items() if k != row})
    assert advice(situation, never).method == NOTHING


@pytest.mark.parametrize(
    ("label", "whose"), [("diseased", " of the ill"), ("healthy", " of the healthy"), ("all", "")]
)
def test_the_few_are_not_hidden_by_a_mean_over_all(tmp_path, label, whose):
    """As measured where the pupil is kept: the mean over all would pass, the ill are linked."""
    folder = shutil.copytree(RESULTS, tmp_path / "results")
    hidden = {"others": {"value": 0.54, "low": 0.51, "high": 0.56, "chance": 0.5}}
    linked = {"others": {"value": 0.67, "low": 0.62, "high": 0.70, "chance": 0.5}}
    method = METHODS["sign-transfer-kept"]
    figures = dict.fromkeys(("all", "healthy", "diseased"), hidden) | {label: linked}
    rows = [{"experiment": method.row[0], "set": method.row[1], "figures": figures}]
    made = {"n": 9, "patients": 3, "data_hash": "", "weights": {}}
    for kind in ("confounded", "crossed"):
        content = json.dumps({"provenance": made, "methods": rows})
        (folder / kind / "attacks.json").write_text(content)
    line = read_facts(folder).line(method, HIDDEN)
    assert line.holds is False
    assert f"linked to other photographs{whose} 67.0 [62.0, 70.0]" in line.numbers


def test_membership_decides_about_networks(facts):
    situation = {"have": "network", "sees": "anybody", "holds": "source", "survive": "eye"}
    told = {}
    for key in ("lira/8", "lira/3"):
        finding = facts.private[key]["finding"]
        intervals = {"auc": [0.5, 0.7]}
        told[key] = {**facts.private[key], "finding": {**finding, "intervals": intervals}}
    planted = replace(facts, private={**facts.private, **told})
    assert advice(situation, planted).method == "private-1"


def test_advise_says_what_is_wrong_with_an_answer():
    with pytest.raises(ValueError, match="One of: ward, partner, anybody"):
        mp.advise("pictures", "everyone", "nothing", "eye", RESULTS)
    with pytest.raises(FileNotFoundError, match="chapters/results"):
        mp.advise("pictures", "ward", "nothing", "eye", CHAPTERS)
    said = str(mp.advise("pictures", "ward", "nothing", "eye", RESULTS))
    assert said.startswith("Show the original, inside.")
    assert "What an attacker reached:" in said


def test_the_page_holds_every_answer_and_escapes_texts():
    page = guide(RESULTS)
    assert page.count('type="radio"') == sum(len(one.answers) for one in QUESTIONS)
    assert page.count("<script>") == page.count("</script>") == 1
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    distinct = {(tuple((n, one[n]) for n in asked(one))) for one in situations()}
    assert body.count("<tr>") == len(distinct) == 30
    assert METHODS[NOTHING].title in body
    assert METHODS["stranger"].title in body


def test_a_guide_needs_an_outcome_for_every_combination_and_escapes_it():
    asked_of = {"q": ("Q?", {"a": "A", "b": "</script><b>"})}
    bad = Outcome("</script><b>", "s", "r", ("</script>",), (), "p", "l")
    with pytest.raises(ValueError, match="1 of 2 combinations"):
        guide_html.page("x", asked_of, {("a",): bad}, {("a",): ["q"]}, ("a",))
    both = {("a",): bad, ("b",): bad}
    page = guide_html.page("x", asked_of, both, {key: ["q"] for key in both}, ("a",))
    assert page.count("</script>") == 1
    assert "<b>" not in page


def test_what_was_attacked_on_one_of_two_cohorts_is_not_called_hidden(facts):
    method = METHODS["sign-transfer-freed"]
    crossed = [one for one in facts.attacked[method.row] if one.cohort == "crossed"]
    assert crossed
    alone = replace(facts, attacked={**facts.attacked, method.row: crossed})
    line = alone.line(method, "hidden")
    assert line.holds is not True
    assert "confounded: not attacked yet" in line.numbers
    both = [*crossed, replace(crossed[0], cohort="confounded")]
    assert "not attacked" not in (
        replace(facts, attacked={**facts.attacked, method.row: both}).line(method, "hidden").numbers
    )
