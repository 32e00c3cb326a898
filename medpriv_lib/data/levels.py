"""From the levels of a 16-bit file to 0..255: which hold the picture, and when nobody can know."""

import numpy as np
from jaxtyping import Integer, UInt8

# Both ends of the used range leave out a thousandth of the pixels: a dead or hot one, a marker's
# edge.
TAIL = 0.001
# Division by 257 maps 0..65535 to 0..255. It is the reading where at least a quarter of that is
# used, so that 64 grey levels or more remain; below, the used range is stretched.
FULL = 65536 // 4
TWELVE_BITS = 4096
LEAST = 256  # a picture in a narrower range than eight bits have may be 8-bit data
FEWEST = 16  # so few different levels may be a mask or labels
# So many different levels at either end of the scale, and none in its middle half: a sign. Up to
# MARKS levels at one end are a marker, with its edge; between the two, nobody can know.
ENDS, MARKS = 64, 8


def to_eight_bits(
    values: Integer[np.ndarray, "h w"], declared: int | None = None
) -> tuple[UInt8[np.ndarray, "h w"], str]:
    """Return levels 0..255 and a note, empty where the file's own scale was kept.

    `declared`, where the file states it, is the level that means white: levels are divided by it.
    Else one of these, in this order:

    - levels below 0 or above 65535 as stored, but for signed 16-bit: refused;
    - nothing in the middle half of 0..65535 and many levels at both ends: signed numbers that were
      stored without their sign, read as such; many at one end and some at the other: refused;
    - no level below 0 and none above 4095: twelve bits or fewer, or a very dark picture: refused;
    - the used range, between the levels that a thousandth of the pixels lies below and above, spans
      a quarter of 0..65535 or more: divided by 257 and rounded, 65535 becomes 255;
    - the used range spans fewer than 256 levels, or at most 16 different ones are used: refused;
    - else (13 and 14 bits, an offset, a sign) the used range is stretched to 0..255, what lies
      outside is clipped, and the note says so: brightness can then not be compared between images.

    Raises `ValueError` with the remedy and without a file's name.
    """
    lowest, largest = int(values.min()), int(values.max())
    if lowest < -32768 or largest > 65535:
        raise ValueError(
            f"grey levels outside 0..65535 ({lowest} to {largest}); save it as 8- or 16-bit grey"
        )
    if declared is not None:
        if lowest < 0 or largest > declared:
            raise ValueError(
                f"the file says that {declared} is white and holds {lowest} to {largest}; save it "
                "as 8-bit grey"
            )
        return ((values.astype(np.int64) * 255 + declared // 2) // declared).astype(np.uint8), ""
    if lowest >= 0 and (signed := _signed(values)) is not None:
        values, lowest, largest = signed, int(signed.min()), int(signed.max())
    if lowest >= 0 and 0 < largest < TWELVE_BITS:
        raise ValueError(
            f"16-bit image with no level above {largest} of 65535, so it holds 12-bit data or "
            "less; rescale it to the full 16 bits, or save it as 8-bit grey"
        )
    low, high = _used(values, lowest)
    if lowest >= 0 and (high - low >= FULL or largest == lowest):
        return ((values + 128) // 257).astype(np.uint8), ""
    if high - low + 1 < LEAST or (few := len(np.unique(values))) <= FEWEST:
        used = high - low + 1 if high - low + 1 < LEAST else few
        raise ValueError(
            f"16-bit image that uses {used} levels only ({low} to {high}), so it may be a mask or "
            "hold 8-bit data; save it as 8-bit grey"
        )
    stretched = (np.clip(values, low, high).astype(np.float32) - low) * (255 / (high - low))
    return np.rint(stretched).astype(np.uint8), f"levels {low} to {high} stretched to 0..255"


def _used(values: Integer[np.ndarray, "h w"], lowest: int) -> tuple[int, int]:
    below = np.cumsum(np.bincount((values - lowest).ravel()))
    low = int(np.searchsorted(below, TAIL * values.size, side="right"))
    high = int(np.searchsorted(below, (1 - TAIL) * values.size))
    return lowest + low, lowest + min(high, len(below) - 1)


def _signed(values: Integer[np.ndarray, "h w"]) -> Integer[np.ndarray, "h w"] | None:
    """Return the levels as signed numbers where they look like ones stored without their sign, else
    None. Raises `ValueError` where they may be some.
    """
    there = np.flatnonzero(np.bincount(values.ravel(), minlength=65536))
    low, high = int((there < 16384).sum()), int((there >= 49152).sum())
    if low + high < len(there) or min(low, high) <= MARKS or max(low, high) < ENDS:
        return None
    if min(low, high) < ENDS:
        raise ValueError(
            f"16-bit image with {low} levels near 0, {high} near 65535 and none between: these may "
            "be signed numbers that were stored without their sign; save it as 8-bit grey"
        )
    return np.where(values >= 32768, values - 65536, values)
