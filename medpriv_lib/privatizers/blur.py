"""Gaussian blur: the filter that hides a patient by throwing away fine detail, and the disease's
signs with it.
"""

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release

BATCH = 32  # images at once: 2 MB at 64 x 64, which stays in the cache


def sigma_of(kernel: int) -> float:
    """Return the standard deviation in pixels for a kernel width in pixels: 0.3 ((k - 1) / 2 - 1) +
    0.8.

    It is OpenCV's own rule for large kernels. The paper gives kernel sizes only, and OpenCV with
    sigma = 0 uses a fixed table for small kernels and another rule above, so the sigma is always
    passed.
    """
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def blurred(images: UInt8[np.ndarray, "n h w"], kernel: int) -> UInt8[np.ndarray, "n h w"]:
    """Convolve grey images (N, H, W) with a Gaussian of `kernel` pixels; borders are mirrored
    without the edge pixel.

    Computed in float64 and rounded to grey levels once, halves to the even one. OpenCV's 8-bit path
    also rounds the kernel to 8 bits: at 15 and 21 pixels it is up to two grey levels off, and
    slower.
    """
    sigma, out = sigma_of(kernel), np.empty_like(images)
    for start in range(0, len(images), BATCH):
        exact = images[start : start + BATCH].astype(np.float64)
        result = np.empty_like(exact)
        for image, target in zip(exact, result, strict=True):
            cv2.GaussianBlur(
                image,
                (kernel, kernel),
                sigma,
                dst=target,
                sigmaY=sigma,
                borderType=cv2.BORDER_REFLECT_101,
            )
        out[start : start + BATCH] = np.rint(result, out=result)
    return out


class Blur:
    """Blur every image with a Gaussian kernel of `kernel` pixels (Frome et al. 2009; the paper uses
    3, 9, 15 and 21).

    No other patient is involved, so `contributors` has shape (N, 0), and images from outside the
    cohort are welcome. Raises `ValueError` for a kernel that is even or below 1: an even one has no
    middle pixel and would shift the image.
    """

    name = "blur"

    def __init__(self, kernel: int) -> None:
        """Take the kernel width in pixels, an odd whole number."""
        if not isinstance(kernel, int | np.integer) or kernel < 1 or kernel % 2 == 0:
            raise ValueError(
                f"the blur kernel must be an odd whole number of at least 1, not {kernel!r}; "
                "the paper uses 3, 9, 15 and 21"
            )
        self.kernel = int(kernel)

    def fit(self, train: Cohort) -> "Blur":
        """Return the method itself: blur learns nothing."""
        return self

    def privatize(self, cohort: Cohort, generator: torch.Generator | None = None) -> Release:
        """Return every image blurred, in the order given. `generator` is not used: blur draws
        nothing.
        """
        n = len(cohort)
        return Release(
            images=blurred(cohort.images, self.kernel),
            source=np.arange(n, dtype=np.int64),
            contributors=np.empty((n, 0), dtype=np.int64),
            method=self.name,
            parameters={"kernel": self.kernel, "sigma": sigma_of(self.kernel)},
        )
