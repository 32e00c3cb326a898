"""What the survey says that our numbers can support or contradict.

Sedghighadikolaei, Yavuz (2024), *Privacy-preserving and trustworthy deep learning for medical
imaging*. The survey orders technologies and runs none; the sentences here are its claims in our
words, each beside the numbers of the map that speak to it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

QUICK = 1.0  # CPU seconds for one answer, above which nobody waits at a desk


@dataclass(frozen=True)
class Claim:
    """`said` by the survey, whether our numbers are for it (`verdict`: "supported",
    "contradicted", "both"), and `because` of which numbers.
    """

    said: str
    verdict: str
    because: str


def claims(cells: Mapping[str, Mapping[str, Any]]) -> list[dict]:
    """Return the claims that the finished cells allow to judge, as dictionaries."""
    works = (_every_step, _strengths, _hybrids, _practical)
    found = [work(cells) for work in works]
    return [asdict(one) for one in found if one is not None]


def _every_step(cells: Mapping[str, Mapping[str, Any]]) -> Claim | None:
    names = (
        "train/masked/radiomics/3",
        "release/plain/radiomics/3",
        "explain/original/radiomics/3",
    )
    if not all(name in cells for name in names):
        return None
    masked, vectors, case = (strongest(cells[name]) for name in names)
    if not (masked and vectors and case):
        return None
    open_elsewhere = vectors["value"] > 2 * vectors["chance"] and case["value"] > 2 * case["chance"]
    return Claim(
        "privacy has to be designed into every stage",
        "supported" if open_elsewhere else "contradicted",
        f"secure aggregation leaves the attacker on the training {_against(masked)}, while vectors "
        f"that are sent in the clear name {_against(vectors)} and cases that are shown as they are "
        f"{_against(case)}: one stage protects no other",
    )


def _strengths(cells: Mapping[str, Mapping[str, Any]]) -> Claim | None:
    one, other = cells.get("release/local/radiomics/3"), cells.get("train/private/radiomics/3")
    if one is None or other is None:
        return None
    differ = one["auc"][2] < other["auc"][1]
    return Claim(
        "each tool has its strengths and limits, and has to be matched to the task",
        "supported" if differ else "both",
        f"at the same epsilon of 3, noise on each patient's vector leaves an AUC of "
        f"{_auc(one)}, noise on the sum of gradients {_auc(other)}",
    )


def _hybrids(cells: Mapping[str, Mapping[str, Any]]) -> Claim | None:
    each, shares = cells.get("train/each/radiomics/3"), cells.get("train/shares/radiomics/3")
    if each is None or shares is None:
        return None
    better = shares["auc"][0] > each["auc"][0]
    apart = shares["auc"][1] > each["auc"][2]
    verdict = "supported" if apart else ("both" if better else "contradicted")
    return Claim(
        "combining several techniques can balance privacy, speed and accuracy better than one",
        verdict,
        f"at epsilon 3, noise in shares under secure aggregation gives an AUC of {_auc(shares)} in "
        f"{shares['cpu_seconds']:.1f} CPU s, all noise at each hospital {_auc(each)} in "
        f"{each['cpu_seconds']:.1f}: "
        + ("the intervals are apart" if apart else "the intervals overlap"),
    )


def _practical(cells: Mapping[str, Mapping[str, Any]]) -> Claim | None:
    ckks, shared = cells.get("infer/ckks/radiomics/3"), cells.get("infer/shared/radiomics/3")
    if ckks is None or shared is None:
        return None
    one, other = ckks["notes"], shared["notes"]
    quick = max(one["seconds_each"], other["seconds_each"]) < QUICK
    whole = cells.get("infer/ckks-shared-picture/radiomics/3", {}).get("notes")
    slow = whole is not None and whole["seconds_each"] > QUICK
    of_pictures = (
        "this speaks of vectors, while images cost what the chapter on encrypted inference says"
        if whole is None
        else f"a small network of the picture itself takes both, {whole['seconds_each']:.1f} CPU s "
        f"and {whole['bytes_each'] / 1e6:.0f} MB"
    )
    verdict = ("both" if slow else "contradicted") if quick else "supported"
    return Claim(
        "many technologies apply in theory and are not practical without special optimisation or "
        "hybrid designs",
        verdict,
        f"a vector of features is scored under CKKS in {one['seconds_each']:.2f} CPU s with "
        f"{one['bytes_each'] / 1e3:.0f} kB, and by a small network on shares in "
        f"{other['seconds_each']:.3f} CPU s with {other['bytes_each'] / 1e3:.1f} kB, off by at "
        f"most {max(one['error'], other['error']):.1e}; {of_pictures}",
    )


def strongest(cell: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the strongest attack on a cell got, None where none could be tried."""
    return cell["attacks"][0] if cell.get("attacks") else None


def _against(attack: Mapping[str, Any]) -> str:
    return f"{attack['value']:.2f} ({attack['attack']}; guessing {attack['chance']:.2f})"


def _auc(cell: Mapping[str, Any]) -> str:
    value, low, high = cell["auc"]
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
