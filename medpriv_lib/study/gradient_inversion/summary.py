"""One line for each row of the study: how often the right eye is first, beside the controls."""

from typing import Any

import numpy as np

from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.study.gradient_inversion.rows import ROWS

LINES = tuple(row.name for row in ROWS)


def summarised(content: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return row -> its numbers, for the rows that have records.

    `first` is the share of targets whose eye the judge of eyes ranks first, with its 95 % interval
    over patients (`low`, `high`), `median` the median rank; `patient` and `photograph` the shares
    by the two other rankings. Of the same targets: `original` is the share for the images
    themselves, the ceiling; `mean_eye` that for the public mean eye (`mean_eye_median` its
    median rank); `other` that of another
    patient's eye in the same reconstructions. `psnr`, `ssim` and those of the
    mean eye are means; `chance` is guessing, `n` the number of targets, `labels` the share with
    right labels.
    """
    controls = {one["row"]: one for one in content["targets"]}
    lines = {}
    for name, row in content["rows"].items():
        records = row["records"]
        if not records:
            continue
        beside = [controls[record["row"]] for record in records]
        first = _firsts(records, "rank_eye")
        low, high = mean_interval(first, np.array([record["patient"] for record in records]))
        lines[name] = {
            "n": len(records),
            "first": float(first.mean()),
            "low": low,
            "high": high,
            "median": float(np.median(_values(records, "rank_eye"))),
            "patient": float(_firsts(records, "rank_patient").mean()),
            "photograph": float(_firsts(records, "rank_photograph").mean()),
            "original": float(_firsts(beside, "original_eye").mean()),
            "mean_eye": float(_firsts(beside, "mean_eye_eye").mean()),
            "other": float(_firsts(records, "other_eye").mean()),
            "mean_eye_median": float(np.median(_values(beside, "mean_eye_eye"))),
            "psnr": float(_values(records, "psnr").mean()),
            "ssim": float(_values(records, "ssim").mean()),
            "mean_eye_psnr": float(_values(beside, "mean_eye_psnr").mean()),
            "mean_eye_ssim": float(_values(beside, "mean_eye_ssim").mean()),
            "labels": float(np.mean([record["labels_right"] for record in records])),
            "chance": 1 / (2 * content["provenance"]["patients"]),
        }
    return lines


def _values(records: list[dict], key: str) -> np.ndarray:
    return np.array([record[key] for record in records], dtype=np.float64)


def _firsts(records: list[dict], key: str) -> np.ndarray:
    return _values(records, key) == 1.0
