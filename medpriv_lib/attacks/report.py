"""What an attack on a release found: the verdict in words, and as JSON and a page on disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from medpriv_lib.attacks.best import best, figure
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.labels import LABELS
from medpriv_lib.attacks.risk import risk_of
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.suspicion import clearly_below
from medpriv_lib.attacks.words import NOT_PROVED, interval, number, share
from medpriv_lib.core.files import atomic_write, write_json
from medpriv_lib.core.randomness import secret_order
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
class Report:
    """All that the page says: no name, no file name.

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

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict, the table of attacks, and the worst case."""
        from medpriv_lib.attacks.findings_page import fragment  # the page is made of reports

        return fragment(self)


def report_of(
    setting: Setting,
    findings: Sequence[Finding],
    audit: Audit,
    *,
    notes: Sequence[str] = (),
    numbers: Int64[np.ndarray, " p"] | None = None,
) -> Report:
    """Return the report of the findings of `run(setting)`.

    `audit` is that of the whole release, what was told to the attackers included. `numbers` (P,)
    are the neutral numbers of the patients, 1..P; None draws them from the operating system's
    entropy, so that no seed leads back to a patient.
    """
    scene, cohort = setting.scenes[0], setting.cohort
    naming, linking = best(findings, "rank1"), best(findings, "linkage_auc")
    risk, linkage_risk = risk_of(naming, cohort), risk_of(linking, cohort)
    if numbers is None:
        numbers = secret_order(cohort.patients) + 1
    winners = [one for one in (naming, linking) if one is not None]
    return Report(
        setting.method,
        len(scene.source),
        len(np.unique(scene.patient)),
        list(findings),
        risk,
        linkage_risk,
        numbers,
        audit,
        tuple(notes),
        _worst_case(setting, winners, most_at_risk(rates(risk), rates(linkage_risk), numbers)),
    )


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


def _worst_case(
    setting: Setting, winners: Sequence[Finding], patients: Sequence[int]
) -> WorstCase | None:
    """Return a released image of the patient most at risk beside the original that the best
    attacker linked it with; a right link before a wrong one.
    """
    scene, cohort = setting.scenes[0], setting.cohort
    for patient in patients:
        for one in winners:
            if one.linked is None:
                continue
            shown, rows = one.linked.T
            right = cohort.patient[rows] == scene.patient[shown]
            mine = np.flatnonzero(scene.patient[shown] == patient)
            if len(mine):
                pick = mine[np.argmax(right[mine])]
                return WorstCase(
                    scene.released[shown[pick]],
                    cohort.images[rows[pick]],
                    one.attack,
                    bool(right[pick]),
                )
    return None


def plain(report: Report) -> dict[str, Any]:
    """Return the report as JSON values; patients by their neutral numbers, and no picture."""
    findings = []
    for one in report.findings:
        values = one.plain()
        by_number = {
            int(report.numbers[int(patient)]): rate for patient, rate in one.per_patient.items()
        }
        values["per_patient"] = {
            str(number): round(float(by_number[number]), 4) for number in sorted(by_number)
        }
        findings.append(values)
    audit = report.audit
    return {
        "method": report.method,
        "images": report.images,
        "patients": report.patients,
        "verdict": report.verdict(),
        "findings": findings,
        "notes": list(report.notes),
        "not_proved": NOT_PROVED,
        "worst": [
            {
                "patient": number,
                "named": round(rate, 4),
                "linked": None if linked is None else round(linked, 4),
            }
            for number, rate, linked in report.worst()
        ],
        "groups": {
            "smallest": audit.smallest,
            "distribution": {str(size): count for size, count in audit.distribution.items()},
            "l_diversity": audit.l_diversity,
            "claimed": audit.claimed,
            "warnings": audit.warnings,
        },
    }


def write_report(report: Report, folder: str | os.PathLike, provenance: dict) -> None:
    """Write `report.html` and `report.json` into an existing folder; patients by their neutral
    numbers in both.
    """
    from medpriv_lib.attacks.findings_page import render  # the page is made of reports

    folder = Path(folder)
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(render(report), encoding="utf-8")
    write_json(folder / "report.json", {"provenance": provenance} | plain(report))
