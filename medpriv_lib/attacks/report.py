"""What an attack on a release found, as one HTML page that asks the network for nothing, and as
JSON.
"""

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medpriv_lib.attacks.best import best
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.html_page import html_page
from medpriv_lib.measures.anonymity import Audit
from medpriv_lib.measures.per_patient import Risk
from medpriv_lib.study.table import write_json

WORST = 10
NAMES = {
    "rank1": "patient named first",
    "rank5": "patient among the first five",
    "rank1_own": "source itself found",
    "linkage_auc": "linkage AUC",
    "tar_1": "linked at 1 % false alarms",
    "tar_01": "linked at 0.1 % false alarms",
    "own_auc": "linkage AUC, source itself",
    "own_tar_1": "source itself linked at 1 % false alarms",
}
NOT_PROVED = (
    "A low number here does not prove that nobody can do better: it says that these attackers, with this "
    "training and these images, did not. Another network, more images, several releases of the same patient, "
    "or knowledge from elsewhere (a name in a file, a rare disease, an age) were not tried beyond what is "
    "listed. A high number is a proof: it was done."
)


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page says: no name, no file name.

    `method` of the release; `images` and `patients` how many were attacked; `findings` of all
    attacks; `risk` per patient from the best naming attack and `linkage_risk` from the best linking
    one, or None; `numbers` (P,) the neutral number of each patient; `audit` the anonymity groups;
    `notes` what was not tried and why.
    """

    method: str
    images: int
    patients: int
    findings: Sequence[Finding]
    risk: Risk | None
    linkage_risk: Risk | None
    numbers: np.ndarray
    audit: Audit
    notes: Sequence[str] = ()

    def verdict(self) -> str:
        """Return the main result in up to three sentences."""
        parts = []
        naming, linking = best(self.findings, "rank1"), best(self.findings, "linkage_auc")
        if naming is not None:
            parts.append(
                f"The best naming attack ({naming.attack}) puts the right patient first for "
                f"{_share(naming.measures['rank1'])} of its images{_interval(naming, 'rank1')}; guessing "
                f"would for {_share(naming.chance.get('rank1', 0))}."
            )
        if linking is not None:
            parts.append(
                f"The best linking attack ({linking.attack}) ranks a true pair above a false one with "
                f"probability {linking.measures['linkage_auc']:.3f}{_interval(linking, 'linkage_auc')}; "
                "guessing gives 0.5."
            )
        if (owning := best(self.findings, "own_auc")) is not None:
            parts.append(
                f"Who holds the source itself ({owning.attack}): {owning.measures['own_auc']:.3f}."
            )
        return " ".join(parts) or "No attack was possible on this release."

    def worst(self) -> list[tuple[int, float, float | None]]:
        """Return the patients most at risk: (neutral number, share named, share linked), at most
        ten.

        Patients who were never found are left out.
        """
        rates = {} if self.risk is None else self.risk.per_patient()
        linked = {} if self.linkage_risk is None else self.linkage_risk.per_patient()
        found = {
            one
            for one in set(rates) | set(linked)
            if rates.get(one, 0) > 0 or linked.get(one, 0) > 0
        }
        there = sorted(
            found, key=lambda one: (-rates.get(one, 0), -linked.get(one, 0), self.numbers[one])
        )
        return [
            (int(self.numbers[one]), rates.get(one, 0.0), linked.get(one)) for one in there[:WORST]
        ]


def render(report: Report) -> str:
    """Return the page; everything that comes from the release is escaped."""
    tried = "".join(_row(one, report.numbers) for one in report.findings)
    worst = "".join(
        f'<tr><th scope="row">patient {number}</th><td class="number">{_share(rate)}</td>'
        f'<td class="number">{"–" if linked is None else _share(linked)}</td></tr>'
        for number, rate, linked in report.worst()
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in report.notes)
    return html_page(
        "Attacks on a release",
        f"""<h1>What attackers found in this release</h1>
