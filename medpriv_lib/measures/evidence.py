"""How much of the disease's own signs is still in the released image?

A classifier that still says "diseased" does not show that the patient's signs survived: a method
that is told the label can put the label back without the signs. Where the twin t of an image x (the
same eye and capture without the disease) is known, the signs are x - t, and what a method P keeps
of them is

    e = <P(x) - P(t), x - t>_M / ||x - t||^2_M

with the inner product over the evidence mask M and both images through the same method and the same
random draw. e is 0 where nothing of the signs arrives, 1 where all of it does; it is the
coefficient of a regression and may leave [0, 1].
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8

from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.cells import mean_of, ratio_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure, Part, Place

Images = UInt8[np.ndarray, "n h w"]
Masks = Bool[np.ndarray, "n h w"]
Score = Float[np.ndarray, " n"]


def evidence_kept(
    released: Images, released_twin: Images, original: Images, twin: Images, masks: Masks
) -> Score:
    """Return e of each image: 1 all of the signs are kept, 0 none.

    `released` is P(x), `released_twin` P(t) by the same method with the same draw, `original` x,
    `twin` t, `masks` M; all (N, H, W). nan where the mask is empty or image and twin agree inside
    it (a healthy eye, or signs too small to see). Raises `ValueError` for shapes that differ.
    """
    _same_shape(released, released_twin, original, twin, masks)
    change = _float(released) - _float(released_twin)
    signs = (_float(original) - _float(twin)) * masks
    size = (signs**2).sum(axis=(1, 2))
    return np.where(
        size > 0, (change * signs).sum(axis=(1, 2)) / np.where(size > 0, size, 1), np.nan
    )


def logit_kept(
    released: Float[np.ndarray, " n"],
    released_twin: Float[np.ndarray, " n"],
    original: Float[np.ndarray, " n"],
    twin: Float[np.ndarray, " n"],
) -> tuple[Score, Score]:
    """Return numerator and denominator, per image, of the same coefficient in the disease judge's
    eyes.

    The arguments are margins (logit of disease minus logit of health) for P(x), P(t), x and t. The
    coefficient of a group of images is the ratio of the sums: 1 where the judge reacts to the signs
    in the release as in the original, 0 where it does not react to them at all, however sure it is
    of the label.
    """
    signs = np.asarray(original, dtype=np.float64) - twin
    return (np.asarray(released, dtype=np.float64) - released_twin) * signs, signs**2


def similarity(released: Images, original: Images, masks: Masks) -> tuple[Score, Score]:
    """Return the mean structural similarity (SSIM, -1..1) of release and original inside and
    outside the mask.

    High inside and low outside: the signs stay and the rest changes. SSIM with a Gaussian window of
    standard deviation 1.5 px (Wang et al. 2004); equal to torchmetrics', a hundred times as fast.
    Inside is nan where the mask is empty, outside where it covers everything.
    """
    _same_shape(released, original, masks)
    maps = np.empty(released.shape, dtype=np.float64)
    for row, (x, y) in enumerate(zip(_float(released), _float(original), strict=True)):
        maps[row] = _ssim(x, y)
    return _masked_mean(maps, masks), _masked_mean(maps, ~masks)


def _ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the SSIM map of two images (H, W) with grey levels 0..255."""
    means = cv2.GaussianBlur(
        np.stack([x, y, x * x, y * y, x * y], axis=-1),
        (11, 11),
        1.5,
        sigmaY=1.5,
        borderType=cv2.BORDER_REFLECT_101,
    )
    mx, my, mxx, myy, mxy = np.moveaxis(means, -1, 0)
    small, contrast = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    spread = np.maximum(mxx - mx * mx, 0) + np.maximum(myy - my * my, 0)
    return (
        (2 * mx * my + small)
        * (2 * (mxy - mx * my) + contrast)
        / ((mx * mx + my * my + small) * (spread + contrast))
    )


