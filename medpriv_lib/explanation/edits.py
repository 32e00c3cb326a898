"""Ways to show an eye with the other reading: by its medical vector, or by its signs; and, to
compare with, ways that only look like one.

An edit takes images, the wanted labels and a CPU generator, and returns the images changed.
"""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images, to_tensor, to_uint8
from medpriv_lib.privatizers.disentangled.model import Model
from medpriv_lib.recognition.networks import Recogniser

Wanted = Bool[np.ndarray, " n"]
Edit = Callable[[Images, Wanted, torch.Generator], Images]
LAID, RADIUS = 0.1, 3  # alpha from which a pixel is painted anew, and from how far, in pixels
OPAQUE = 0.9  # of a layer thicker than this too little shines through to be lifted off
STEPS, MOST = 24, 6.0  # of an adversarial edit: how many, and grey levels that a pixel may move


class Read(Protocol):
    """Signs that were read: `alpha` (N, H, W) in 0..1 how much of `v` (N, H, W), levels 0..255,
    lies over the eye.
    """

    @property
    def alpha(self) -> Float[np.ndarray, "n h w"]:
        """How much."""

    @property
    def v(self) -> Float[np.ndarray, "n h w"]:
        """Of what."""


def unchanged(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
    """Return the images as they are: what every edit has to be better than."""
    return images.copy()


def reconstructed(model: Model) -> Edit:
    """Return the edit that shows every image as the networks reconstruct it, no vector changed."""

    def edit(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        return to_uint8(model.show(model.vectors(images)))

    return edit


def by_medical_vector(model: Model, donors: Cohort | None = None) -> Edit:
    """Return the edit that gives each image the medical vector of the wanted label.

    Without `donors` the mean vector of the training images of the label, else that of a random
    image of the label among them, drawn from the edit's CPU generator. Raises `NotApplicable` where
    no donor has a wanted label.
    """

    def edit(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        vectors, device = model.vectors(images), model.device
        if donors is None:
            medical = model.medical_mean[torch.from_numpy(wanted.astype(np.int64)).to(device)]
        else:
            rows = donor_rows(donors, wanted, generator)
            medical = model.vectors(donors.images[rows]).medical
        return to_uint8(model.show(vectors._replace(medical=medical)))

    return edit


def beyond_reconstruction(model: Model, edit: Edit) -> Edit:
    """Return the edit that adds to the given image only what `edit` changes in its reconstruction.

    A reconstruction is blurred; the difference of two reconstructions is laid over the sharp image,
    so that what need not change does not.
    """
    plain = reconstructed(model)

    def both(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        change = edit(images, wanted, generator).astype(np.int64)
        change -= plain(images, wanted, generator)
        return (images + change).clip(0, 255).astype(np.uint8)

    return both


def by_signs(read: Callable[[Images], Read], donors: Cohort, gain: float = 1.0) -> Edit:
    """Return the edit that lifts the signs that `read` finds off the eye, or lays a donor's over.

    `read` is `SignTransfer.read`, or what reads signs like it; `gain` multiplies alpha, give
    `SignTransfer.calibration` with its reading. Where disease is wanted, the signs of a random
    diseased image of `donors` are laid over: x + alpha (v - x). Where health is wanted, this is
    solved for what lies below: (x - alpha v) / (1 - alpha), with alpha up to .9. Grey images only.
    Raises `NotApplicable` where no donor is diseased and one is needed.
    """

    def edit(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        made = images.copy()
        ill, well = np.flatnonzero(wanted), np.flatnonzero(~wanted)
        if len(well):
            made[well] = lifted(images[well], read(images[well]), gain)
        if len(ill):
            rows = donor_rows(donors, wanted[ill], generator)
            made[ill] = laid_over(images[ill], read(donors.images[rows]), gain)
        return made

    return edit


def laid_over(images: Images, signs: Read, gain: float = 1.0) -> Images:
    """Return x + alpha (v - x), rounded: the signs over the images."""
    alpha, x = np.clip(gain * signs.alpha, 0, 1).astype(np.float64), images.astype(np.float64)
    return np.rint(x + alpha * (signs.v - x)).clip(0, 255).astype(np.uint8)


def lifted(images: Images, signs: Read, gain: float = 1.0) -> Images:
    """Return (x - alpha v) / (1 - alpha), rounded: what lies below the signs of the images."""
    alpha = np.clip(gain * signs.alpha, 0, OPAQUE).astype(np.float64)
    below = (images - alpha * signs.v) / (1 - alpha)
    return np.rint(below).clip(0, 255).astype(np.uint8)


def by_inpainting(read: Callable[[Images], Read]) -> Edit:
    """Return the edit that paints pixels with alpha above .1 anew from those around them (Telea
    2004, doi 10.1080/10867651.2004.10487596), what `by_signs` has to be better than.

    Raises `NotApplicable` where disease is wanted: there is nothing to paint anew.
    """

    def edit(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        if wanted.any():
            raise NotApplicable("painting anew removes signs and adds none")
        masks = (read(images).alpha > LAID).astype(np.uint8)
        painted = [
            cv2.inpaint(image, mask, RADIUS, cv2.INPAINT_TELEA)
            for image, mask in zip(images, masks, strict=True)
        ]
        return np.array(painted, dtype=np.uint8).reshape(images.shape)

    return edit


def by_another(donors: Cohort) -> Edit:
    """Return the edit that shows a random image of the wanted label among `donors` instead: every
    reading changes, and the eye with it. Errors as of `donor_rows`.
    """

    def edit(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        return donors.images[donor_rows(donors, wanted, generator)]

    return edit


def by_gradient(network: Recogniser, steps: int = STEPS, most: float = MOST) -> Edit:
    """Return the edit that only the network notices: an adversarial example (projected gradient
    steps on the margin, Madry et al. 2018, arXiv 1706.06083), no pixel moved by more than `most`
    grey levels.

    It stands for what a counterfactual must not be: another reading without another eye.
    """

    def edit(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        x = to_tensor(images)
        near, sign = most / 127.5, torch.from_numpy(np.where(wanted, 1.0, -1.0)).float()
        moved = x.clone()
        for _ in range(steps):
            with torch.enable_grad():
                moved.requires_grad_(True)
                scores = network(moved)
                gain = (sign * (scores[:, 1] - scores[:, 0])).sum()
                (slope,) = torch.autograd.grad(gain, moved)
            step = 2.5 * near / steps * slope.sign()
            moved = (moved.detach() + step).clamp(x - near, x + near).clamp(-1, 1)
        return to_uint8(moved)

    return edit


def donor_rows(
    donors: Cohort, wanted: Wanted, generator: torch.Generator
) -> Int64[np.ndarray, " n"]:
    """Return for each wanted label a random row of the donors that has it, from a CPU generator.

    Raises `NotApplicable` where no donor has a wanted label.
    """
    drawn = torch.rand(len(wanted), generator=generator).double().numpy()
    rows = np.empty(len(wanted), dtype=np.int64)
    for label in np.unique(wanted):
        able = np.flatnonzero(donors.diseased == label)
        if len(able) == 0:
            raise NotApplicable(f"no donor is {'diseased' if label else 'healthy'}: give others")
        here = wanted == label
        rows[here] = able[(drawn[here] * len(able)).astype(np.int64)]
    return rows
