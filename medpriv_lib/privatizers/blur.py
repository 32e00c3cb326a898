"""Gaussian blur: the filter that hides a patient by throwing away fine detail, and the disease's
signs with it.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer

BATCH = 2**18  # pixels at once: 64 images of 64 x 64, whose copies stay in the cache
USUAL, USUAL_SIZE = 9, 64  # px: the kernel that is used where nobody names one, and of which images
WIDEST = 31  # px: wider kernels are computed in float64 throughout


def sigma_of(kernel: int) -> float:
    """Return the standard deviation in pixels for a kernel width in pixels: 0.3 ((k - 1) / 2 - 1) +
    0.8.

    It is OpenCV's own rule for large kernels. The paper gives kernel sizes only, and OpenCV with
    sigma = 0 uses a fixed table for small kernels and another rule above, so the sigma is always
    passed.
    """
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def kernel_for(size: int) -> int:
    """Return the kernel in pixels that is used on images of `size` x `size` pixels where nobody
    names one: 9 up to 64 pixels; on larger ones the narrowest whose bell is as wide as that, as a
    share of the image.

    A kernel of 9 pixels blurs half as much of an eye at 128 pixels as at 64.
    """
    kernel = USUAL
    while sigma_of(kernel) * USUAL_SIZE < sigma_of(USUAL) * size - 1e-9:
        kernel += 2
    return kernel


def blurred(images: Images, kernel: int) -> Images:
    """Convolve images, (N, H, W) or each colour of (N, H, W, 3), with a Gaussian of `kernel`
    pixels; borders are mirrored without the edge pixel.

    Equal to the result in float64, rounded to grey levels once, halves to the even one. OpenCV's
    8-bit path also rounds the kernel to 8 bits: at 15 and 21 pixels up to two grey levels off.
    Up to `WIDEST` pixels many images are convolved at once in float32, and the few pixels whose
    value lies so near a half that float32 cannot say its side are computed again in float64.
    """
    out = np.empty(images.shape, np.uint8)
    if kernel > min(WIDEST, *images.shape[1:3]):
        _blur_exactly(images, kernel, out)
    else:
        _blur_many(images, kernel, out)
    return out


def _blur_exactly(images: Images, kernel: int, out: Images) -> None:
    """Write the images, each convolved in float64, to `out`."""
    sigma, border = sigma_of(kernel), cv2.BORDER_REFLECT_101
    for image, blur in zip(images, out, strict=True):
        exact = image.astype(np.float64)
        exact = cv2.GaussianBlur(exact, (kernel, kernel), sigma, sigmaY=sigma, borderType=border)
        blur[...] = np.rint(exact, out=exact)


def _blur_many(images: Images, kernel: int, out: Images) -> None:
    """Write the images, convolved in float32 and repaired in float64, to `out`.

    A batch lies in `tall`, the images under each other with their mirrored borders, for one
    convolution. Its values are off by at most (radius + 3) 2**-15 grey levels: each of some
    radius + 2 additions along each axis rounds by up to 2**-17, or twice that where a processor
    rounds products. Where too many lie near a half, the batch is computed in float64.
    """
    height, width, *colours = images.shape[1:]
    radius, weights = kernel // 2, Blur.linear_blur({"kernel": kernel})
    rows, off = _mirrored(height, radius), (radius + 3) * 2.0**-15
    batch = max(1, min(len(images), BATCH // max(1, images[:1].size)))
    tall = np.empty((batch * len(rows), width, *colours), np.uint8)
    values = np.empty(tall.shape, np.float32)
    above, below = np.empty_like(tall), np.empty_like(tall)
    single = weights.astype(np.float32)
    for start in range(0, len(images), batch):
        some, shown = images[start : start + batch], out[start : start + batch]
        if len(some) < batch:
            tall, values, above, below = (
                one[: len(some) * len(rows)] for one in (tall, values, above, below)
            )
        framed = tall.reshape(len(some), len(rows), *some.shape[2:])
        framed[:, radius : radius + height] = some
        for row in (*range(radius), *range(radius + height, len(rows))):
            framed[:, row] = some[:, rows[row]]
        border = cv2.BORDER_REFLECT_101
        cv2.sepFilter2D(tall, cv2.CV_32F, single, single, dst=values, borderType=border)
        cv2.convertScaleAbs(values, above, 1, off)
        cv2.convertScaleAbs(values, below, 1, -off)
        shown[...] = above.reshape(framed.shape)[:, radius : radius + height]
        near = np.flatnonzero(above != below)
        if len(near) > above.size // 64:
            _blur_exactly(some, kernel, shown)
        else:
            _repair(shown, framed, near, weights)


def _repair(
    shown: Images, framed: Images, near: Int64[np.ndarray, " p"], weights: Float[np.ndarray, " k"]
) -> None:
    """Compute again, in float64, the pixels `near` of the flattened `framed` images."""
    height, width, colours = shown.shape[1], shown.shape[2], shown[0, 0, 0].size
    radius = len(weights) // 2
    line, rest = np.divmod(near, width * colours)
    image, row = np.divmod(line, framed.shape[1])
    column, colour = np.divmod(rest, colours)
    kept = (row >= radius) & (row < radius + height)  # the others are of the frames
    image, row, column, colour = image[kept], row[kept], column[kept], colour[kept]
    span = np.arange(len(weights)) - radius
    around = framed.reshape(*framed.shape[:3], colours)[
        image[:, None, None],
        row[:, None, None] + span[:, None],
        _mirrored(width, radius)[column[:, None] + span + radius][:, None],
        colour[:, None, None],
    ]
    exact = np.rint(around.astype(np.float64) @ weights @ weights)
    shown.reshape(*shown.shape[:3], colours)[image, row - radius, column, colour] = exact


def _mirrored(side: int, radius: int) -> np.ndarray:
    """Return which row or column stands at each place from -radius to side + radius."""
    places = range(-radius, side + radius)
    return np.array([cv2.borderInterpolate(at, side, cv2.BORDER_REFLECT_101) for at in places])


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
            usually="9 on images of up to 64 pixels, in proportion on larger ones: 21 at 128",
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
    def suited(cls, size: int) -> dict[str, Any]:
        """Return the kernel of `kernel_for`."""
        return {"kernel": kernel_for(size)}

    @classmethod
    def said(cls, settings: Mapping[str, Any], size: int) -> str:
        """Say how wide the kernel is on images of this size, and whether that is narrower than what
        is used where nobody names one.
        """
        kernel, usual = int(settings["kernel"]), kernel_for(size)
        share = 100 * sigma_of(kernel) / size
        text = f"kernel {kernel} on {size} pixels: a bell of {share:.1f} % of the image's width"
        less = f"; without --kernel this size is blurred with {usual}" if kernel < usual else ""
        return text + less

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
