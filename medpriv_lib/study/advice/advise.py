"""From four answers to one recommendation, its reason, and what an attacker reached."""

import html
import os
from dataclasses import dataclass

from medpriv_lib.study.advice.facts import BETTER, Attacked, Facts, read_facts, shown
from medpriv_lib.study.advice.questions import Situation, checked
from medpriv_lib.study.advice.rules import (
    METHODS,
    NOTHING,
    PRIVATE,
    Method,
    rule_for,
)
from medpriv_lib.study.verdict import Line


@dataclass(frozen=True)
class Advice:
    """What the guide says: the `method` ("nothing": do not release), its `title`, the next `step`,
    the `reason`, the `attacker`'s figures as sentences, what is `missed` by methods that were
    tried before, and the `page` of the book that explains the method.
    """

    method: str
    title: str
    step: str
    reason: str
    attacker: tuple[str, ...]
    missed: tuple[str, ...]
    page: str

    def __str__(self) -> str:
        """Return the advice as text."""
        listed = [f"  - {line}" for line in self.attacker]
        more = ["Tried first, and why not:", *(f"  - {line}" for line in self.missed)]
        return "\n".join(
            [f"{self.title}. {self.step}", self.reason, "What an attacker reached:", *listed]
            + (more if self.missed else [])
        )

    def _repr_html_(self) -> str:
        return f"<pre style='white-space:pre-wrap'>{html.escape(str(self))}</pre>"


def advise(
    have: str, sees: str, holds: str, survive: str, results: str | os.PathLike = "results"
) -> Advice:
    """Return what the course's results recommend in a situation.

    The answers are those of `QUESTIONS`; `results` is the folder of the results files. Raises
    `ValueError` for an answer that there is not, `FileNotFoundError` where results are missing.
    No legal advice, and no promise: figures of synthetic eyes and of these attackers.
    """
    situation = {"have": have, "sees": sees, "holds": holds, "survive": survive}
    return advice(checked(situation), read_facts(results))


def advice(situation: Situation, facts: Facts) -> Advice:
    """Return what these facts recommend: the first candidate of the rule whose needed lines all
    hold, or nothing.
    """
    rule = rule_for(situation)
    missed: list[str] = []
    needs = rule.requirements(situation)
    for name in rule.candidates:
        method = METHODS[name]
        lines = [facts.line(method, need) for need in needs]
        if all(line.holds for line in lines):
            return _said(method, rule.reason, _figures(method, facts), missed)
        missed.append(_missed(method, lines))
    nearest = _nearest(rule.candidates, needs, facts)
    if nearest is None:  # no method was tried
        return _said(METHODS[NOTHING], rule.reason, _figures(METHODS["encrypted"], facts), missed)
    failed = _missed(nearest, [facts.line(nearest, need) for need in needs])
    figures = [f"Nearest came: {failed}.", *_figures(nearest, facts)]
    return _said(METHODS[NOTHING], rule.reason, figures, missed)


def _said(method: Method, reason: str, figures: list[str], missed: list[str]) -> Advice:
    return Advice(
        method.name, method.title, method.step, reason, tuple(figures), tuple(missed), method.page
    )


def _missed(method: Method, lines: list[Line]) -> str:
    failed = [line for line in lines if not line.holds]
    said = (f"{one.requirement} ({one.numbers})" for one in failed)
    return f"{method.title}: {'; '.join(said)}"


def _nearest(candidates: tuple[str, ...], needs: tuple[str, ...], facts: Facts) -> Method | None:
    """Return the candidate with an attacker's figure that misses the fewest lines, of several the
    first.
    """
    missed = {
        name: sum(not facts.line(METHODS[name], need).holds for need in needs)
        for name in candidates
        if METHODS[name].row in facts.attacked or METHODS[name].row[0] in facts.private
    }
    return METHODS[min(missed, key=missed.__getitem__)] if missed else None


def _figures(method: Method, facts: Facts) -> list[str]:
    if method.name in (*PRIVATE, "plain-network", "kept-network"):
        return _membership(method, facts)
    if method.name in ("federated", "aggregated"):
        return _inverted(method, facts)
    if method.name == "encrypted":
        flips = len(facts.encrypted["logits"]["flips"])
        count = len(facts.encrypted["logits"]["error"])
        return [
            "A share alone says nothing: that is a proof, not a measurement. Decisions that the "
            f"protocol changed: {flips} of {count}.",
            "If both parties put their shares together they hold the picture. "
            + _attacked(facts.attacked[method.row][0]),
        ]
    if method.name == "own-computer":
        return ["If the picture left: " + _attacked(facts.attacked[method.row][0])]
    found = facts.attacked.get(method.row, [])
    if not found:  # the judge is the weakest attacker, and said to be one
        naive = [f"{method.title}, {said}" for said in facts.judged.get(method.row, [])]
        return [*naive, "Attackers who know the method were not tried on it yet."]
    said = [f"{method.title}, {_attacked(one)}" for one in found]
    if method.name != "original":  # the positive control
        said += [
            f"The same attackers on the originals, {_attacked(one)}"
            for one in facts.attacked[METHODS["original"].row]
            if one.cohort in {other.cohort for other in found}
        ]
    return said


def _attacked(one: Attacked) -> str:
    parts, (linked, named, source) = [], one.whose
    if one.named is not None:
        parts.append(
            f"the best attacker names {shown(one.named)} %{named} (guessing {one.chance:.1f})"
        )
    if one.linked is not None:
        parts.append(
            f"links other photographs{linked} with an area of {shown(one.linked)} (guessing 50)"
        )
    if one.source is not None:
        parts.append(f"the very picture{source} with {shown(one.source)}")
    return f"{one.cohort}: {', '.join(parts)}; {one.n} images of {one.patients} patients."


def _membership(method: Method, facts: Facts) -> list[str]:
    said = []
    for key, what in ((method.row[0], method.title), ("lira/none", "The same without noise")):
        finding = facts.private[key]["finding"]
        area = [100 * v for v in (finding["measures"]["auc"], *finding["intervals"]["auc"])]
        said.append(
            f"{what}: who taught the network is guessed with an area of {shown(area)} "
            f"(guessing 50; {finding['patients']} patients, {facts.private[key]['models']} models)."
        )
    finding = facts.private["lira/overfitted"]["finding"]
    area = [100 * v for v in (finding["measures"]["auc"], *finding["intervals"]["auc"])]
    said.append(f"The same attacker on a network that overfits: {shown(area)}.")
    part = facts.private[method.row[1]]
    right = [100 * v for v in (part["auc"], *part["interval"])]
    said.append(f"What the network is worth: ill told from healthy with an area of {shown(right)}.")
    return said if method.name in PRIVATE else said[:1] + said[2:]


def _inverted(method: Method, facts: Facts) -> list[str]:
    def first(row: str) -> str:
        one = facts.inversion[row]
        return (
            f"{row}: the right eye is first for {100 * one['first']:.0f} % of {one['n']:.0f} "
            f"updates (guessing {100 * one['chance']:.1f} %)"
        )

    rows = {"federated": ("batch of 4", "batch of 8"), "aggregated": ("masked", "sum of 3 sites")}
    said = [f"Pictures rebuilt from an update, {first(row)}." for row in rows[method.name]]
    if method.name == "aggregated":
        said.append(f"The masked updates again, {first(f'{BETTER}, masked')}.")
    said.append(f"The same attacker, one picture in the update, {first('average pooling')}.")
    return [*said, f"One picture in the update, {first(f'{BETTER}, average pooling')}."]
