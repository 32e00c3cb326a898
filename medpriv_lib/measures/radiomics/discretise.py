"""Grey levels into a few bins, in the two ways that the IBSI defines (reference manual, 2.7).

Texture matrices count how often levels meet. With 256 levels nearly every count is 0 or 1, so the
levels are put into bins first. *Fixed bin number* divides the range of each region into equal bins:
the contrast of the image no longer matters, and neither does the unit. *Fixed bin size* gives every
bin the same width in grey levels, from a fixed lower end: bins mean the same in all images, which
is right where grey levels have a meaning (Hounsfield units) and wrong where exposure moves them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, Real

from medpriv_lib.measures.radiomics.undefined import refuse

FLAT = (
    "the region has one grey level, and without variation there is no texture; check the mask, use "
    "finer bins, or leave the image out"
)


@dataclass(frozen=True, eq=False)
class Levels:
    """Discretised images.

    `grey` int64 (N, H, W): 1..count inside the region, 0 outside; `count` int64 (N,): the number of
    bins N_g of each image, which some features are divided by.
    """

    grey: Int64[np.ndarray, "n h w"]
    count: Int64[np.ndarray, " n"]

    @property
    def inside(self) -> Bool[np.ndarray, "n h w"]:
        """The regions."""
        return self.grey > 0


def fixed_bin_number(
    images: Real[np.ndarray, "n h w"], masks: Bool[np.ndarray, "n h w"], bins: int = 32
) -> Levels:
    """Return floor(bins (x - min) / (max - min)) + 1, the largest grey level in the last bin.

    `min` and `max` are those of each region, which must not be empty. Raises `ValueError` for less
    than 2 bins and `NotApplicable` where a region has one grey level: its range is no range.
    """
    if bins < 2:
        raise ValueError(f"a texture needs at least 2 bins, not {bins}")
    x = images.astype(np.float64)
    low = np.where(masks, x, np.inf).min(axis=(1, 2), keepdims=True)
    high = np.where(masks, x, -np.inf).max(axis=(1, 2), keepdims=True)
    refuse((low == high).ravel(), FLAT)
    level = np.floor(bins * (x - low) / (high - low)) + 1
    grey = np.where(masks, np.clip(level, 1, bins), 0).astype(np.int64)
    return Levels(grey, np.full(len(images), bins, dtype=np.int64))


def fixed_bin_size(
    images: Real[np.ndarray, "n h w"],
    masks: Bool[np.ndarray, "n h w"],
    width: float,
    lower: float = 0.0,
) -> Levels:
    """Return floor((x - lower) / width) + 1; `width` and `lower` are in grey levels of the image.

    The number of bins of an image is its largest level. Raises `ValueError` for a width that is not
    positive and for grey levels below `lower`, `NotApplicable` where a region falls into one bin.
    """
    if not width > 0:
        raise ValueError(f"the bins need a positive width in grey levels, not {width}")
    x = images.astype(np.float64)
    least = float(x[masks].min()) if masks.any() else lower
    if least < lower:
        raise ValueError(
            f"a region holds grey level {least:g}, below the lower end {lower:g} of the first bin; "
            "give a smaller `lower`"
        )
    grey = np.where(masks, np.floor((x - lower) / width) + 1, 0).astype(np.int64)
    highest = grey.max(axis=(1, 2))
    lowest = np.where(masks, grey, np.iinfo(np.int64).max).min(axis=(1, 2))
    refuse(lowest == highest, FLAT)
    return Levels(grey, highest)
