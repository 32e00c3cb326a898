r"""Undo the method: deconvolve a blur, subtract the known members from a mean, then ask the
recogniser again.

Blur with mirrored borders (reflect-101) of an even kernel is diagonal in the discrete cosine
transform of type 1: the image, mirrored about its first and last pixel, is periodic with 2(n - 1),
so row and column frequency k is multiplied by h_0 + 2 sum_j h_j cos(pi j k / (n - 1)), exactly,
borders included. Undoing it is one division per frequency. What stops it is noise: 8-bit rounding
adds an error of variance 1/12, and the division raises it by 1 / gain^2. Wiener's filter (1949)
divides where the signal is above that noise and lets go where it is not.

The mean of K images less the K - 1 known ones is the K-th: exact in floating point, and within K /
2 grey levels where the mean was rounded, since the error of at most 1/2 is multiplied by K.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from scipy.fft import dctn, idctn
from torch import Tensor, nn
from torch.nn import functional

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.core.intervals import mean_interval

Judge = Callable[[UInt8[np.ndarray, "n h w"]], Int64[np.ndarray, " n"]]  # names a patient, or -1
ROUNDING = 1 / np.sqrt(
    12
)  # standard deviation in grey levels of the error of rounding to whole ones
EXACT = 1e-10  # the same for images that were kept in float64
FLOAT32 = 1e-5  # and in float32, whose step near 128 is 1.5e-5


def gains(kernel: Float[np.ndarray, " k"], size: int) -> Float[np.ndarray, " n"]:
    """Return the factor by which a blur multiplies each of `size` cosine frequencies along one
    axis.

    `kernel` are its weights, an odd number, symmetric; the two-dimensional gain is the outer
    product. Raises `ValueError` for a kernel that is not symmetric or reaches beyond the image.
    """
    half = len(kernel) // 2
    if len(kernel) % 2 == 0 or not np.allclose(kernel, kernel[::-1]):
        raise ValueError(
            "only a symmetric kernel of odd length is diagonal in the cosine transform"
        )
    if half > size - 1:
        raise ValueError(f"a kernel of {len(kernel)} pixels reaches beyond an image of {size}")
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
        levels.
        """
        if len(originals) < 2:
            raise ValueError("the spectrum of the signal needs at least two originals")
        height, width = originals.shape[1:]
        self.gain = np.outer(gains(kernel, height), gains(kernel, width))
        waves = _forward(originals)
        self.mean, self.signal = waves.mean(axis=0), waves.var(axis=0)
        self.noise = noise**2 * np.outer(_row_power(height), _row_power(width))
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


class Restorer(nn.Module):
    """Four convolutions that correct a first estimate, looking at it and at what was released."""

    def __init__(self, width: int = 24) -> None:
        """Make the layers; the last one begins at zero, so that training starts from the first
        estimate.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, width, 5, padding=2, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, both: Float[Tensor, "n 2 h w"]) -> Float[Tensor, "n 1 h w"]:
        """Return the corrected estimate; channel 0 is the released image, channel 1 the estimate,
        in [-1, 1].
        """
        return both[:, 1:] + self.layers(both)


def fit_restorer(
    released: np.ndarray,
    first: Float[np.ndarray, "n h w"],
    originals: UInt8[np.ndarray, "n h w"],
    generator: torch.Generator,
    epochs: int = 6,
    batch: int = 32,
    rate: float = 2e-3,
) -> Restorer:
    """Train a `Restorer` on pairs that the attacker made: `originals` (N, H, W), released, and the
    first estimates.

    Mean absolute error, Adam, the rate falling to zero as a cosine. All randomness comes from
    `generator`, the first weights included. Raises `ValueError` where the three do not fit
    together.
    """
    if not len(released) == len(first) == len(originals):
        raise ValueError(f"{len(originals)} originals need as many released images and estimates")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        network = Restorer().to(memory_format=torch.channels_last)
    inputs, target = _both(released, first), _scaled(originals)[:, None]
    optimiser = torch.optim.Adam(network.parameters(), rate)
    steps = epochs * -(-len(target) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    for _ in range(epochs):
        for rows in torch.randperm(len(target), generator=generator).split(batch):
            loss = functional.l1_loss(network(inputs[rows]), target[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def restored(
    network: Restorer, released: np.ndarray, first: Float[np.ndarray, "n h w"], batch: int = 64
) -> Float[np.ndarray, "n h w"]:
    """Return the network's estimates in grey levels."""
    parts = [
        network(_both(released[i : i + batch], first[i : i + batch]))
        for i in range(0, len(released), batch)
    ]
    return (torch.cat(parts).squeeze(1).double().numpy() + 1) * 127.5


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
        per_patient=shares(hits[best], patient),
        note=f"best: {best}",
        hits=hits[best].astype(np.float64),
        probe=np.arange(len(patient)),
    )


def subtract_known(
    mean: np.ndarray, known: UInt8[np.ndarray, "n m h w"]
) -> Float[np.ndarray, "n h w"]:
    """Return the missing member of each mean: (m + 1) times the mean (N, H, W) less the sum of the
    m known ones.
    """
    count = known.shape[1] + 1
    return count * np.asarray(mean, dtype=np.float64) - known.sum(axis=1, dtype=np.int64)


def known_members(
    mean: np.ndarray,
    known: UInt8[np.ndarray, "n m h w"],
    originals: UInt8[np.ndarray, "n h w"],
    patient: Int64[np.ndarray, " n"],
    name: Judge,
) -> Finding:
    """Reveal the K-th member of a K-Same mean and let the recogniser name it.

    Knowledge: the exact images of K - 1 members of the group, that there are K, and a recogniser of
    the patients. `mean` (N, H, W) as released, uint8, or float64 before rounding; `known` (N, K -
    1, H, W). "largest_error" is in grey levels: at most K / 2 where the mean was rounded, and
    nothing in float64; "bound" is that K / 2.
    """
    estimate = subtract_known(mean, known)
    hit = name(whole(estimate)) == patient
    count = known.shape[1] + 1
    measures = {
        "rank1": float(hit.mean()),
        "largest_error": float(np.abs(estimate - originals).max()),
        "error": error(estimate, originals),
        "bound": count / 2 if np.asarray(mean).dtype == np.uint8 else 0.0,
    }
    return Finding(
        "known members",
        knowledge_of(known_members),
        measures,
        {"rank1": mean_interval(hit, patient)},
        n=len(patient),
        patients=len(np.unique(patient)),
        per_patient=shares(hit, patient),
    )


def shares(hit: np.ndarray, patient: Int64[np.ndarray, " n"]) -> dict[int, float]:
    """Return patient number -> the share of the patient's images that were hits."""
    numbers, index, count = np.unique(patient, return_inverse=True, return_counts=True)
    return dict(
        zip(numbers.tolist(), (np.bincount(index, weights=hit) / count).tolist(), strict=True)
    )


def _forward(images: np.ndarray) -> Float[np.ndarray, "n h w"]:
    return dctn(np.asarray(images, dtype=np.float64), type=1, axes=(1, 2))


def _row_power(size: int) -> Float[np.ndarray, " n"]:
    """Return the variance that white noise of variance 1 has at each frequency: the transform is
    not orthonormal.
    """
    return (dctn(np.eye(size), type=1, axes=1) ** 2).sum(axis=0)


def _scaled(images: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(images, dtype=np.float64) / 127.5 - 1).float()


def _both(released: np.ndarray, first: np.ndarray) -> Tensor:
    both = torch.stack([_scaled(released), _scaled(first)], dim=1)
    return both.contiguous(memory_format=torch.channels_last)
