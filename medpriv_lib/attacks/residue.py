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

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int64, UInt8
from scipy.linalg import cho_factor, cho_solve

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import HALVES, Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.verification import finding, pairs, places
from medpriv_lib.core.not_applicable import NotApplicable

ROUNDING = 1 / 12  # variance of rounding to whole grey levels: no direction is cleaner
SHRINK = 0.1  # weight of the covariance that depends on the frequency alone
DENSE = 4096  # values of an image: the covariance of more takes gigabytes


@dataclass(frozen=True, eq=False)
class Residue:
    """What a method lets through, and what lies over it.

    `share` h and `noise` n per frequency of `np.fft.rfft2`, (H, W // 2 + 1), both equal along rings
    of one cycle per image and for all colours; `covariance` (H W, H W), of colour images (3 H W,
    3 H W), float32, of what lies over it or None; `released`, `original` the mean images, (H, W) or
    (H, W, 3).
    """

    share: Float[np.ndarray, "h f"]
    noise: Float[np.ndarray, "h f"]
    covariance: Float[np.ndarray, "d d"] | None
    released: Float[np.ndarray, "h w *c"]
    original: Float[np.ndarray, "h w *c"]

    def scores(
        self, released: UInt8[np.ndarray, "n h w"], originals: UInt8[np.ndarray, "m h w"]
    ) -> Float[np.ndarray, "n m"]:
        """Return the score of every released image with every original."""
        # the covariance is held in float32
        kind = np.float64 if self.covariance is None else np.float32
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

    Raises `NotApplicable` for fewer than two pairs, and with `dense` for images of more than
    `DENSE` values; `ValueError` for released images without an original each.
    """
    if len(released) != len(originals):
        raise ValueError(f"{len(originals)} originals need as many released images")
    if len(released) < 2:
        raise NotApplicable(f"a residue is learned from at least two pairs, not {len(released)}")
    values = int(np.prod(released.shape[1:]))
    if dense and values > DENSE:
        raise NotApplicable(
            f"the covariance of images of {values} values is not estimated (at most {DENSE}, a "
            "grey image of 64x64); the residue linkage whose noise depends on the frequency alone "
            "was tried"
        )
    shown, known = released.astype(np.float64), originals.astype(np.float64)
    middle = shown.mean(axis=0), known.mean(axis=0)
    shown, known = shown - middle[0], known - middle[1]
    height, width = released.shape[1:3]
    ring, size = _rings(height, width), height * width
    waves = np.fft.rfft2(shown, axes=(1, 2)), np.fft.rfft2(known, axes=(1, 2))
    cross = _over_rings(_of_frequency((waves[0] * waves[1].conj()).real), ring)
    power = _over_rings(_of_frequency(np.abs(waves[1]) ** 2), ring)
    share = cross / np.maximum(power, 1e-12)
    noise = _over_rings(_of_frequency(np.abs(waves[0]) ** 2), ring) - share**2 * power
    noise = np.maximum(noise, ROUNDING * size)
    if not dense:
        return Residue(share, noise, None, *middle)
    left = _flat(shown - _filtered(known, share)).astype(np.float32)
    base = _stationary(noise, height, width)
    if values > size:  # what lies over it is as good as unrelated between the colours
        base = np.kron(base, np.eye(values // size, dtype=np.float32))
    covariance = (1 - SHRINK) / len(left) * (left.T @ left) + SHRINK * base
    covariance[np.diag_indices(values)] += ROUNDING
    return Residue(share, noise, covariance, *middle)


def linkage_residue(scene: Scene, half: Int64[np.ndarray, " p"], dense: bool = False) -> Finding:
    """Look for a faint share of each original in a released image.

    Knowledge: pairs of originals and released images of other patients, from which it learns how
    much of each spatial frequency is let through, and originals of the patient who is looked for,
    the source itself among them. With `dense` it is "whitened residue linkage". Raises
    `NotApplicable` where there are no pairs to learn from, and as `fit_residue`.
    """
    found, rows, linked = [], [], []
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
        linked.append(np.stack([mine, other[scores.argmax(axis=1)]], axis=1))
    if not found:
        raise NotApplicable("there are no pairs of other patients to learn from")
    name = "whitened residue linkage" if dense else "residue linkage"
    joined = finding(name, knowledge_of(linkage_residue), found, rows, scene.cohort, scene.source)
    return replace(joined, kind="matching", linked=np.concatenate(linked))


@attack(
    name="residue linkage",
    kind="matching",
    target="source",
    place=70,
    asked="draw",
    knows=linkage_residue,
)
def _residue(setting: Setting) -> Finding:
    return linkage_residue(setting.scene, setting.half)


@attack(
    name="whitened residue linkage",
    kind="matching",
    target="source",
    place=80,
    asked="draw",
    knows=linkage_residue,
)
def _whitened(setting: Setting) -> Finding:
    return linkage_residue(setting.scene, setting.half, dense=True)


def _of_frequency(waves: Float[np.ndarray, "n h f *c"]) -> Float[np.ndarray, "h f"]:
    """Return the mean over images, and over colours where there are any."""
    mean = waves.mean(axis=0)
    return mean if mean.ndim == 2 else mean.mean(axis=2)


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
    images: Float[np.ndarray, "n h w *c"], gain: Float[np.ndarray, "h f"]
) -> Float[np.ndarray, "n h w *c"]:
    gain = gain.reshape(*gain.shape, *[1] * (images.ndim - 3))
    waves = np.fft.rfft2(images, axes=(1, 2)) * gain
    return np.fft.irfft2(waves, s=images.shape[1:3], axes=(1, 2))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)
