"""The verb: images and masks in, a table of features out."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Real

from medpriv_lib.measures.radiomics.directions import Aggregation
from medpriv_lib.measures.radiomics.discretise import Levels, fixed_bin_number, fixed_bin_size
from medpriv_lib.measures.radiomics.first_order import FIRST_ORDER, first_order
from medpriv_lib.measures.radiomics.glcm import GLCM, glcm
from medpriv_lib.measures.radiomics.glrlm import GLRLM, glrlm
from medpriv_lib.measures.radiomics.glszm import GLSZM, glszm
from medpriv_lib.measures.radiomics.ngtdm import NGTDM, ngtdm
from medpriv_lib.measures.radiomics.shape import SHAPE, shape
from medpriv_lib.measures.radiomics.table import Feature, FeatureTable
from medpriv_lib.measures.radiomics.undefined import Undefined, refuse

FAMILIES: dict[str, tuple[Feature, ...]] = {
    "first order": FIRST_ORDER,
    "shape": SHAPE,
    "glcm": GLCM,
    "glrlm": GLRLM,
    "glszm": GLSZM,
    "ngtdm": NGTDM,
}
TEXTURES = ("glcm", "glrlm", "glszm", "ngtdm")
AT_ONCE = 2**18  # pixels worked on together: larger batches leave the processor's cache


def radiomics(
    images: Real[np.ndarray, "n h w"],
    masks: Bool[np.ndarray, "n h w"],
    spacing: tuple[float, float] | None = None,
    *,
    families: Sequence[str] = tuple(FAMILIES),
    bins: int = 32,
    width: float | None = None,
    lower: float = 0.0,
    aggregation: Aggregation = "averaged",
) -> FeatureTable:
    """Return the features of the region that each mask marks, in the order of `families`.

    `images` grey levels of any real type; `masks` True inside; `spacing` the mm from one row to the
    next and from one column to the next, needed for shape alone. Textures are made from `bins` bins
    over each region's range, or, with `width`, from bins of so many grey levels from `lower` on;
    `aggregation` says how the four directions of GLCM and GLRLM are joined, "averaged" or
    "combined". The same input gives the same table, to the last bit, whatever else is in the batch.

    Raises `ValueError` for shapes or types that do not fit, values that are not finite, unknown
    families and a missing or wrong spacing; `NotApplicable` where an image does not allow a
    feature: an empty mask, one grey level, one pixel.
    """
    _refuse_arguments(families, spacing, aggregation)
    _refuse_images(images, masks)
    discretise = (
        partial(fixed_bin_number, bins=bins)
        if width is None
        else partial(fixed_bin_size, width=width, lower=lower)
    )
    each, parts = max(1, AT_ONCE // images[0].size), []
    for first in range(0, len(images), each):
        rows = slice(first, first + each)
        try:
            parts.append(
                _features(images[rows], masks[rows], spacing, families, discretise, aggregation)
            )
        except Undefined as fault:  # counts from the batch's first image
            raise Undefined(fault.rows + first, fault.why) from None
    kinds = tuple(feature for family in families for feature in FAMILIES[family])
    return FeatureTable(np.concatenate(parts), kinds)


def _features(
    images: np.ndarray,
    masks: np.ndarray,
    spacing: tuple[float, float] | None,
    families: Sequence[str],
    discretise: Callable[[np.ndarray, np.ndarray], Levels],
    aggregation: Aggregation,
) -> Float[np.ndarray, "n f"]:
    """Compute one batch, cut to the box that holds all its regions."""
    box = _box(masks)
    images, masks = images[:, *box], masks[:, *box]
    found: dict[str, np.ndarray] = {}
    if "first order" in families:
        found["first order"] = first_order(images, masks)
    if "shape" in families and spacing is not None:
        found["shape"] = shape(masks, spacing)
    if set(families) & set(TEXTURES):
        levels = discretise(images, masks)
        found |= textures(levels, aggregation, [f for f in families if f in TEXTURES])
    return np.concatenate([found[family] for family in families], axis=1)


def textures(
    levels: Levels, aggregation: Aggregation = "averaged", families: Sequence[str] = TEXTURES
) -> dict[str, Float[np.ndarray, "n f"]]:
    """Return the texture families of images that are discretised already."""
    works = {
        "glcm": lambda: glcm(levels, aggregation),
        "glrlm": lambda: glrlm(levels, aggregation),
        "glszm": lambda: glszm(levels),
        "ngtdm": lambda: ngtdm(levels),
    }
    return {family: works[family]() for family in families}


def _box(masks: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns that hold all regions."""
    there = masks.max(axis=0)
    rows, columns = np.flatnonzero(there.max(axis=1)), np.flatnonzero(there.max(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _refuse_arguments(
    families: Sequence[str], spacing: tuple[float, float] | None, aggregation: str
) -> None:
    unknown = sorted(set(families) - set(FAMILIES))
    if unknown or not families or len(set(families)) < len(families):
        raise ValueError(f"families are {list(families)}; choose from {list(FAMILIES)}, each once")
    if aggregation not in ("averaged", "combined"):
        raise ValueError(f"aggregation is {aggregation!r}; choose 'averaged' or 'combined'")
    if "shape" not in families:
        return
    if spacing is None:
        raise ValueError(
            "shape is in mm, and these images come without the mm from pixel to pixel; give "
            "spacing=(rows, columns), (1, 1) for a shape in pixels, or leave shape out of families"
        )
    if len(spacing) != 2 or not all(np.isfinite(step) and step > 0 for step in spacing):
        raise ValueError(f"spacing is {spacing}; give two positive numbers, mm per row and column")


def _refuse_images(images: np.ndarray, masks: np.ndarray) -> None:
    if images.ndim != 3 or images.dtype.kind not in "iuf" or len(images) == 0:
        raise ValueError(
            f"radiomics needs grey images (N, H, W), at least one, not {images.dtype} "
            f"{images.shape}; make colour images grey first"
        )
    if masks.shape != images.shape or masks.dtype != np.bool_:
        raise ValueError(
            f"the masks are {masks.dtype} {masks.shape} and the images {images.shape}; give one "
            "bool mask per image, of the image's size"
        )
    odd = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2)))
    if len(odd):
        raise ValueError(
            f"image {odd[0]} ({len(odd)} such) holds NaN or infinity; fill these pixels, or leave "
            "the image out"
        )
    refuse(
        masks.sum(axis=(1, 2)) == 0,
        "the mask is empty, so there is no region to describe; mark one, or leave the image out",
    )
