"""Images that were read and show less than they seem to: enlarged, slivers, of two levels."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from medpriv_lib.core.printable import printable

LONG = 4  # times as long as wide: the square in the middle is a quarter of the image, or less
FEW = 2  # grey levels: a mask, a fax, an image of one bit


def grey_levels(image: UInt8[np.ndarray, "h w"]) -> int:
    """Return how many different grey levels an image uses."""
    return int((cv2.calcHist([image], [0], None, [256], [0, 256]) > 0).sum())


def refuse_blank(levels: int, image: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise `ValueError` for an image, or a square that is kept of it, of one grey level.

    `shape` is that of the file's whole image.
    """
    if levels > 1 and image.min() < image.max():
        return
    if levels > 1 and 1 in shape:
        raise ValueError(
            f"it is {shape[1]}x{shape[0]} pixels (width x height): a single line shows nothing; "
            "copy it again from its source, or remove it from the list"
        )
    what = "the square that is kept has" if levels > 1 else "it has"
    raise ValueError(
        f"{what} one grey level only ({image.flat[0]}), so nothing is shown; copy it again from "
        "its source, or remove it from the list"
    )


def doubts(report: dict[str, Any]) -> list[str]:
    """Return, in sentences, which images of a report of `prepare` show less than they seem to."""
    size, localised = report["size"], report["found_rate"] is not None
    kinds = {
        f"is smaller than the {size} pixels of a prepared image, and was enlarged": lambda one: (
            one["side"] < size
        ),
        f"is more than {LONG} times as long as wide, and only the square in its middle was "
        "kept": lambda one: not localised and max(one["shape"]) > LONG * min(one["shape"]),
        f"uses {FEW} grey levels only, as a mask or an image of one bit does": lambda one: (
            one["grey_levels"] <= FEW
        ),
    }
    found = []
    for words, holds in kinds.items():
        files = [one["file"] for one in report["per_image"] if holds(one)]
        if files:
            more = f" ({len(files) - 1} more such images)" if len(files) > 1 else ""
            found.append(f"{printable(files[0])} {words}{more}")
    return found


def one_sided(report: dict[str, Any]) -> list[str]:
    """Return, in sentences, what a cohort of one label or of one patient cannot be used for."""
    found = []
    if report["diseased"] in (0, report["kept"]):
        label = "1" if report["diseased"] else "0"
        found.append(
            f"all {report['kept']} images have the label {label}: no disease judge can be trained "
            "or tested on them"
        )
    if report["patients"] == 1:
        found.append(
            f"all {report['kept']} images are of one patient, who can hide among nobody: no "
            "identity judge can be trained on them, and no method with K patients works"
        )
    return found
