"""From the stored values of a grey DICOM image to levels 0..255, as its header says."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Integer, UInt8

from medpriv_lib.core.extra import DICOM
from medpriv_lib.data.dicom.frame_values import item_with

TAIL = 0.001  # of the pixels at either end: a dead or hot one, a marker's edge
FULL = 0.25  # of the declared range: where so much is used, the range is kept


def to_levels(
    values: Integer[np.ndarray, "h w"], dataset: Any, frame: int
) -> tuple[UInt8[np.ndarray, "h w"], str]:
    """Return levels 0..255, white the largest, and a note on what was done.

    In the order of PS3.4, N.2: the modality LUT or rescale slope and intercept; then the VOI LUT,
    else the first window (LINEAR, LINEAR_EXACT or SIGMOID), else the range that the stored bits
    declare. Where less than a quarter of that range is used, the used range, without a thousandth
    at both ends, is stretched, and the note says so. MONOCHROME1 is inverted; padding is black.
    Raises `ValueError` for a window or a table that cannot be used.
    """
    hidden = _padding(values, dataset)
    modal = _modality(values, dataset, frame)
    voi = item_with(dataset, frame, "FrameVOILUTSequence", "VOILUTSequence")
    window = item_with(dataset, frame, "FrameVOILUTSequence", "WindowCenter")
    if voi is not None and len(voi.VOILUTSequence):
        table = voi.VOILUTSequence[0]
        processing = DICOM.need("pydicom.pixels.processing")
        looked_up = processing.apply_voi(np.rint(modal).astype(np.int64), voi, 0)
        shares, note = looked_up / (2.0 ** int(table.LUTDescriptor[2]) - 1), "VOI LUT"
    elif window is not None and window.get("WindowWidth") not in (None, ""):
        centre, width = _first(window.WindowCenter), _first(window.WindowWidth)
        shares = windowed(modal, centre, width, window.get("VOILUTFunction", "LINEAR") or "LINEAR")
        note = f"window {centre:g} of width {width:g}"
    else:
        shares, note = _without_window(modal, hidden, dataset, frame)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shares = 1 - shares
        note = f"{note}, inverted" if note else "inverted"
    levels = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    levels[hidden] = 0
    return levels, note


def windowed(
    values: Float64[np.ndarray, "h w"], centre: float, width: float, function: str = "LINEAR"
) -> Float64[np.ndarray, "h w"]:
    """Return shares 0 to 1 of white by a window (PS3.3, C.11.2.1.2 and C.11.2.1.3).

    Raises `ValueError` for a width that the function does not allow, and another function.
    """
    if function == "SIGMOID" and width > 0:
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR_EXACT" and width > 0:
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if function == "LINEAR" and width > 1:
        return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR" and width == 1:
        return (values > centre - 0.5).astype(np.float64)
    raise ValueError(f"its window has the width {width:g} and the function {function!r}")


def _modality(values: np.ndarray, dataset: Any, frame: int) -> np.ndarray:
    table = dataset.get("ModalityLUTSequence")
    if table:
        processing = DICOM.need("pydicom.pixels.processing")
        return processing.apply_modality_lut(values, dataset).astype(np.float64)
    slope, intercept = _rescale(dataset, frame)
    return values.astype(np.float64) * slope + intercept


def _rescale(dataset: Any, frame: int) -> tuple[float, float]:
    item = item_with(dataset, frame, "PixelValueTransformationSequence", "RescaleSlope")
    if item is None:
        return 1.0, 0.0
    slope, intercept = float(item.RescaleSlope), float(item.get("RescaleIntercept", 0) or 0)
    if not np.isfinite([slope, intercept]).all() or slope == 0:
        raise ValueError(f"its rescale slope is {slope:g} and the intercept {intercept:g}")
    return slope, intercept


def _without_window(
    modal: np.ndarray, hidden: np.ndarray, dataset: Any, frame: int
) -> tuple[np.ndarray, str]:
    shown = modal[~hidden]
    if shown.size == 0:
        return np.zeros_like(modal), "nothing but padding"
    low, high = _declared(dataset, frame)
    used_low, used_high = np.quantile(shown, (TAIL, 1 - TAIL))
    eight = int(dataset.BitsStored) <= 8
    if eight or used_high == used_low or used_high - used_low >= FULL * (high - low):
        return (modal - low) / (high - low), ""
    stretched = (modal - used_low) / (used_high - used_low)
    return stretched, f"levels {used_low:g} to {used_high:g} stretched to 0..255"


def _declared(dataset: Any, frame: int) -> tuple[float, float]:
    """Return the smallest and the largest value that the stored bits can hold, after rescaling."""
    table = dataset.get("ModalityLUTSequence")
    if table:
        return 0.0, 2.0 ** int(table[0].LUTDescriptor[2]) - 1
    bits = int(dataset.BitsStored)
    low = -(2 ** (bits - 1)) if dataset.PixelRepresentation == 1 else 0
    slope, intercept = _rescale(dataset, frame)
    ends = (low * slope + intercept, (low + 2**bits - 1) * slope + intercept)
    return min(ends), max(ends)


def _padding(values: np.ndarray, dataset: Any) -> Bool[np.ndarray, "h w"]:
    """Return which pixels hold no picture: PixelPaddingValue, to PixelPaddingRangeLimit."""
    value = dataset.get("PixelPaddingValue")
    if value is None or not isinstance(value, int):
        return np.zeros(values.shape, dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    limit = limit if isinstance(limit, int) else value
    return (values >= min(value, limit)) & (values <= max(value, limit))


def _first(value: Any) -> float:
    """Return the first of one or several numbers."""
    several = not isinstance(value, str | int | float) and hasattr(value, "__len__")
    return float(value[0] if several else value)