def _masked_mean(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    count = masks.sum(axis=(1, 2))
    return np.where(count > 0, (maps * masks).sum(axis=(1, 2)) / np.maximum(count, 1), np.nan)


def _float(images: np.ndarray) -> np.ndarray:
    return np.asarray(images, dtype=np.float64)


def _same_shape(*arrays: np.ndarray) -> None:
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 3:
        raise ValueError(
            "images, twins and masks must be (N, H, W) of one shape, not "
            f"{[array.shape for array in arrays]}"
        )


class _Signs(NamedTuple):
    """The test images with signs, their twins, masks and patients."""

    images: Images
    twin: Images
    masks: Masks
    patient: Int64[np.ndarray, " n"]


class EvidenceKept(Measure):
    """The evidence columns: e, its counterpart in the disease judge's eyes, and similarity.

    Of the test images with visible signs, over at most three random draws: they vary little between
    draws, and each needs the releases of the twins.
    """

    name = "evidence"
    draws = 3
    columns = (
        Column("evidence_kept", "signs", spread="interval", place=Place.EXPLANATION),
        Column("evidence_logit", "judge", spread="interval", place=Place.EXPLANATION),
        Column("evidence_ssim_inside", "SSIM", spread="interval", place=Place.EXPLANATION),
        Column("evidence_ssim_outside", "out", spread="interval", place=Place.EXPLANATION),
        Column("evidence_n", kind="count", place=Place.SIGNS),
    )

    def __init__(self, ground: Ground) -> None:
        """Read the originals with signs and their twins."""
        super().__init__(ground)
        self.evident = ground.evident
        test, self.signs = ground.test, None
        if test.twin is not None and test.evidence is not None and self.evident.any():
            rows = self.evident
            self.signs = _Signs(
                test.images[rows], test.twin[rows], test.evidence[rows], test.patient[rows]
            )
            self.margins = self._margin(self.signs.images), self._margin(self.signs.twin)
        self.similar = Memory()

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return (
            "signs: share of the disease's own signs in the release; judge: the same in the "
            "disease judge's eyes\nSSIM, out: structural similarity inside and outside the signs"
        )

    def parts(self) -> Sequence[Part]:
        """Count the images with signs, and measure what is kept of them."""
        return self._count, self.cells

    def sizes(self) -> dict[str, int]:
        """Return the draws and the images with signs."""
        return {"draws": 3, "with_signs": int(self.evident.sum())}

    def cells(self, exam: Exam) -> Cells:
        """Return what the release keeps of the signs."""
        signs = self.signs
        if signs is None:
            raise NotApplicable("no test image has visible signs and a twin without the disease")
        kept, inside, outside, tops, bottoms = [], [], [], [], []
        for release, twin in zip(exam.drawn, exam.twins(), strict=False):  # as many as the twins
            images, without = release.images[self.evident], twin.images[self.evident]
            kept.append(evidence_kept(images, without, signs.images, signs.twin, signs.masks))
            similar = self._similarity(images, signs)
            inside.append(similar[:, 0])
            outside.append(similar[:, 1])
            top, bottom = logit_kept(self._margin(images), self._margin(without), *self.margins)
            tops.append(top)
            bottoms.append(bottom)
        patient = signs.patient
        return {
            **mean_of(kept, patient, "evidence_kept"),
            **ratio_of(tops, bottoms, patient, "evidence_logit"),
            **mean_of(inside, patient, "evidence_ssim_inside"),
            **mean_of(outside, patient, "evidence_ssim_outside"),
        }

    def _count(self, exam: Exam) -> Cells:
        return {"evidence_n": int(self.evident.sum())}

    def _similarity(self, images: Images, signs: "_Signs") -> np.ndarray:
        def read(rows: np.ndarray) -> np.ndarray:
            pair = similarity(images[rows], signs.images[rows], signs.masks[rows])
            return np.stack(pair, axis=1)

        return self.similar.recall(keys_of(images, range(len(images))), read)

    def _margin(self, images: Images) -> np.ndarray:
        """Return by how much the logit of the disease exceeds that of health."""
        scores = self.ground.reader.logits(images).to(torch.float64).numpy()
        return scores[:, 1] - scores[:, 0]
