"""Gaussian blur: the filter that hides a patient by throwing away fine detail, and the disease's
signs with it.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer

BATCH = 32  # images at once: 2 MB at 64 x 64, which stays in the cache


def sigma_of(kernel: int) -> float:
    """Return the standard deviation in pixels for a kernel width in pixels: 0.3 ((k - 1) / 2 - 1) +
    0.8.

    It is OpenCV's own rule for large kernels. The paper gives kernel sizes only, and OpenCV with
    sigma = 0 uses a fixed table for small kernels and another rule above, so the sigma is always
    passed.
    """
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def blurred(images: Images, kernel: int) -> Images:
    """Convolve images, (N, H, W) or each colour of (N, H, W, 3), with a Gaussian of `kernel`
    pixels; borders are mirrored without the edge pixel.

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


class Blur(Privatizer):
    """Blur every image with a Gaussian kernel of `kernel` pixels (Frome et al. 2009; the paper uses
    3, 9, 15 and 21).

    No other patient is involved, so `contributors` has shape (N, 0), and images from outside the
    cohort are welcome. Raises `ValueError` for a kernel that is even or below 3: an even one has no
    middle pixel and would shift the image, a single pixel leaves it as it is.
    """

    name = "blur"
    title = "Blur"
    marker = "s"
    parameters = (
        Parameter(
            "kernel",
            9,
            "width of the blur kernel in pixels, an odd whole number from 3 on; one pixel would "
            "leave every image as it is",
            least=3,
            most=2001,
        ),
    )
    compared = tuple(Compared(f"kernel {k}", {"kernel": k}) for k in (3, 9, 15, 21))

    def __init__(self, kernel: int = 9) -> None:
        """Take the kernel width in pixels, an odd whole number from 3 on."""
        self.check({"kernel": kernel})
        self.kernel = int(kernel)

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Raise `ValueError` as `Privatizer.check`, and for an even kernel."""
        super().check(settings)
        if settings.get("kernel", 1) % 2 == 0:
            raise ValueError(
                f"kernel must be an odd whole number, not {settings['kernel']}: an even one has no "
                "middle pixel; the paper uses 3, 9, 15 and 21"
            )

    @classmethod
    def linear_blur(cls, settings: Mapping[str, Any]) -> Float[np.ndarray, " k"]:
        """Return the Gaussian's weights along one axis, float64 (K,), which sum to 1."""
        kernel = settings["kernel"]
        return cv2.getGaussianKernel(kernel, sigma_of(kernel), cv2.CV_64F)[:, 0]

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return every image blurred, in the order given; nothing is drawn."""
        n = len(cohort)
        return Release(
            images=blurred(cohort.images, self.kernel),
            source=np.arange(n, dtype=np.int64),
            contributors=np.empty((n, 0), dtype=np.int64),
            method=self.name,
            parameters={**self.settings, "sigma": sigma_of(self.kernel)},
        )
