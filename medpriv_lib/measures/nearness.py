"""Is a release nearer to some training patient than a stranger is?

A release may resemble a patient who is not named among its contributors: the networks behind it
learned from training images. How near the nearest of many is means nothing alone, so the same is
asked of invented people who are in no cohort, with pupils as wide as the patients'. The columns say
how often a release is nearer to its nearest training image than such a stranger is to his, 50 % if
releases are as near as strangers. The source's own patient is left out: how much the release shows
of the source is asked elsewhere.

Two distances: between the embeddings of the identity judge, which was taught to name the training
patients, and between pixels without their coarse light (normalised correlation), which sees a
copied iris that the judge does not look at.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.core.distances import distances
from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure
from medpriv_lib.privatizers.sign_transfer.sign_transfer import shipped_strangers

COARSE = 4.0  # px, the standard deviation of the light that is taken away
NARROW, WIDE = 0.2, 0.72  # pupils to which strangers are stretched

Read = Callable[[UInt8[np.ndarray, "n h w"]], Float[np.ndarray, "n d"]]


class Nearness(Measure):
    """Whether releases are nearer to training patients than strangers, from one draw of each
    row.
    """

    name = "nearness"
    draws = 1
    needs_visits = True
    columns = (
        Column("nearness", "near", spread="interval"),
        Column("nearness_pixels", "near p", spread="interval"),
    )

    def __init__(self, ground: Ground) -> None:
        """Measure the strangers. Raises `NotApplicable` for images that strangers are not like."""
        super().__init__(ground)
        bank, images, judge = shipped_strangers(), ground.test.images, ground.panel.identity
        if judge is None:
            raise NotApplicable("there is no judge of identity, whose embedding tells distances")
        if images.ndim != 3 or images.shape[1:] != (bank.size, bank.size):
            raise NotApplicable(f"strangers are grey eyes of {bank.size} x {bank.size} pixels")
        if len(np.unique(ground.train.patient)) < 2:
            raise NotApplicable("the nearest other patient needs two training patients")
        count = len(bank)  # all of them: their own scatter is then small beside the patients'
        rows = np.arange(count) % len(images)
        ratio = pupil_ratios(images).clip(NARROW, WIDE).astype(np.float32)[rows]
        drawn = bank.draw(count, ratio, self.generator("strangers"))
        strangers = np.rint(drawn).clip(0, 255).astype(np.uint8)
        self.reads: dict[str, Read] = {"nearness": judge.points, "nearness_pixels": fine}
        self.gallery = {name: read(ground.train.images) for name, read in self.reads.items()}
        self.strangers = {name: self._nearest(name, strangers, rows) for name in self.reads}

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "near, near p: nearer to a training patient who is not the source than a stranger is "
            "(50: as near),\nby the identity judge's embedding and by pixels"
        )

    def cells(self, exam: Exam) -> Cells:
        """Return both columns."""
        cells: Cells = {}
        patient = self.ground.test.patient
        for name, strangers in self.strangers.items():
            images = exam.drawn[0].images
            nearer = share_above(strangers, self._nearest(name, images, np.arange(len(images))))
            exam.values[name] = nearer
            low, high = mean_interval(nearer, patient)
            cells |= {
                name: 100 * float(nearer.mean()),
                f"{name}_low": None if np.isnan(low) else 100 * low,
                f"{name}_high": None if np.isnan(high) else 100 * high,
            }
        return cells

    def _nearest(
        self, name: str, images: UInt8[np.ndarray, "n h w"], source: Int64[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Return how far each image is from the nearest training image of a patient other than that
        of its source, a row of the test images.
        """
        away = distances(self.reads[name](images), self.gallery[name])
        own = self.ground.test.patient[source, None] == self.ground.train.patient[None]
        return np.where(own, np.inf, away).min(axis=1)


def fine(images: UInt8[np.ndarray, "n h w"]) -> Float[np.ndarray, "n p"]:
    """Return images without their coarse light as rows of length 1 and mean 0: the squared distance
    of two rows is 2 (1 - correlation).
    """
    levels = images.astype(np.float32)
    sharp = np.stack([one - cv2.GaussianBlur(one, (0, 0), COARSE) for one in levels])
    rows = sharp.reshape(len(sharp), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def share_above(
    many: Float[np.ndarray, " m"], each: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return for each number the share of the many that are larger, equal ones counted half."""
    order = np.sort(many)
    left, right = (np.searchsorted(order, each, side=side) for side in ("left", "right"))
    return 1 - (left + right) / (2 * len(order))
