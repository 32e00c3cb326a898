"""What the attacks on a release came to: numbers, the verdict in words, and who is most at risk."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from medpriv_lib.attacks.best import best, figure
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.labels import LABELS
from medpriv_lib.attacks.suspicion import clearly_below
from medpriv_lib.attacks.words import interval, number, share
from medpriv_lib.measures.anonymity import Audit
from medpriv_lib.measures.per_patient import Risk

WORST = 10


@dataclass(frozen=True, eq=False)
class WorstCase:
    """The patient most at risk: the released image (H, W), or (H, W, 3), that stands for the
    patient, the original that the attacker `attack` linked it with, and whether the two are of the
    same patient.
    """

    released: UInt8[np.ndarray, "h w *c"]
    original: UInt8[np.ndarray, "h w *c"]
    attack: str
    right: bool


@dataclass(frozen=True, eq=False)
class Outcome:
    """All that a report says: no name, no file name.

    `method` of the release; `images` and `patients` how many were attacked; `findings` of all
    attacks; `risk` per patient from the best naming attack and `linkage_risk` from the best linking
    one, or None; `numbers` (P,) the neutral number of each patient; `audit` the anonymity groups;
    `notes` what was not tried and why; `case` the patient most at risk, held in memory for a
    notebook and never written, or None.
    """

    method: str
    images: int
    patients: int
    findings: Sequence[Finding]
    risk: Risk | None
    linkage_risk: Risk | None
    numbers: Int64[np.ndarray, " p"]
    audit: Audit
    notes: Sequence[str] = ()
    case: WorstCase | None = field(default=None, repr=False)

    @property
    def by_guessing(self) -> float | None:
        """What whoever knows the groups of equal images names at least: 1 / the patients of the
        smallest group. None where some image is equal to no other patient's.
        """
        return None if self.audit.smallest < 2 else 1 / self.audit.smallest

    def verdict(self) -> str:
        """Return the main result in a few sentences, first of all what is wrong with it."""
        naming, linking = best(self.findings, "rank1"), best(self.findings, "linkage_auc")
        parts = [*self.errors(), *self._naming(naming)]
        if linking is not None:
            parts.append(
                f"The best linking attack ({linking.attack}) ranks a true pair above a false one "
                f"with probability {linking.measures['linkage_auc']:.3f}"
                f"{interval(linking, 'linkage_auc')}; guessing gives 0.5."
            )
        if (owning := best(self.findings, "own_auc")) is not None:
            parts.append(
                f"Who holds the source itself ({owning.attack}): {owning.measures['own_auc']:.3f}."
            )
        parts += self._labels()
        return " ".join(parts) or "No attack was possible on this release."

    def _labels(self) -> list[str]:
        """Say what the best attacker reaches on healthy and on diseased images, where both are
        known.
        """
        told = []
        for measure, what in (
            ("rank1", "named"),
            ("linkage_auc", "linked"),
            ("own_auc", "linked by who holds the source"),
        ):
            each = [figure(self.findings, measure, label) for label in LABELS]
            if None not in each:
                shown = ", ".join(
                    f"{label} {number(measure, one.value)}"
                    for label, one in zip(LABELS, each, strict=True)
                    if one is not None
                )
                told.append(f"{what}: {shown}")
        return [f"By label, the best attacker of each: {'; '.join(told)}."] if told else []

    def _naming(self, naming: Finding | None) -> list[str]:
        """Say how many the best naming attack names, and never less than who knows the groups."""
        floor, told = self.by_guessing, []
        reached = 0.0 if naming is None else naming.measures["rank1"]
        if floor is not None and reached < floor:
            told.append(
                f"Whoever knows who is in which group of equal images names the right patient for "
                f"{share(floor)} of the images in the smallest group (1 of {self.audit.smallest}): "
                "no attack below that shows protection."
            )
        if naming is not None:
            told.append(
                f"The best naming attack ({naming.attack}) puts the right patient first for "
                f"{share(reached)} of its images{interval(naming, 'rank1')}; guessing would for "
                f"{share(naming.chance.get('rank1', 0))}."
            )
        return told

    def errors(self) -> list[str]:
        """Return one sentence for each best attack that did clearly worse than guessing."""
        told = []
        for measure in ("rank1", "linkage_auc"):
            one = best(self.findings, measure)
            if one is not None and clearly_below(one, measure):
                told.append(
                    f"Error of the experiment: even the best attack ({one.attack}) is clearly "
                    f"below guessing ({number(measure, one.measures[measure])} against "
                    f"{number(measure, one.chance[measure])}), so that it was sent to others on "
                    "purpose; this says nothing of protection."
                )
        return told

    def worst(self) -> list[tuple[int, float, float | None]]:
        """Return the patients most at risk: (neutral number, share named, share linked), at most
        ten.

        Patients who were never found are left out.
        """
        named, linked = rates(self.risk), rates(self.linkage_risk)
        there = most_at_risk(named, linked, self.numbers)[:WORST]
        return [(int(self.numbers[one]), named.get(one, 0.0), linked.get(one)) for one in there]


def rates(risk: Risk | None) -> dict[int, float]:
    """Return patient number -> how often the patient is found; nothing without a risk."""
    return {} if risk is None else risk.per_patient()


def most_at_risk(
    named: dict[int, float], linked: dict[int, float], numbers: Int64[np.ndarray, " p"]
) -> list[int]:
    """Return the patients who were found at least once, the most often named first, then the most
    often linked; equal ones in the order of their neutral numbers.
    """
    found = {one for one, rate in [*named.items(), *linked.items()] if rate > 0}
    return sorted(found, key=lambda one: (-named.get(one, 0), -linked.get(one, 0), numbers[one]))
