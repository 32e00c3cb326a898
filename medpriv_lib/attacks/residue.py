r"""The residue: a faint share of the original that nobody sees in the released image, found by a
matched filter.

Suppose a method lets through the share h(f) of the original's spatial frequency f and adds
something unrelated with covariance C, such as another patient's eye: L = h X + noise. From pairs of
originals and released images h and C are read off (the cross-spectrum over the power spectrum; C is
that of what is left), and the best linear test of whether L holds X is

    score(L, X) = L' C^-1 h X  /  sqrt((h X)' C^-1 h X),

which is normal with variance 1 where L does not hold X (the matched filter: Turin 1960). A
generator's images fill only a part of all images: C says which directions it never uses, and there
the faintest share stands out. C is estimated from fewer pairs than pixels, so it is drawn towards a
covariance that depends on the frequency alone. As two towers it is a Siamese network with one
linear layer of H W points each, trained in closed form. Where what lies over the original differs
between the pairs and the images under attack, as in K-Same's groups, a covariance misleads: there
the filter whose noise depends on the frequency alone is the better one. Both are tried.

It needs the very image. What was tried on images of one trained PPRL-VGAN with 5 % of the original
blended in, half of the patients to learn from, one draw, seed 0 (area of the source | of other
images of the same eye): the tower of originals 0.56 | 0.53; this filter with noise that depends on
the frequency alone 0.90 | 0.52; with a covariance 1.00 | 0.57; the tower of originals on images
restored by the filter (the linear estimate of X, correlated with it by 0.24) 0.61 | 0.57; that
tower fine-tuned on restored images of the half that it learns from 0.57 | 0.56. Another photograph
is not the same to a fraction of a pixel, and a twentieth of it does not carry more.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8
from scipy.linalg import cho_factor, cho_solve

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.scene import HALVES, Scene
from medpriv_lib.attacks.verification import finding, pairs, places

ROUNDING = 1 / 12  # variance of rounding to whole grey levels: no direction is cleaner
SHRINK = 0.1  # weight of the covariance that depends on the frequency alone
DENSE = 4096  # pixels: above, that covariance is the only one


@dataclass(frozen=True, eq=False)
class Residue:
    """What a method lets through, and what lies over it.

    `share` h and `noise` n per frequency of `np.fft.rfft2`, (H, W // 2 + 1), both equal along rings
    of one cycle per image; `covariance` (H W, H W) float32 of what lies over it or None;
    `released`, `original` (H, W) the mean images.
    """

    share: Float[np.ndarray, "h f"]
    noise: Float[np.ndarray, "h f"]
    covariance: Float[np.ndarray, "d d"] | None
    released: Float[np.ndarray, "h w"]
    original: Float[np.ndarray, "h w"]

    def scores(
        self, released: UInt8[np.ndarray, "n h w"], originals: UInt8[np.ndarray, "m h w"]
    ) -> Float[np.ndarray, "n m"]:
        """Return the score of every released image with every original."""
        kind = (
            np.float64 if self.covariance is None else np.float32
        )  # the covariance is held in float32
        shown = _flat(released - self.released).astype(kind)
        known = _filtered(originals - self.original, self.share).astype(kind)
        if self.covariance is None:
            size = released.shape[1] * released.shape[2]
            weighed = _flat(_filtered(known, size / self.noise))
        else:
            factor = cho_factor(self.covariance, lower=True, check_finite=False)
            weighed = cho_solve(factor, _flat(known).T, check_finite=False).T
        spread = np.sqrt(np.maximum(np.einsum("md,md->m", _flat(known), weighed), 0))
        return shown @ weighed.T / np.where(spread > 0, spread, 1)


def fit_residue(
    released: UInt8[np.ndarray, "n h w"], originals: UInt8[np.ndarray, "n h w"], dense: bool = False
) -> Residue:
    """Learn what a method lets through from pairs, with `dense` the whole covariance of what lies
    over it.

    Raises `ValueError` for fewer than two pairs.
    """
    if len(released) < 2 or len(released) != len(originals):
        raise ValueError(
            f"a residue is learned from at least two pairs, not {len(released)} and {len(originals)}"
        )
    shown, known = released.astype(np.float64), originals.astype(np.float64)
    middle = shown.mean(axis=0), known.mean(axis=0)
    shown, known = shown - middle[0], known - middle[1]
    ring, size = _rings(*released.shape[1:]), released.shape[1] * released.shape[2]
    waves = np.fft.rfft2(shown), np.fft.rfft2(known)
    cross = _over_rings((waves[0] * waves[1].conj()).real.mean(axis=0), ring)
    power = _over_rings((np.abs(waves[1]) ** 2).mean(axis=0), ring)
    share = cross / np.maximum(power, 1e-12)
    noise = _over_rings((np.abs(waves[0]) ** 2).mean(axis=0), ring) - share**2 * power
    noise = np.maximum(noise, ROUNDING * size)
    if not dense or size > DENSE:
        return Residue(share, noise, None, *middle)
    left = _flat(shown - _filtered(known, share)).astype(np.float32)
    covariance = (1 - SHRINK) / len(left) * (left.T @ left) + SHRINK * _stationary(
        noise, *released.shape[1:]
    )
    covariance[np.diag_indices(size)] += ROUNDING
    return Residue(share, noise, covariance, *middle)


def linkage_residue(scene: Scene, half: Int64[np.ndarray, " p"], dense: bool = False) -> Finding:
    """Look for a faint share of each original in a released image.

    Knowledge: pairs of originals and released images of other patients, from which it learns how
    much of each spatial frequency is let through, and originals of the patient who is looked for,
    the source itself among them. With `dense` it is "whitened residue linkage". Raises `ValueError`
    where there are no pairs to learn from.
    """
    found, rows = [], []
    for part in HALVES:
        images, taught = scene.lessons(part, half)
        mine = scene.attacked(part, half)
        other = np.flatnonzero(half[scene.cohort.patient] != HALVES.index(part))
        if len(mine) == 0 or len(images) < 2:
            continue
        residue = fit_residue(images, scene.cohort.images[taught], dense)
        scores = residue.scores(scene.released[mine], scene.cohort.images[other])
        found.append(
            places(scores, pairs(scene.cohort, scene.source[mine], other), scene.patient[mine])
        )
        rows.append(mine)
    if not found:
        raise ValueError("there are no pairs of other patients to learn from")
    name = "whitened residue linkage" if dense else "residue linkage"
    return finding(name, knowledge_of(linkage_residue), found, rows, scene.cohort, scene.source)


def _rings(height: int, width: int) -> Int64[np.ndarray, "h f"]:
    """Return the distance of each frequency from zero, in whole cycles per image."""
    down, across = np.fft.fftfreq(height, 1 / height), np.fft.rfftfreq(width, 1 / width)
    return np.rint(np.hypot(down[:, None], across[None])).astype(np.int64)


def _over_rings(values: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Replace each value by the mean over its ring."""
    sums = np.bincount(ring.ravel(), weights=values.ravel())
    return (sums / np.maximum(np.bincount(ring.ravel()), 1))[ring]


def _stationary(
    noise: Float[np.ndarray, "h f"], height: int, width: int
) -> Float[np.ndarray, "d d"]:
    """Return the covariance of pixels whose spectrum is `noise`: it depends on how far apart two
    pixels are.
    """
    apart = (np.fft.irfft2(noise, s=(height, width)) / (height * width)).astype(np.float32)
    y, x = np.divmod(np.arange(height * width), width)
    return apart[(y[:, None] - y[None]) % height, (x[:, None] - x[None]) % width]


def _filtered(
    images: Float[np.ndarray, "n h w"], gain: Float[np.ndarray, "h f"]
) -> Float[np.ndarray, "n h w"]:
    return np.fft.irfft2(np.fft.rfft2(images) * gain, s=images.shape[1:])


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)
