"""The median of 9 x 9 px around every px, by a sorting network over whole images.

OpenCV counts levels in a histogram that moves from px to px, and a processor cannot guess where its
search for the median will end. Here every step is the minimum or the maximum of two images. Columns
of nine px are sorted, two columns merged, four and eight, each once for all windows that share them
(Batcher's odd-even merge; Knuth, The Art of Computer Programming, volume 3, 5.3.4), and only what
the median depends on is worked out.
"""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import count

import cv2
import numpy as np
from jaxtyping import UInt8

SIDE = 9
RANK = (SIDE * SIDE + 1) // 2  # of the median, from 1


class Network:
    """Minima and maxima of images, in the order in which they are worked out.

    While it is wired every image has a number; then every image that is still needed has a place.
    """

    def __init__(self, inputs: int, wire: Callable[["Network", list[int]], list[int]]) -> None:
        """Take how many images go in and `wire`, which returns the numbers of those that come
        out.
        """
        self.wired: list[tuple[np.ufunc, int, int, int]] = []
        self.numbers = count(inputs)
        outputs = wire(self, list(range(inputs)))
        needed, kept = set(outputs), []
        for step in reversed(self.wired):
            if step[3] in needed:
                needed |= {step[1], step[2]}
                kept.append(step)
        kept.reverse()
        last = {one: step for step in kept for one in step[1:3]}
        place = {one: one for one in range(inputs)}
        self.steps: list[tuple[np.ufunc, int, int, int]] = []
        self.places = inputs
        free: list[int] = []
        for choose, x, y, out in kept:
            if not free:
                free.append(self.places)
                self.places += 1
            place[out] = free.pop()
            self.steps.append((choose, place[x], place[y], place[out]))
            free += [
                place[one]
                for one in (x, y)
                if last[one] == (choose, x, y, out) and one >= inputs and one not in outputs
            ]
        self.outputs = [place[one] for one in outputs]

    def both(self, a: int, b: int) -> tuple[int, int]:
        """Return the numbers of the minimum and of the maximum of two images."""
        low, high = next(self.numbers), next(self.numbers)
        self.wired += [(np.minimum, a, b, low), (np.maximum, a, b, high)]
        return low, high

    def run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Return what comes out; `images` of one length are left as they are."""
        at = [*images, *(np.empty_like(images[0]) for _ in range(len(images), self.places))]
        for choose, x, y, out in self.steps:
            choose(at[x], at[y], out=at[out])
        return [at[one] for one in self.outputs]


def median9(image: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Return the medians of the 9 x 9 px around every px; the border px go on outside of the image.

    The same as `cv2.medianBlur(image, 9)`.
    """
    height, width = image.shape
    half = SIDE // 2
    wider = cv2.copyMakeBorder(image, half, half, half, half, cv2.BORDER_REPLICATE)
    # rows follow each other in one line: a px to the right is one place on, and what mixes the end
    # of a row with the next row's beginning is cut off in the end
    line, row = wider.ravel(), wider.shape[1]
    column = _columns().run([line[i * row : (i + height) * row] for i in range(SIDE)])
    several = _merged(9).run(_beside(column, 1))
    several = _merged(18).run(_beside(several, 2))
    several = _middle().run(_beside(several, 4))
    # the median is at least as large as some number of these and the rest of the last column
    found, *others = (one[:-1] for one in reversed(several))
    for most, level in zip(others, column, strict=True):
        np.minimum(found, np.maximum(most, level[8:], out=most), out=found)
    return np.append(found, line[:8]).reshape(height, row)[:, :width]


def _beside(images: list[np.ndarray], px: int) -> list[np.ndarray]:
    """Return the images and the same so many px to the left, as far as both go."""
    return [one[:-px] for one in images] + [one[px:] for one in images]


@cache
def _columns() -> Network:
    """Return a network that sorts nine images."""

    def wire(network: Network, of: list[int]) -> list[int]:
        if len(of) == 1:
            return of
        middle = len(of) // 2
        return _merge(network, wire(network, of[:middle]), wire(network, of[middle:]))

    return Network(SIDE, wire)


@cache
def _merged(size: int) -> Network:
    """Return a network that merges two sorted lists of so many images."""
    return Network(2 * size, lambda network, of: _merge(network, of[:size], of[size:]))


@cache
def _middle() -> Network:
    """Return a network for what the median of 81 can be among eight columns of nine: ten of the
    72, given as two sorted halves.
    """
    size = 4 * SIDE
    return Network(
        2 * size,
        lambda network, of: _merge(network, of[:size], of[size:])[RANK - SIDE - 1 : RANK],
    )


def _merge(network: Network, a: list[int], b: list[int]) -> list[int]:
    """Return two sorted lists as one."""
    if not a or not b:
        return a + b
    if len(a) == len(b) == 1:
        return [*network.both(a[0], b[0])]
    odd, even = _merge(network, a[::2], b[::2]), _merge(network, a[1::2], b[1::2])
    pairs: Iterable[tuple[int, int]] = zip(odd[1:], even, strict=False)
    merged = [odd[0], *(one for pair in pairs for one in network.both(*pair))]
    return merged + odd[len(even) + 1 :] + even[len(odd) - 1 :]
