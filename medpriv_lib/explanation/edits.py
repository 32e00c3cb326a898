"""Ways to show an eye with the other reading: by its medical vector, or by its signs.

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
from medpriv_lib.core.pixels import Images, to_uint8
from medpriv_lib.privatizers.disentangled.model import Model

Wanted = Bool[np.ndarray, " n"]
Edit = Callable[[Images, Wanted, torch.Generator], Images]
LAID, RADIUS = 0.1, 3  # alpha from which a pixel is painted anew, and from how far, in pixels


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


def by_signs(read: Callable[[Images], Read], donors: Cohort) -> Edit:
    """Return the edit that removes the signs that `read` finds, or adds those of a donor.

    `read` is `SignTransfer.read`, or what reads signs like it. Where health is wanted, pixels with
    alpha above .1 are painted anew from those around them (Telea 2004, doi
    10.1080/10867651.2004.10487596); where disease is wanted, the signs of a random diseased image
    of `donors` are laid over: x + alpha (v - x). Grey images only. Raises `NotApplicable` where no
    donor is diseased and one is needed.
    """

    def edit(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        made = images.copy()
        ill, well = np.flatnonzero(wanted), np.flatnonzero(~wanted)
        if len(well):
            laid = read(images[well]).alpha > LAID
            for row, mask in zip(well, laid.astype(np.uint8), strict=True):
                made[row] = cv2.inpaint(images[row], mask, RADIUS, cv2.INPAINT_TELEA)
        if len(ill):
            rows = donor_rows(donors, wanted[ill], generator)
            signs, x = read(donors.images[rows]), images[ill].astype(np.float64)
            made[ill] = np.rint(x + signs.alpha * (signs.v - x)).clip(0, 255).astype(np.uint8)
        return made

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
