"""The header of a DICOM file, read before any memory is spent on its pixels."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medpriv_lib.core.extra import DICOM
from medpriv_lib.core.printable import printable
from medpriv_lib.core.quiet import quiet
from medpriv_lib.data.dicom.frame_values import chosen_frame, laterality
from medpriv_lib.data.images import LARGEST_PIXELS

DEFER = 65536  # bytes: longer values stay on the disk
LARGEST_FILE = 4 * 2**30
DEFLATED = "1.2.840.10008.1.2.1.99"
GREY, COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422")
COLOUR_2000 = ("YBR_ICT", "YBR_RCT")  # of JPEG 2000; the decoder returns RGB
PALETTE = "PALETTE COLOR"
UNDEFINED = 0xFFFFFFFF
NAMED = (".dcm", ".dicom", ".ima", "")  # endings of files that somebody calls DICOM


class Unusable(ValueError):
    """A file that becomes no image; the message is the reason and the remedy, without its name.

    `lost` says that the file should have become an image.
    """

    def __init__(self, reason: str, lost: bool = True) -> None:
        """Keep whether something is lost beside the reason."""
        super().__init__(reason)
        self.lost = lost


@dataclass(frozen=True, eq=False)
class Header:
    """What a file says: whose, which object, which frame of how many, and how it is stored.

    `patient` and `issuer` are as the file says and must not be shown; `position` and `length` of
    the pixel data in bytes, `length` None where the data is compressed.
    """

    dataset: Any
    patient: str
    issuer: str
    instance: str
    series: str
    eye: str
    shape: tuple[int, int]
    frame: int
    frames: int
    position: int
    length: int | None
    burned_in: bool
    private: bool


def read_header(path: Path) -> Header:
    """Read and check a header; no pixel is read, and no value longer than 64 KiB.

    Raises `Unusable` for everything that cannot become an image, `ImportError` with the remedy
    where pydicom is not installed.
    """
    syntax = _syntax(path)
    with quiet("pydicom"):
        try:
            dataset = DICOM.need("pydicom").dcmread(path, defer_size=DEFER)
            return _checked(dataset, path, syntax)
        except Unusable:
            raise
        except (EOFError, OSError) as error:
            raise Unusable(
                "truncated: the file ends within its header or its compressed pixel data; copy it "
                "again from its source"
            ) from error
        except (RecursionError, MemoryError) as error:
            raise Unusable("nested deeper or larger than any image is; export it again") from error
        except Exception as error:  # pydicom raises whatever a damaged value leads to
            raise Unusable(
                f"damaged header ({type(error).__name__}); export it again from its source"
            ) from error


def _syntax(path: Path) -> str:
    """Return the transfer syntax of a file that begins as DICOM does and can be decoded."""
    size = path.stat().st_size
    named = path.suffix.lower() in NAMED or path.suffix[1:].isdigit()
    if size == 0:
        raise Unusable("zero-byte file; copy it again from its source", named)
    with open(path, "rb") as file:
        if file.read(132)[128:] != b"DICM":
            raise Unusable(
                "not a DICOM file (the letters DICM are not where they must be); export it again "
                "in DICOM's file format, or remove it",
                named,
            )
    if size > LARGEST_FILE:
        raise Unusable(f"{size / 2**30:.1f} GiB; split it into files of at most 4 GiB")
    with quiet("pydicom"):
        try:
            meta = DICOM.need("pydicom.filereader").read_file_meta_info(path)
            syntax = str(meta.get("TransferSyntaxUID", ""))
        except ImportError:
            raise
        except Exception as error:  # as in `read_header`
            raise Unusable("truncated: the file ends within its header; copy it again") from error
    if not syntax:
        raise Unusable(
            "names no transfer syntax, so nobody can know how it is stored; it may be truncated: "
            "copy it again from its source"
        )
    if syntax == DEFLATED:
        raise Unusable(
            "deflated as a whole, so its size shows only while memory fills; store it inflated "
            "first (dcmconv +te)"
        )
    try:
        decoder = DICOM.need("pydicom.pixels").get_decoder(syntax)
    except NotImplementedError as error:
        raise Unusable(
            f"unknown transfer syntax {printable(syntax, 64)}; store it uncompressed first "
            "(gdcmconv --raw), or a wanted frame of a film as an object of its own"
        ) from error
    if not decoder.is_available:
        raise Unusable(
            f"no decoder for {decoder.UID.name} is installed; pip install 'medpriv[dicom]'"
        )
    return syntax


def _checked(dataset: Any, path: Path, syntax: str) -> Header:
    _refuse_no_image(dataset)
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if rows < 1 or columns < 1:
        raise Unusable(f"declares {columns}x{rows} pixels; export it again")
    if rows * columns > LARGEST_PIXELS:
        raise Unusable(
            f"declares {columns}x{rows} pixels, more than {LARGEST_PIXELS // 10**6} million; "
            "scale it down first"
        )
    _refuse_kind(dataset)
    frame, frames = chosen_frame(dataset)
    position, length = _pixel_data(dataset, path, syntax, frames)
    patient = str(dataset.get("PatientID") or "").strip()
    return Header(
        dataset=dataset,
        patient=patient,
        issuer=str(dataset.get("IssuerOfPatientID") or "").strip(),
        instance=str(dataset.get("SOPInstanceUID") or ""),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        eye=laterality(dataset, frame),
        shape=(rows, columns),
        frame=frame,
        frames=frames,
        position=position,
        length=length,
        burned_in=str(dataset.get("BurnedInAnnotation") or "").upper() == "YES",
        private=any(tag.is_private for tag in dataset.keys()),  # noqa: SIM118
    )


def _refuse_no_image(dataset: Any) -> None:
    for keyword in ("FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            raise Unusable("floating point pixels, and nobody says which is white; rescale them")
    if "PixelData" in dataset:
        return
    if "SOPClassUID" not in dataset:  # pydicom hands on an empty header where a file ends early
        raise Unusable("truncated, or no object at all: copy it again from its source")
    kind = DICOM.need("pydicom.uid").UID(str(dataset.SOPClassUID)).name
    image = "Image Storage" in kind or "Rows" in dataset
    what = "" if image else f": an object of kind {printable(kind, 60)}, no image"
    raise Unusable(f"no pixel data{what or '; export the object again with its image'}", image)


def _refuse_kind(dataset: Any) -> None:
    """Refuse pixels that have no reading as grey levels or colours here."""
    told = str(dataset.get("PhotometricInterpretation") or "none")
    samples, bits = int(dataset.get("SamplesPerPixel") or 1), int(dataset.get("BitsAllocated") or 0)
    stored = int(dataset.get("BitsStored") or 0)
    single = told in (*GREY, PALETTE)
    if not single and told not in (*COLOUR, *COLOUR_2000):
        raise Unusable(f"pixels of kind {printable(told, 40)}; convert them to grey or RGB first")
    if samples != (1 if single else 3):
        raise Unusable(f"{samples} values a pixel where {told} has {1 if single else 3}")
    if bits not in (8, 16) or not 2 <= stored <= bits:
        raise Unusable(f"{stored} of {bits} bits a pixel; save it with 8 or 16 bits")
    if int(dataset.get("HighBit", stored - 1)) != stored - 1:
        raise Unusable("its values do not end at the lowest bit; save it with HighBit below bits")


def _pixel_data(dataset: Any, path: Path, syntax: str, frames: int) -> tuple[int, int | None]:
    """Return where the pixel data begins and how long it is; refuse what is not there."""
    item = dataset.get_item("PixelData")
    position, length = int(item.value_tell), int(item.length)
    compressed = DICOM.need("pydicom.uid").UID(syntax).is_compressed
    if compressed != (length == UNDEFINED):
        stored = "compressed" if length == UNDEFINED else "uncompressed"
        raise Unusable(f"{stored} pixel data under the transfer syntax {syntax}; export it again")
    if compressed:
        return position, None
    pixel = int(dataset.BitsAllocated) // 8 * int(dataset.get("SamplesPerPixel") or 1)
    per_frame = int(dataset.Rows) * int(dataset.Columns) * pixel
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        per_frame = per_frame * 2 // 3
    there = min(length, os.path.getsize(path) - position)
    if there < per_frame * frames:
        raise Unusable(
            f"truncated: {frames} frame{'s' * (frames > 1)} of {dataset.Columns}x{dataset.Rows} "
            f"declared and data for {there // per_frame} there; copy it again from its source"
        )
    return position, length
