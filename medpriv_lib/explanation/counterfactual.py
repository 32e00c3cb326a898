"""The same eye with the other reading: what would have to be different for it to be ill, or well?

A counterfactual is made by an `Edit`: by the other class's medical vector (Montenegro, Cardoso
2023, arXiv 2311.04833), or by removing or adding signs (`edits`). Of a drawn eye the truth is
known: the renderer's twin is the very same eye and capture without the disease. So two questions
have a true answer, for every diseased image x with twin t:

    removal   edit x towards health; the truth is t        addition   edit t towards disease; the
    truth is x

Where signs are added nobody can know which ones: the error inside the evidence mask then also
counts signs that are elsewhere than in x. Outside the mask image and twin differ a little, too: a
sign fades out, and a pixel is evidence from half of its area on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.explanation.edits import Edit, Wanted

Direction = Literal["removal", "addition"]
Ill = Callable[[Images], Bool[np.ndarray, " n"]]  # which images look ill
Names = Callable[[Images], Int64[np.ndarray, " n"]]  # whose eye each image shows
Interval = tuple[float, float]
SHARES = (
    *("expert", "recogniser", "expert_where_recogniser", "expert_of_truth", "recogniser_of_truth"),
    *("same_eye", "same_eye_of_truth"),
)
ERRORS = ("inside", "outside", "unchanged_inside", "unchanged_outside")


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    """Counterfactuals with their truth; N diseased images of a cohort, in the order of `row`.

    `direction` and `wanted` say where to; `given`, `made`, `truth` uint8 (N, H, W); `mask` bool
    (N, H, W) the pixels of the signs; `row` and `patient` int64 (N,). Of each image: `expert_could`
    whether the expert read the given image as the other label, so that it could flip, and
    `expert_flipped` whether it did; the same of the recogniser; `same_eye` whether the identity
    judge names the patient in what was made, `same_eye_of_truth` whether it does in the truth (None
    without a judge). Root mean square errors to the truth in grey levels: `inside` the mask and
    `outside`; `unchanged_inside` and `unchanged_outside`, those of doing nothing.

    `shares` and `errors` are means, `intervals` their 95 % ends over patients; "expert" and
    "recogniser" are the shares that flipped of those that could, "expert_where_recogniser" the
    expert's among images where the recogniser flipped and the expert could, "expert_of_truth" and
    "recogniser_of_truth" the shares that the truth itself flips. A share of nothing is nan.
    """

    direction: Direction
    given: UInt8[np.ndarray, "n h w"]
    made: UInt8[np.ndarray, "n h w"]
    truth: UInt8[np.ndarray, "n h w"]
    mask: Bool[np.ndarray, "n h w"]
    row: Int64[np.ndarray, " n"]
    patient: Int64[np.ndarray, " n"]
    expert_could: Bool[np.ndarray, " n"]
    expert_flipped: Bool[np.ndarray, " n"]
    recogniser_could: Bool[np.ndarray, " n"]
    recogniser_flipped: Bool[np.ndarray, " n"]
    same_eye: Bool[np.ndarray, " n"] | None
    same_eye_of_truth: Bool[np.ndarray, " n"] | None
    inside: Float[np.ndarray, " n"]
    outside: Float[np.ndarray, " n"]
    unchanged_inside: Float[np.ndarray, " n"]
    unchanged_outside: Float[np.ndarray, " n"]
    shares: dict[str, float]
    errors: dict[str, float]
    intervals: dict[str, Interval]

    @property
    def wanted(self) -> bool:
        """Whether the eye was to become ill."""
        return self.direction == "addition"

    @property
    def difference(self) -> Float[np.ndarray, "n h w"]:
        """What was changed, in grey levels: the picture that a report shows."""
        return self.made.astype(np.float32) - self.given.astype(np.float32)


def counterfactuals(
    cohort: Cohort,
    edit: Edit,
    expert: Ill,
    recogniser: Ill,
    direction: Direction,
    generator: torch.Generator,
    names: Names | None = None,
) -> Counterfactuals:
    """Edit every diseased image of the cohort (or its twin), and measure what came out.

    `expert` is a judge that took no part, `recogniser` the one that a counterfactual is to explain.
    Compare with the same call for `edits.unchanged`, and for the reconstruction alone: an edit
    earns only what it does beyond these. Raises `NotApplicable` for cohorts without twins and
    evidence, or without an image whose signs are visible.
    """
    rows = with_signs(cohort)
    twin, evidence = cohort.twin, cohort.evidence
    assert twin is not None  # else there are no such rows
    assert evidence is not None
    given, truth = cohort.images[rows], twin[rows]
    if direction == "addition":
        given, truth = truth, given
    wanted = np.full(len(rows), direction == "addition")
    made = edit(given, wanted, generator)
    if made.shape != given.shape or made.dtype != np.uint8:
        raise ValueError(f"an edit returns uint8 {given.shape}, not {made.dtype} {made.shape}")
    mask, patient = evidence[rows], cohort.patient[rows]
    read = {
        "expert": _flips(expert, given, made, wanted),
        "recogniser": _flips(recogniser, given, made, wanted),
    }
    same = None if names is None else np.asarray(names(made) == patient)
    same_truth = None if names is None else np.asarray(names(truth) == patient)
    inside, outside = _error(made, truth, mask), _error(made, truth, ~mask)
    unchanged, faint = _error(given, truth, mask), _error(given, truth, ~mask)
    both = read["recogniser"][1] & read["expert"][0]
    shown = {
        "expert": (read["expert"][1], read["expert"][0]),
        "recogniser": (read["recogniser"][1], read["recogniser"][0]),
        "expert_where_recogniser": (read["expert"][1], both),
        "expert_of_truth": _flips(expert, given, truth, wanted)[::-1],
        "recogniser_of_truth": _flips(recogniser, given, truth, wanted)[::-1],
    }
    everyone = np.ones(len(rows), dtype=bool)
    if same is not None and same_truth is not None:
        shown |= {"same_eye": (same, everyone), "same_eye_of_truth": (same_truth, everyone)}
    errors = {"inside": inside, "outside": outside}
    errors |= {"unchanged_inside": unchanged, "unchanged_outside": faint}
    intervals = {key: _interval(*value, patient) for key, value in shown.items()}
    intervals |= {key: _interval(value, everyone, patient) for key, value in errors.items()}
    return Counterfactuals(
        direction,
        given,
        made,
        truth,
        mask,
        cohort.row[rows],
        patient,
        *read["expert"],
        *read["recogniser"],
        same,
        same_truth,
        inside,
        outside,
        unchanged,
        faint,
        {key: _mean(*value) for key, value in shown.items()},
        {key: float(value.mean()) for key, value in errors.items()},
        intervals,
    )


def with_signs(cohort: Cohort) -> Int64[np.ndarray, " n"]:
    """Return the rows of diseased images with visible signs: those that `counterfactuals` takes.

    Raises `NotApplicable` for cohorts without twins and evidence, or without such an image.
    """
    if cohort.twin is None or cohort.evidence is None or cohort.images.ndim != 3:
        raise NotApplicable("only drawn grey eyes have a twin: what would be true is unknown here")
    differ = (cohort.images != cohort.twin) & cohort.evidence
    rows = np.flatnonzero(cohort.diseased & differ.any(axis=(1, 2)))
    if len(rows) == 0:
        raise NotApplicable("no image has visible signs of the disease")
    return rows


def _flips(
    ill: Ill, given: Images, made: Images, wanted: Wanted
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return which images could flip, and which did."""
    could = np.asarray(ill(given), dtype=bool) != wanted
    return could, could & (np.asarray(ill(made), dtype=bool) == wanted)


def _error(a: Images, b: Images, where: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    squares = (a.astype(np.float64) - b) ** 2 * where
    return np.sqrt(squares.sum(axis=(1, 2)) / np.maximum(where.sum(axis=(1, 2)), 1))


def _mean(values: np.ndarray, among: Bool[np.ndarray, " n"]) -> float:
    return float(values[among].mean()) if among.any() else float("nan")


def _interval(
    values: np.ndarray, among: Bool[np.ndarray, " n"], patient: Int64[np.ndarray, " n"]
) -> Interval:
    if not among.any():
        return float("nan"), float("nan")
    return mean_interval(values[among], patient[among])
