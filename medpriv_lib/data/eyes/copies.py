"""Working copies of an eye image: smaller, and freed of specks.

Everything here returns what OpenCV's own functions return, level by level, in less of its time.
"""

from functools import cache
from math import gcd

import cv2
import numpy as np

from medpriv_lib.data.eyes import median

SPECK = 60  # shares of the short side: half a window that takes glints away, which are as wide
WORTH_IT = 12_000  # px: in a smaller image OpenCV's own median takes no longer
BLUR = 120  # shares of the short side: the blur after that
CHANNELS = 4  # so many parts of an image are shrunk together
STEPS = 256  # in which OpenCV counts the weights of a blur of uint8


def copy_for(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Return a float copy with the given short side, freed of specks, and how many image px one of
    its px is.
    """
    size, scale = size_for(image.shape, side)
    small = resized(image, size)
    return without_specks(small, min(small.shape)), scale


def size_for(shape: tuple[int, int], side: int) -> tuple[tuple[int, int], float]:
    """Return height and width of a copy with the given short side, and how many image px one of its
    px is.
    """
    scale = min(shape) / side
    return (max(8, round(shape[0] / scale)), max(8, round(shape[1] / scale))), scale


def resized(
    image: np.ndarray, size: tuple[int, int], left: int = 0, right: int | None = None
) -> np.ndarray:
    """Return a copy of height and width `size`; a smaller one's px are means over the image's.

    With `left` and `right`, columns of the copy, the others may have any level.
    """
    (height, width), right = size, size[1] if right is None else right
    if min(image.shape) <= min(size):
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    # rows and columns where borders of px coincide cut the image into blocks
    down, across = gcd(image.shape[0], height), gcd(image.shape[1], width)
    rows = gcd(down, CHANNELS)
    columns = CHANNELS // rows
    first, last = left * across // width, -(-right * across // width)
    first = max(0, min(first, across - columns))
    last += (first - last) % columns
    if height == down or last > across:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    # four parts of the image as channels of 16 bits: these are added up in half of the time
    part = image[:, first * image.shape[1] // across : last * image.shape[1] // across]
    quarters = [one for row in np.split(part, rows) for one in np.split(row, columns, axis=1)]
    packed = cv2.merge([one.astype(np.uint16) for one in quarters])
    shape = (height // rows, (last - first) // columns * (width // across))
    small = cv2.resize(packed, shape[::-1], interpolation=cv2.INTER_AREA)
    out = np.empty(size, np.uint8)
    start = first * width // across
    for number, quarter in enumerate(cv2.split(small)):
        top, side = (at * one for at, one in zip(divmod(number, columns), shape, strict=True))
        out[top : top + shape[0], start + side : start + side + shape[1]] = quarter
    return out


def without_specks(image: np.ndarray, side: int) -> np.ndarray:
    """Free an image, cut from one with this short side, of specks; float32."""
    window = max(3, 2 * round(side / SPECK) + 1)  # 5 px at 120, 9 at 240
    if window == median.SIDE and image.size > WORTH_IT:
        clean = median.median9(image)
    else:
        clean = cv2.medianBlur(image, window)
    return smooth(clean, side / BLUR)


def smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return what OpenCV's Gaussian blur makes of a uint8 image, as float32.

    OpenCV adds whole numbers up. They stay below 2**24, so float32 holds them as well, and is added
    up in less than half of the time.
    """
    kernel = _kernel(sigma)
    if kernel is None:
        return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32)
    total: np.ndarray = cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel)
    total += STEPS**2 // 2
    total *= 1 / STEPS**2
    return np.floor(total, out=total)


@cache
def _kernel(sigma: float) -> np.ndarray | None:
    """Return the weights that OpenCV takes, in 256ths, as they show in a blurred bright line; None
    for a blur so narrow that one of them is more than a half.
    """
    size = round(6 * sigma + 1) | 1
    line = np.zeros((1, 2 * size + 1), np.uint8)
    line[0, size] = STEPS - 1
    shown = cv2.GaussianBlur(line, (0, 0), sigma)[0, size - size // 2 : size + size // 2 + 1]
    return shown.astype(np.float32) if shown.sum(dtype=int) == STEPS else None