<p>{report.images} released images of {report.patients} patients, made by {html.escape(report.method)}.</p>
<p>{html.escape(report.verdict())}</p>
<h2>What was tried, what the attacker knew, what was found</h2>
<div class="scroll" tabindex="0" role="region" aria-label="attacks">
<table><thead><tr><th scope="col">attack</th><th scope="col">the attacker knew</th><th scope="col">found</th></tr>
</thead>
<tbody>{tried}</tbody></table></div>
{_curves(report.findings)}
<h2>Who is at risk</h2>
{_risk(report)}
<div class="scroll" tabindex="0" role="region" aria-label="patients at risk">
<table><caption>The patients who were found most often. The numbers are drawn at random; only keep/patients.csv says
who they are.</caption><thead><tr><th scope="col">patient</th><th scope="col" class="number">named</th>
<th scope="col" class="number">linked at 1 % false alarms</th></tr></thead><tbody>{worst}</tbody></table></div>
<h2>Groups of equal images</h2>
<pre>{html.escape(report.audit.text())}</pre>
<h2>What this does not prove</h2>
<p>{html.escape(NOT_PROVED)}</p>{notes}""",
    )


def write_report(report: Report, folder: str | os.PathLike, provenance: dict) -> None:
    """Write `report.html` and `report.json` into an existing folder; patients by their neutral
    numbers in both.
    """
    folder = Path(folder)
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(render(report), encoding="utf-8")
    findings = []
    for one in report.findings:
        plain = one.rows()
        plain["per_patient"] = {
            str(int(report.numbers[int(patient)])): rate
            for patient, rate in plain["per_patient"].items()
        }
        plain["per_patient"] = dict(
            sorted(plain["per_patient"].items(), key=lambda item: int(item[0]))
        )
        findings.append(plain)
    audit = report.audit
    write_json(
        folder / "report.json",
        {
            "provenance": provenance,
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
                "distribution": {str(k): v for k, v in audit.distribution.items()},
                "l_diversity": audit.l_diversity,
                "claimed": audit.claimed,
                "warnings": audit.warnings,
            },
        },
    )


def _row(one: Finding, numbers: np.ndarray) -> str:
    found = "<br>".join(
        f"{html.escape(NAMES.get(key, key.replace('_', ' ')))}: {_number(key, value)}{_interval(one, key)}"
        + (f" (guessing {_number(key, one.chance[key])})" if key in one.chance else "")
        for key, value in one.measures.items()
    )
    if (
        one.attack.startswith("membership") and one.per_patient
    ):  # a mean like guessing may hide a few sure ones
        surest = sorted(one.per_patient, key=lambda who: (-one.per_patient[who], numbers[who]))[:3]
        found += "<br>surest: " + ", ".join(
            f"patient {numbers[who]} ({one.per_patient[who]:.2f})" for who in surest
        )
    note = f'<br><span class="soft">{html.escape(one.note)}</span>' if one.note else ""
    return (
        f'<tr><th scope="row">{html.escape(one.attack)}</th><td>{html.escape(one.knowledge)}</td>'
        f"<td>{found}{note}</td></tr>\n"
    )


def _risk(report: Report) -> str:
    if report.risk is None:
        return "<p>No naming attack was possible.</p>"
    text = "".join(f"<p>{html.escape(line)}</p>" for line in report.risk.text().splitlines())
    return f"{text}{_histogram(report.risk.rate)}"


def _histogram(rate: np.ndarray) -> str:
    """Draw how many patients are named in which share of their images."""
    counts, _ = np.histogram(rate, bins=10, range=(0, 1))
    top = max(1, int(counts.max()))
    bars = "".join(
        f'<rect x="{40 + 36 * i}" y="{110 - 90 * count / top:.1f}" width="30" '
        f'height="{90 * count / top:.1f}" fill="var(--mark)"/>'
        f'<text x="{55 + 36 * i}" y="{106 - 90 * count / top:.1f}" text-anchor="middle" font-size="11" '
        f'fill="currentColor">{count}</text>'
        for i, count in enumerate(counts.tolist())
    )
    label = (
        f"Histogram: {counts[0]} of {len(rate)} patients are named in under 10 % of their images, {counts[-1]} in "
        "90 % or more."
    )
    ends = "".join(
        f'<text x="{40 + 36 * i}" y="126" font-size="11" fill="currentColor">{10 * i} %</text>'
        for i in (0, 5, 9)
    )
    return (
        f'<svg viewBox="0 0 420 132" width="420" role="img" aria-label="{label}"><title>{label}</title>{bars}{ends}'
        "</svg>"
    )


def _curves(findings: Sequence[Finding]) -> str:
    """Draw the share of images whose patient is among the first r, for each naming attack."""
    shown = [one for one in findings if len(one.curves.get("cmc", ())) > 1]
    if not shown:
        return ""
    lines, label = [], []
    for one, dash in zip(shown, ("", "6 4", "2 3", "8 3 2 3"), strict=False):
        cmc = one.curves["cmc"]
        points = " ".join(
            f"{40 + 340 * i / (len(cmc) - 1):.1f},{170 - 150 * value:.1f}"
            for i, value in enumerate(cmc)
        )
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="var(--mark)" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
        label.append(f"{one.attack} {100 * cmc[0]:.0f} % at rank 1")
    text = html.escape(
        "Share of images whose patient is among the first r: " + ", ".join(label) + "."
    )
    styles = ", ".join(
        f"{one.attack} {name}"
        for one, name in zip(shown, ("solid", "dashed", "dotted", "dash-dot"), strict=False)
    )
    axis = (
        '<path d="M40 20V170H380" fill="none" stroke="currentColor"/><text x="4" y="26" font-size="11" '
        'fill="currentColor">100 %</text><text x="40" y="186" font-size="11" fill="currentColor">rank 1</text>'
        '<text x="350" y="186" font-size="11" fill="currentColor">last</text>'
    )
    return (
        f'<h2>Rank by rank</h2><svg viewBox="0 0 400 192" width="400" role="img" aria-label="{text}">'
        f'<title>{text}</title>{axis}{"".join(lines)}</svg><p class="soft">{html.escape(styles)}</p>'
    )


def _interval(one: Finding, key: str) -> str:
    if key not in one.intervals:
        return ""
    low, high = one.intervals[key]
    return f" (95 % {_number(key, low)} to {_number(key, high)})"


def _number(key: str, value: float) -> str:
    return (
        _share(value)
        if key.startswith(("rank", "tar", "own_tar", "copied", "right"))
        else f"{value:.3f}"
    )


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
