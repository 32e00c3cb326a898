"""The report of the attacks on a release: in a notebook, as JSON, and as a page on disk."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from medpriv_lib.attacks.best import best
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.findings_page import fragment, render
from medpriv_lib.attacks.outcome import Outcome, WorstCase, most_at_risk, rates
from medpriv_lib.attacks.risk import risk_of
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.words import NOT_PROVED
from medpriv_lib.core.files import atomic_write, write_json
from medpriv_lib.core.randomness import secret_order
from medpriv_lib.measures.anonymity import Audit


class Report(Outcome):
    """What the attacks came to, with the form that a notebook shows: the verdict, the table of
    attacks, and the worst case.
    """

    def _repr_html_(self) -> str:
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
    folder = Path(folder)
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(render(report), encoding="utf-8")
    write_json(folder / "report.json", {"provenance": provenance} | plain(report))
