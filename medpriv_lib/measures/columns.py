"""The explanation columns of the study's table: their names, and their numbers from the outcomes of
every image.

In percent, except that kernel inception distances are times 1,000. `evidence_kept` is e of
`evidence.py` and `evidence_logit` its counterpart in the disease judge's eyes; `evidence_n` images
have visible signs. The relevance columns are of those images that also have a map
(`relevance_defined`), and `relevance_area` is what they would be by chance. The retrieval columns
are those of `retrieval.score_retrieval`, times 100, for five cases per query.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.core.intervals import bootstrap, mean_interval

MEANS = (
    "evidence_kept",
    "evidence_ssim_inside",
    "evidence_ssim_outside",
    "relevance_mass",
    "relevance_rank",
    "relevance_pointing",
    "intelligibility_found",
    "intelligibility_sharpness",
    "retrieval_same_decision",
    "retrieval_ndcg",
    "retrieval_tau",
    "retrieval_reveals",
    "retrieval_reveals_contributor",
)
RATIO = "evidence_logit"
PLAIN = ("relevance_area", "relevance_defined", "retrieval_ndcg_chance")
KIDS = ("intelligibility_kid_x1000", "intelligibility_kid_floor_x1000")
COUNT = "evidence_n"
COLUMNS = (
    *(name + end for name in (*MEANS[:1], RATIO, *MEANS[1:]) for end in ("", "_low", "_high")),
    *PLAIN,
    *KIDS,
    COUNT,
)

Score = Float[np.ndarray, " n"]


def mean_of(
    draws: Sequence[Score], patient: Int64[np.ndarray, " n"], name: str
) -> dict[str, float | None]:
    """Return mean and 95 % interval over patients of a score in percent; nan are left out, None
    where nothing is left.

    `draws` are the same N images in several random draws; a patient is resampled with all draws of
    all its images.
    """
    values, owner = np.concatenate(draws), np.tile(patient, len(draws))
    there = np.isfinite(values)
    if not there.any():
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    low, high = mean_interval(values[there], owner[there])
    return {
        name: 100 * float(values[there].mean()),
        f"{name}_low": 100 * low,
        f"{name}_high": 100 * high,
    }


def ratio_of(
    tops: Sequence[Score], bottoms: Sequence[Score], patient: Int64[np.ndarray, " n"], name: str
) -> dict[str, float | None]:
    """Return the ratio of two sums and its interval over patients in percent; None where the
    denominator is 0.
    """
    sums = np.stack([np.concatenate(tops), np.concatenate(bottoms)], axis=1)
    if len(sums) == 0 or sums[:, 1].sum() <= 0:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    low, high = bootstrap(
        sums, np.tile(patient, len(tops)), lambda total: total[:, 0] / total[:, 1]
    )
    ratio = float(sums[:, 0].sum() / sums[:, 1].sum())
    return {name: 100 * ratio, f"{name}_low": 100 * low, f"{name}_high": 100 * high}


def render_explanations(rows: Sequence[dict]) -> str:
    """Return the explanation columns as text for a terminal, at most 120 characters wide."""
    shown = (
        ("signs", "evidence_kept"),
        ("judge", "evidence_logit"),
        ("SSIM", "evidence_ssim_inside"),
        ("out", "evidence_ssim_outside"),
        ("mass", "relevance_mass"),
        ("rank", "relevance_rank"),
        ("point", "relevance_pointing"),
        ("area", "relevance_area"),
        ("found", "intelligibility_found"),
        ("sharp", "intelligibility_sharpness"),
        ("KID", "intelligibility_kid_x1000"),
    )
    rows = [row for row in rows if row["labels"] != "predicted"]
    if not any(row.get(key) is not None for row in rows for _, key in shown):
        return ""
    width = max(len(str(row["set"])) for row in rows) + 3
    lines = [
        "evidence, relevance, intelligibility".ljust(width)
        + "".join(f"{title:>7}" for title, _ in shown)
    ]
    for row in rows:
        cells = "".join(
            f"{'-' if row[key] is None else format(row[key], '.1f'):>7}" for _, key in shown
        )
        lines.append(f"  {row['set']}".ljust(width) + cells)
    floor = next((row[KIDS[1]] for row in rows if row[KIDS[1]] is not None), None)
    beside = "" if floor is None else f"; test originals {floor:.1f}"
    lines += [
        "",
        "signs: share of the disease's own signs in the release; judge: the same in the disease judge's eyes",
        "SSIM, out: structural similarity inside and outside the signs",
        f"mass, rank, point: relevance on the signs (chance: area); KID to training images x 1000{beside}",
    ]
    return "\n".join(lines)
