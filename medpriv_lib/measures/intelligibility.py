"""Can a person still read the released image? Three numbers, each with its floor beside it."""

import warnings
from collections.abc import Callable

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import nn

Images = UInt8[np.ndarray, "n h w"]

TOLERANCE = 3 / 64  # of the side: the iris is in the middle of a prepared image
SUBSET = 100
DISTINCT = 0.9


def found(
    images: Images, locate: Callable[[np.ndarray], object | None], tolerance: float = TOLERANCE
) -> Bool[np.ndarray, " n"]:
    """Say in which images the localiser finds an iris whose centre is where preparation put it: in
    the middle.

    `locate` is `data.localize.locate`, or anything that returns an object with `iris_x` and
    `iris_y` in px, or None. `tolerance` is a share of the side: 3 px at 64x64. For images that are
    not eyes the score means nothing.
    """
    if images.ndim != 3:
        raise ValueError(f"images must be (N, H, W), not {images.shape}")
    _, height, width = images.shape
    hits = np.zeros(len(images), dtype=bool)
    for row, image in enumerate(images):
        eye = locate(image)
        if eye is not None:
            off = np.hypot(eye.iris_x - (width - 1) / 2, eye.iris_y - (height - 1) / 2)
            hits[row] = off <= tolerance * min(height, width)
    return hits


def sharpness(released: Images, original: Images) -> Float[np.ndarray, " n"]:
    """Return the variance of the Laplacian of each released image over that of its original.

    1: as sharp; 0: flat; above 1: noise or artefacts were added. nan where the original is flat.
    """
    if released.shape != original.shape:
        raise ValueError(
            f"released images {released.shape} and originals {original.shape} differ in shape"
        )
    new, old = (
        np.array([cv2.Laplacian(image, cv2.CV_64F).var() for image in part])
        for part in (released, original)
    )
    return np.where(old > 0, new / np.where(old > 0, old, 1), np.nan)


def kid(
    real: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "m d"],
    generator: torch.Generator,
    subset_size: int = SUBSET,
    subsets: int = 100,
) -> tuple[float, float]:
    """Return the kernel inception distance of two sets of embeddings, mean and standard deviation
    over subsets.

    0 in expectation where both sets come from one distribution (it may be slightly negative);
    unbiased in the sizes. The embeddings are those of our own disease judge, not of Inception,
    which has never seen an eye: values compare within one judge only, so read it beside the
    distance between training and test originals. (nan, nan) where a set has fewer than
    `subset_size` images. Source: Bińkowski et al. 2018; by torchmetrics.
    """
    if real.ndim != 2 or other.ndim != 2 or real.shape[1] != other.shape[1]:
        raise ValueError(
            f"embeddings must be (N, D) of one width, not {real.shape} and {other.shape}"
        )
    if min(len(real), len(other)) < subset_size:
        return float("nan"), float("nan")
    from torchmetrics.image.kid import (
        KernelInceptionDistance,
    )  # takes three seconds to import, and only KID needs it

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it warns that it keeps the embeddings in memory; there are few
        metric = KernelInceptionDistance(
            feature=nn.Identity(), subsets=subsets, subset_size=subset_size
        )
    metric.update(torch.from_numpy(np.ascontiguousarray(real, dtype=np.float32)), real=True)
    metric.update(torch.from_numpy(np.ascontiguousarray(other, dtype=np.float32)), real=False)
    # torchmetrics chooses the subsets by torch's global generator: seed it for this call from ours
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, std = metric.compute()
    return float(mean), float(std)


def are_copies(released: Images, known: Images, distinct: float = DISTINCT) -> bool:
    """Say whether a release is largely made of copies, of each other or of `known` originals.

    Then its distance from real images says nothing: copies of real images are at distance 0 and
    help nobody. True where fewer than `distinct` of the images differ from each other, or more than
    1 - `distinct` are in `known`.
    """
    keys = [image.tobytes() for image in released]
    originals = {image.tobytes() for image in known}
    copied = sum(key in originals for key in keys)
    return (
        len(keys) == 0
        or len(set(keys)) < distinct * len(keys)
        or copied > (1 - distinct) * len(keys)
    )
