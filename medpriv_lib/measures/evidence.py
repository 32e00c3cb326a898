"""How much of the disease's own signs is still in the released image?

A classifier that still says "glaucoma" does not show that the patient's signs survived: a method
that is told the label can put the label back without the signs. Where the twin t of an image x (the
same eye and capture without the disease) is known, the signs are x - t, and what a method P keeps
of them is

    e = <P(x) - P(t), x - t>_M / ||x - t||^2_M

with the inner product over the evidence mask M and both images through the same method and the same
random draw. e is 0 where nothing of the signs arrives, 1 where all of it does; it is the
coefficient of a regression and may leave [0, 1].
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

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
            f"images, twins and masks must be (N, H, W) of one shape, not {[a.shape for a in arrays]}"
        )
