r"""The residue: a faint share of the original that nobody sees in the released image, found by a matched filter.

Suppose a method lets through the share h(f) of the original's spatial frequency f and adds something unrelated of power
n(f), such as another patient's eye: L = h X + noise. From pairs of originals and released images h and n are read off
(the cross-spectrum over the power spectrum; n is what is left), and the best linear test of whether L holds X is

    score(L, X) = sum_f h L X* / n  /  sqrt(sum_f h^2 |X|^2 / n),

which is normal with variance 1 where L does not hold X (the matched filter: Turin 1960). It has no network to train and
finds what a network overlooks: thousands of frequencies, each of which holds next to nothing. It needs the very image:
another photograph of the same eye is not the same to a fraction of a pixel.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.evaluation.attacks import Finding, knowledge_of
from medpriv_lib.evaluation.attacks.scene import HALVES, Scene
from medpriv_lib.evaluation.attacks.verification import finding, pairs, places

ROUNDING = 1 / 12  # variance of rounding to whole grey levels: no frequency is cleaner


@dataclass(frozen=True, eq=False)
class Residue:
    """What a method lets through, per frequency of `np.fft.rfft2`: (H, W // 2 + 1) each.

    `share` h and `noise` n, both equal along rings of one cycle per image; `released` and `original` the mean spectra.
    """

    share: Float[np.ndarray, "h f"]
    noise: Float[np.ndarray, "h f"]
    released: np.ndarray
    original: np.ndarray

    def scores(self, released: UInt8[np.ndarray, "n h w"], originals: UInt8[np.ndarray, "m h w"]
               ) -> Float[np.ndarray, "n m"]:
        """Return the score of every released image with every original."""
        shown = np.fft.rfft2(released.astype(np.float64)) - self.released
        known = np.fft.rfft2(originals.astype(np.float64)) - self.original
        weight = _twice(self.share.shape, released.shape[2])
        gain = weight * self.share / self.noise
        spread = np.sqrt((np.abs(known) ** 2 * gain * self.share).sum(axis=(1, 2)))
        product = _flat(shown * gain) @ _flat(known).T
        return product / np.where(spread > 0, spread, 1)


def fit_residue(released: UInt8[np.ndarray, "n h w"], originals: UInt8[np.ndarray, "n h w"]) -> Residue:
    """Learn what a method lets through from pairs. Raises `ValueError` for fewer than two pairs."""
    if len(released) < 2 or len(released) != len(originals):
        raise ValueError(f"a residue is learned from at least two pairs, not {len(released)} and {len(originals)}")
    shown, known = (np.fft.rfft2(images.astype(np.float64)) for images in (released, originals))
    middle = shown.mean(axis=0), known.mean(axis=0)
    shown, known = shown - middle[0], known - middle[1]
    ring = _rings(*released.shape[1:])
    cross = _over_rings((shown * known.conj()).real.mean(axis=0), ring)
    power = _over_rings((np.abs(known) ** 2).mean(axis=0), ring)
    share = cross / np.maximum(power, 1e-12)
    floor = ROUNDING * released.shape[1] * released.shape[2]
    noise = _over_rings((np.abs(shown) ** 2).mean(axis=0), ring) - share**2 * power
    return Residue(share, np.maximum(noise, floor), *middle)


def linkage_residue(scene: Scene, half: Int64[np.ndarray, " p"]) -> Finding:
    """Look for a faint share of each original in a released image.

    Knowledge: pairs of originals and released images of other patients, from which it learns how much of each spatial
    frequency is let through, and originals of the patient who is looked for, the source itself among them. Raises
    `ValueError` where there are no pairs to learn from.
    """
    found, rows = [], []
    for part in HALVES:
        images, taught = scene.lessons(part, half)
        mine = scene.attacked(part, half)
        other = np.flatnonzero(half[scene.cohort.patient] != HALVES.index(part))
        if len(mine) == 0 or len(images) < 2:
            continue
        scores = fit_residue(images, scene.cohort.images[taught]).scores(scene.released[mine],
                                                                        scene.cohort.images[other])
        found.append(places(scores, pairs(scene.cohort, scene.source[mine], other), scene.patient[mine]))
        rows.append(mine)
    if not found:
        raise ValueError("there are no pairs of other patients to learn from")
    return finding("residue linkage", knowledge_of(linkage_residue), found, rows, scene.cohort, scene.source)


def _rings(height: int, width: int) -> Int64[np.ndarray, "h f"]:
    """Return the distance of each frequency from zero, in whole cycles per image."""
    down, across = np.fft.fftfreq(height, 1 / height), np.fft.rfftfreq(width, 1 / width)
    return np.rint(np.hypot(down[:, None], across[None])).astype(np.int64)


def _over_rings(values: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Replace each value by the mean over its ring."""
    sums = np.bincount(ring.ravel(), weights=values.ravel())
    return (sums / np.maximum(np.bincount(ring.ravel()), 1))[ring]


def _twice(shape: tuple[int, int], width: int) -> Float[np.ndarray, "h f"]:
    """Return how often each frequency of `rfft2` stands in the whole transform: twice but for the first and last."""
    count = np.full(shape, 2.0)
    count[:, 0] = 1
    if width % 2 == 0:
        count[:, -1] = 1
    return count


def _flat(waves: np.ndarray) -> np.ndarray:
    return np.concatenate([waves.real.reshape(len(waves), -1), waves.imag.reshape(len(waves), -1)], axis=1)
