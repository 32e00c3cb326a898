"""The page of an attack report: what was tried, known and found, without a request to anywhere."""

import html
from collections.abc import Sequence

import numpy as np

from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.outcome import Outcome
from medpriv_lib.attacks.words import NOT_PROVED, interval, number, share
from medpriv_lib.core.html_page import html_page, inline_image, scaling_of

NAMES = {
    "rank1": "patient named first",
    "rank5": "patient among the first five",
    "rank1_own": "source itself found",
    "rank5_own": "source itself among the first five",
    "rank1_sources": "source found among the sources",
    "rank5_sources": "source among the first five of the sources",
    "linkage_auc": "linkage AUC",
    "tar_1": "linked at 1 % false alarms",
    "tar_01": "linked at 0.1 % false alarms",
    "own_auc": "linkage AUC, source itself",
    "own_tar_1": "source itself linked at 1 % false alarms",
    "eye_rank1": "eye named first",
    "found": "contributors on the list of the likeliest",
    "first": "likeliest contributor right",
    "exact": "answer to the source equal to the last level",
}
# on a phone the cells of a row stand below each other, so that the findings are not off the screen
NARROW = """
@media screen and (max-width: 600px) {
  table.findings thead { display: none; }
  table.findings, table.findings tbody, table.findings tr, table.findings th, table.findings td {
    display: block; width: auto; min-width: 0; border: 0; padding: .1rem 0; white-space: normal; }
  table.findings tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
}
"""


def _counted(outcome: Outcome) -> str:
    """Say how many images were released, and how many of them were attacked where that is less."""
    released, by = len(outcome.audit.group), html.escape(outcome.method)
    patients = outcome.audit.patients or outcome.patients
    text = f"{released} released images of {patients} patients, made by\n{by}."
    if released > outcome.images:
        text += (
            f" {outcome.images} of them were attacked; the others were told to the attackers, who "
            "learned from them."
        )
    return text


def render(outcome: Outcome) -> str:
    """Return the whole page; everything that comes from the release is escaped. No picture of a
    patient is on it.
    """
    worst = "".join(
        f'<tr><th scope="row">patient {patient}</th><td class="number">{share(rate)}</td>'
        f'<td class="number">{"–" if linked is None else share(linked)}</td></tr>'
        for patient, rate, linked in outcome.worst()
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in outcome.notes)
    return html_page(
        "Attacks on a release",
        f"""<h1>What attackers found in this release</h1>
<p>{_counted(outcome)}</p>
<p>{html.escape(outcome.verdict())}</p>
<h2>What was tried, what the attacker knew, what was found</h2>
<div class="scroll" tabindex="0" role="region" aria-label="attacks">
{_table(outcome)}</div>
{_curves(outcome.findings)}
<h2>Who is at risk</h2>
{_risk(outcome)}
<div class="scroll" tabindex="0" role="region" aria-label="patients at risk">
<table><caption>The patients who were found most often. The numbers are drawn at random; only
keep/patients.csv says who they are.</caption><thead><tr><th scope="col">patient</th>
<th scope="col" class="number">named</th>
<th scope="col" class="number">linked at 1 % false alarms</th></tr></thead>
<tbody>{worst}</tbody></table></div>
<h2>Groups of equal images</h2>
<pre>{html.escape(outcome.audit.text())}</pre>
<h2>What this does not prove</h2>
<p>{html.escape(NOT_PROVED)}</p>{notes}""",
        NARROW,
    )


def fragment(outcome: Outcome) -> str:
    """Return what a notebook shows: the verdict, the attacks, and the worst case."""
    case = outcome.case
    picture = ""
    if case is not None:
        truth = "of the same patient" if case.right else "of somebody else"
        scaled = f"image-rendering:{scaling_of(case.released.shape[1])}"
        released = inline_image(case.released, "the released image", scaled)
        original = inline_image(case.original, "the original it was linked with", scaled)
        picture = (
            f'<figure style="margin:1em 0">{released} {original}<figcaption>The patient most '
            "at risk: the released image, and beside it the original that an attacker "
            f"({html.escape(case.attack)}) linked it with, {truth}.</figcaption></figure>"
        )
    return (
        f"<p><strong>{html.escape(outcome.verdict())}</strong></p>{picture}{_table(outcome)}"
        f"<p>{html.escape(NOT_PROVED)}</p>"
    )


