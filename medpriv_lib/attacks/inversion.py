r"""Undo a blur, then ask the recogniser again.

Blur with mirrored borders (reflect-101) of an even kernel is diagonal in the discrete cosine
transform of type 1: the image, mirrored about its first and last pixel, is periodic with 2(n - 1),
so row and column frequency k is multiplied by h_0 + 2 sum_j h_j cos(pi j k / (n - 1)), exactly,
borders included. Undoing it is one division per frequency. What stops it is noise: 8-bit rounding
adds an error of variance 1/12, and the division raises it by 1 / gain^2. Wiener's filter (1949)
divides where the signal is above that noise and lets go where it is not.

Colour images are blurred colour by colour, and undone so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from scipy.fft import dctn, idctn

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.restorer import fit_restorer, restored
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded

Judge = Callable[[UInt8[np.ndarray, "n h w"]], Int64[np.ndarray, " n"]]  # names a patient, or -1
# standard deviation in grey levels of the error of rounding to whole ones
ROUNDING = 1 / np.sqrt(12)
EXACT = 1e-10  # the same for images that were kept in float64
FLOAT32 = 1e-5  # and in float32, whose step near 128 is 1.5e-5


def gains(kernel: Float[np.ndarray, " k"], size: int) -> Float[np.ndarray, " n"]:
    """Return the factor by which a blur multiplies each of `size` cosine frequencies along one
    axis.

    `kernel` are its weights, an odd number, symmetric; the two-dimensional gain is the outer
    product. Raises `ValueError` for a kernel that is not symmetric, `NotApplicable` for one that
    reaches beyond the image.
    """
    half = len(kernel) // 2
    if len(kernel) % 2 == 0 or not np.allclose(kernel, kernel[::-1]):
        raise ValueError(
            "only a symmetric kernel of odd length is diagonal in the cosine transform"
        )
    if half > size - 1:
        raise NotApplicable(f"a kernel of {len(kernel)} pixels reaches beyond an image of {size}")
    offsets = np.arange(1, half + 1)
    angles = np.pi * np.outer(np.arange(size), offsets) / (size - 1)
    return kernel[half] + 2 * np.cos(angles) @ kernel[half + 1 :]


class Wiener:
    """The linear estimate with the least mean squared error per frequency, for a known blur.

    x = m + l S / (l^2 S + N) (y - l m) in the cosine domain: `l` the gains, `m` and `S` the mean
    and the variance of the originals that the attacker has, `N` the variance of the noise (Wiener
    1949).
    """

    def __init__(
        self, kernel: Float[np.ndarray, " k"], originals: UInt8[np.ndarray, "n h w"], noise: float
    ) -> None:
        """Take the kernel's weights, some originals and the noise's standard deviation in grey
        levels. Raises `NotApplicable` for fewer than two originals, errors as of `gains`.
        """
        if len(originals) < 2:
            raise NotApplicable("the spectrum of the signal needs at least two originals")
        height, width = originals.shape[1:3]
        colours = [1] * (originals.ndim - 3)  # colour images: the same gain for each colour
        self.gain = np.outer(gains(kernel, height), gains(kernel, width)).reshape(
            height, width, *colours
        )
        waves = _forward(originals)
        self.mean, self.signal = waves.mean(axis=0), waves.var(axis=0)
        power = np.outer(_row_power(height), _row_power(width))
        self.noise = noise**2 * power.reshape(self.gain.shape)
        self.filter = self.gain * self.signal / (self.gain**2 * self.signal + self.noise)

    @property
    def recovered(self) -> float:
        """The share of the cosine frequencies where the signal, after the blur, is above the
        noise.
        """
        return float((self.gain**2 * self.signal > self.noise).mean())

    def restore(self, released: np.ndarray) -> Float[np.ndarray, "n h w"]:
        """Return the estimate of the originals, float64 grey levels, neither clipped nor
        rounded.
        """
        waves = self.mean + self.filter * (_forward(released) - self.gain * self.mean)
        return idctn(waves, type=1, axes=(1, 2))


def whole(images: Float[np.ndarray, "n h w"]) -> UInt8[np.ndarray, "n h w"]:
    """Round grey levels to 0..255, halves to the even one: what a recogniser reads."""
    return np.rint(images).clip(0, 255).astype(np.uint8)


def error(estimate: np.ndarray, originals: UInt8[np.ndarray, "n h w"]) -> float:
    """Return the root mean square error in grey levels."""
    return float(np.sqrt(np.mean((np.asarray(estimate, dtype=np.float64) - originals) ** 2)))


@dataclass(frozen=True)
class Blurred:
    """One blur to be undone.

    `released` (N, H, W) as shown, uint8 or float; `kernel` the blur's weights; `noise` the standard
    deviation of what rounding added, in grey levels (`ROUNDING`, `FLOAT32`, `EXACT`); `known`
    originals that the attacker has; `released_known` what the same blur made of them.
    """

    released: np.ndarray
    kernel: np.ndarray
    noise: float
    known: np.ndarray
    released_known: np.ndarray


def deblur(
    blurred: Blurred,
    originals: UInt8[np.ndarray, "n h w"],
    patient: Int64[np.ndarray, " n"],
    name: Judge,
    generator: torch.Generator | None = None,
    epochs: int = 6,
) -> Finding:
    """Undo a blur by Wiener's filter, with a `generator` also by a trained network, and let the
    recogniser name.

    Knowledge: the blur's kernel and border rule, other originals of the same kind, and a recogniser
    of the patients. `originals` (N, H, W) are the truth, for the error only; `patient` (N,) whom
    each image shows. Measures: "as_released", "wiener" and "network", the shares named right;
    "rank1" the best of them; "error_…" in grey levels; "recovered" the share of the frequencies
    above the noise.
    """
    wiener = Wiener(blurred.kernel, blurred.known, blurred.noise)
    estimates = {
        "as_released": np.asarray(blurred.released, dtype=np.float64),
        "wiener": wiener.restore(blurred.released),
    }
    if generator is not None:
        network = fit_restorer(
            blurred.released_known,
            wiener.restore(blurred.released_known),
            blurred.known,
            generator,
            epochs,
        )
        estimates["network"] = restored(network, blurred.released, estimates["wiener"])
    hits = {key: name(whole(value)) == patient for key, value in estimates.items()}
    best = max(hits, key=lambda key: hits[key].mean())
    measures = {key: float(hit.mean()) for key, hit in hits.items()}
    measures |= {f"error_{key}": error(value, originals) for key, value in estimates.items()}
    measures |= {"rank1": measures[best], "recovered": wiener.recovered}
    intervals = {key: mean_interval(hit, patient) for key, hit in hits.items()} | {
        "rank1": mean_interval(hits[best], patient)
    }
    return Finding(
        "inversion",
        knowledge_of(deblur),
        measures,
        intervals,
        n=len(patient),
        patients=len(np.unique(patient)),
        per_patient=rate_per_patient(hits[best], patient),
        note=f"best: {best}",
        kind="naming",
        target="source",
        hits=hits[best].astype(np.float64),
        probe=np.arange(len(patient)),
    )


@attack(name="inversion", kind="naming", target="source", place=90, knows=deblur)
def undone(setting: Setting) -> Finding:
    """Undo a blur from the released grey levels."""
    name, weights, scene = setting.named, kernel_of(setting), setting.scene
    some = slice(setting.budget.restorer_pairs)
    known = scene.cohort.images[scene.known_source[some]]
    blurred = Blurred(scene.released, weights, ROUNDING, known, scene.known[some])
    originals = scene.cohort.images[scene.source]
    generator = seeded(setting.seed, "inversion")
    return deblur(
        blurred, originals, scene.patient, name, generator, setting.budget.restorer_epochs
    )


@attack(name="inversion before rounding", kind="bound", target="source", place=100, knows=deblur)
def undone_before_rounding(setting: Setting) -> Finding:
    """Undo the same blur as if its grey levels had not been rounded."""
    name, weights, scene = setting.named, kernel_of(setting), setting.scene
    originals = scene.cohort.images[scene.source]
    known = scene.cohort.images[scene.known_source[: setting.budget.restorer_pairs]]
    blurred = Blurred(exactly(originals, weights), weights, EXACT, known, exactly(known, weights))
    return deblur(blurred, originals, scene.patient, name)


def kernel_of(setting: Setting) -> Float[np.ndarray, " k"]:
    """Return the weights of the blur that made a release.

    Raises `NotApplicable` for other methods, without a recogniser that names who is in the restored
    images, and for a kernel of one pixel.
    """
    weights = setting.known_method.linear_blur(setting.parameters)
    if weights is None or len(weights) == 1:
        raise NotApplicable("the method is not a blur")
    _ = setting.recogniser
    return weights


def exactly(
    images: UInt8[np.ndarray, "n h w"], weights: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "n h w"]:
    """Return images convolved with the weights along rows and columns, float64, not rounded."""
    return np.stack(
        [
            cv2.sepFilter2D(
                image.astype(np.float64), -1, weights, weights, borderType=cv2.BORDER_REFLECT_101
            )
            for image in images
        ]
    )


def _forward(images: np.ndarray) -> Float[np.ndarray, "n h w"]:
    return dctn(np.asarray(images, dtype=np.float64), type=1, axes=(1, 2))


def _row_power(size: int) -> Float[np.ndarray, " n"]:
    """Return the variance that white noise of variance 1 has at each frequency: the transform is
    not orthonormal.
    """
    return (dctn(np.eye(size), type=1, axes=1) ** 2).sum(axis=0)
