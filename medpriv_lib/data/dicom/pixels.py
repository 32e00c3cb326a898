"""One DICOM file becomes one image: decoded, brought to levels, grey or in colour."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medpriv_lib.core.extra import DICOM
from medpriv_lib.core.printable import printable
from medpriv_lib.core.quiet import quiet
from medpriv_lib.data.dicom.codestream import claimed_size
from medpriv_lib.data.dicom.header import PALETTE, Header, Unusable, read_header
from medpriv_lib.data.dicom.tones import to_levels
from medpriv_lib.data.images import BadImage

RLE = "1.2.840.10008.1.2.5"


def read_dicom(path: Path, colour: bool = False) -> tuple[np.ndarray, str]:
    """Return one frame of a DICOM file and a note on which one and how it was brought to levels.

    uint8 (H, W), or (H, W, 3) with `colour`: a grey image has then three equal channels. Colour
    becomes grey by luma (ITU-R BT.601). Which frame, `frame_values.chosen_frame` says; which
    levels, `tones.to_levels`. Raises `BadImage` with the file's name for what cannot be read.
    """
    try:
        header = read_header(path)
        image, note = _decoded(path, header)
    except Unusable as error:
        raise BadImage(f"{printable(path, 1000)}: {error}") from error
    if colour and image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2), note
    if not colour and image.ndim == 3:
        return np.asarray(Image.fromarray(image).convert("L")), f"{note}, grey by luma".strip(", ")
    return image, note


def _decoded(path: Path, header: Header) -> tuple[np.ndarray, str]:
    dataset = header.dataset
    if header.length is None:
        _refuse_other_size(path, header)
    pixels = DICOM.need("pydicom.pixels")
    try:
        with quiet("pydicom"):
            values = pixels.pixel_array(str(path), index=header.frame)
            image, note = _levels(values, dataset, header.frame)
    except MemoryError as error:
        raise Unusable("its pixels do not fit into this machine's memory; scale it down") from error
    except Exception as error:  # each decoder has errors of its own
        raise Unusable(
            f"its pixels cannot be decoded ({printable(error, 120)}); copy it again from its source"
        ) from error
    if header.frames > 1:
        note = f"frame {header.frame + 1} of {header.frames}, {note}".strip(", ")
    return np.ascontiguousarray(image), note


def _levels(values: np.ndarray, dataset: Any, frame: int) -> tuple[np.ndarray, str]:
    if dataset.PhotometricInterpretation == PALETTE:
        colours = DICOM.need("pydicom.pixels.processing").apply_color_lut(values, dataset)
        depth = 8 * colours.dtype.itemsize
        return (colours >> (depth - 8)).astype(np.uint8), "palette"
    if values.ndim == 2:
        return to_levels(values, dataset, frame)
    white = 2 ** int(dataset.BitsStored) - 1
    if white == 255:
        return values.astype(np.uint8), ""
    shares = np.clip(values.astype(np.float64) / white, 0, 1)
    return np.rint(255 * shares).astype(np.uint8), f"{int(dataset.BitsStored)} bits a colour"


def _refuse_other_size(path: Path, header: Header) -> None:
    """Refuse a compressed frame that is not there, or that claims another size than the header."""
    encaps, dataset = DICOM.need("pydicom.encaps"), header.dataset
    extended = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        extended = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    try:
        with open(path, "rb") as file, quiet("pydicom"):
            file.seek(header.position)
            frame = encaps.get_frame(
                file, header.frame, number_of_frames=header.frames, extended_offsets=extended
            )
    except Exception as error:  # a damaged table of offsets leads anywhere
        raise Unusable(
            f"truncated: frame {header.frame + 1} of {header.frames} declared is not there; copy "
            "it again from its source"
        ) from error
    if str(dataset.file_meta.TransferSyntaxUID) == RLE:
        return
    claimed, rows, columns = claimed_size(frame), *header.shape
    if claimed is None:
        raise Unusable("its compressed pixels do not say how large they are; export it again")
    if claimed[:2] != (rows, columns):
        raise Unusable(
            f"its header says {columns}x{rows} and its compressed pixels {claimed[1]}x{claimed[0]}"
            "; export it again"
        )