def _table(outcome: Outcome) -> str:
    rows = "".join(_row(one, outcome.numbers) for one in outcome.findings)
    return (
        '<table class="findings"><thead><tr><th scope="col">attack</th>'
        '<th scope="col">the attacker knew</th><th scope="col">found</th></tr></thead>\n'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(one: Finding, numbers: np.ndarray) -> str:
    lines = [
        f"{html.escape(NAMES.get(key, key.replace('_', ' ')))}: {number(key, value)}"
        + interval(one, key)
        + (f" (guessing {number(key, one.chance[key])})" if key in one.chance else "")
        for key, value in one.measures.items()
    ]
    lines += [
        f"{label}: "
        + "; ".join(
            f"{html.escape(NAMES.get(key, key.replace('_', ' ')))} {number(key, value)} "
            f"({number(key, low)} to {number(key, high)})"
            for key, (value, low, high) in measures.items()
        )
        for label, measures in one.by_label.items()
    ]
    if (
        one.kind == "membership" and one.per_patient
    ):  # a mean like guessing may hide a few sure ones
        surest = sorted(one.per_patient, key=lambda who: (-one.per_patient[who], numbers[who]))[:3]
        lines.append(
            "surest: "
            + ", ".join(f"patient {numbers[who]} ({one.per_patient[who]:.2f})" for who in surest)
        )
    if one.note:
        lines.append(f'<span class="soft">{html.escape(one.note)}</span>')
    return (
        f'<tr><th scope="row">{html.escape(one.attack)}</th><td>{html.escape(one.knowledge)}</td>'
        f"<td>{'<br>'.join(lines)}</td></tr>\n"
    )


def _risk(outcome: Outcome) -> str:
    if outcome.risk is None:
        return "<p>No naming attack was possible.</p>"
    text = "".join(f"<p>{html.escape(line)}</p>" for line in outcome.risk.text().splitlines())
    return f"{text}{_histogram(outcome.risk.rate)}"


def _histogram(rate: np.ndarray) -> str:
    """Draw how many patients are named in which share of their images."""
    counts, _ = np.histogram(rate, bins=10, range=(0, 1))
    top = max(1, int(counts.max()))
    bars = "".join(
        f'<rect x="{40 + 36 * i}" y="{110 - 90 * count / top:.1f}" width="30" '
        f'height="{90 * count / top:.1f}" fill="var(--mark)"/>'
        f'<text x="{55 + 36 * i}" y="{106 - 90 * count / top:.1f}" text-anchor="middle" '
        f'font-size="11" fill="currentColor">{count}</text>'
        for i, count in enumerate(counts.tolist())
    )
    label = (
        f"Histogram: {counts[0]} of {len(rate)} patients are named in under 10 % of their images, "
        f"{counts[-1]} in 90 % or more."
    )
    edges = "".join(
        f'<text x="{37 + 36 * i}" y="126" text-anchor="middle" font-size="11" '
        f'fill="currentColor">{10 * i} %</text>'
        for i in (0, 5, 10)
    )
    return (
        f'<svg viewBox="0 0 420 132" width="420" role="img" aria-label="{label}">'
        f"<title>{label}</title>{bars}{edges}</svg>"
        '<p class="soft">How many patients are named in which share of their images.</p>'
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
        '<path d="M40 20V170H380" fill="none" stroke="currentColor"/>'
        '<g font-size="11" fill="currentColor"><text x="4" y="26">100 %</text>'
        '<text x="40" y="186">rank 1</text><text x="350" y="186">last</text></g>'
    )
    return (
        '<h2>Rank by rank</h2><svg viewBox="0 0 400 192" width="400" role="img" '
        f'aria-label="{text}"><title>{text}</title>{axis}{"".join(lines)}</svg>'
        f'<p class="soft">{html.escape(styles)}</p>'
    )
