"""A released image as a DICOM object that says nothing but its pixels.

Nothing is copied from any input: the attributes of `TABLE` are all that is written, so what the
basic profile of PS3.15 (table E.1-1) wants removed, replaced or emptied was never there.
"""

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from medpriv_lib.core.extra import DICOM
from medpriv_lib.core.pixels import channels_of
from medpriv_lib.core.printable import printable

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
MAKER = "2.25.218837514307425198031337514935741604293"  # of every object that this library writes
METHOD = "medpriv, {method}\\attributes from a fixed list, none copied (PS3.15, E.1)"


def fresh_uid() -> str:
    """Return a UID that nobody can guess or draw again: 2.25 and a random UUID (PS3.5, B.2).

    122 of its bits are the operating system's entropy.
    """
    return f"2.25.{uuid.uuid4().int}"


Value = str | int | Callable[[np.ndarray, str, str], str | int | bytes | None]
# All attributes of a released object: those that the secondary capture image (PS3.3, A.8.1) must
# have, empty where it may be, and what says that the patient's identity was removed. A function is
# given the image, its number in the release and the method. Each object stands alone: a study, a
# series or a patient in common would tell which images are one person's.
TABLE: dict[str, Value] = {
    "SOPClassUID": SECONDARY_CAPTURE,
    "SOPInstanceUID": lambda image, number, method: fresh_uid(),
    "PatientName": "",
    "PatientID": lambda image, number, method: f"released-{number}",
    "PatientBirthDate": "",
    "PatientSex": "",
    "PatientIdentityRemoved": "YES",
    "DeidentificationMethod": lambda image, number, method: METHOD.format(method=method),
    "StudyInstanceUID": lambda image, number, method: fresh_uid(),
    "StudyDate": "",
    "StudyTime": "",
    "StudyID": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "SeriesInstanceUID": lambda image, number, method: fresh_uid(),
    "SeriesNumber": "",
    "Modality": "OT",
    "ConversionType": "WSD",
    "InstanceNumber": "",
    "PatientOrientation": "",
    "ImageType": "DERIVED\\SECONDARY",
    "BurnedInAnnotation": "NO",
    "SamplesPerPixel": lambda image, number, method: 1 if image.ndim == 2 else 3,
    "PhotometricInterpretation": lambda image, number, method: (
        "MONOCHROME2" if image.ndim == 2 else "RGB"
    ),
    "PlanarConfiguration": lambda image, number, method: None if image.ndim == 2 else 0,
    "Rows": lambda image, number, method: image.shape[0],
    "Columns": lambda image, number, method: image.shape[1],
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "PixelData": lambda image, number, method: _even(image.tobytes()),
}


def write_capture(image: np.ndarray, path: str | os.PathLike, number: str, method: str) -> None:
    """Write uint8 (H, W) or (H, W, 3) as a secondary capture object with the attributes of `TABLE`.

    `number` is the image's number in its release, `method` the name of the method; neither may name
    a patient. Raises `ImportError` with the remedy where pydicom is not installed.
    """
    pydicom = DICOM.need("pydicom")
    dataset = pydicom.Dataset()
    for keyword, value in TABLE.items():
        told = value(image, number, method) if callable(value) else value
        if told is not None:
            setattr(dataset, keyword, told)
    dataset["PixelData"].VR = "OB"
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = EXPLICIT_LITTLE
    meta.ImplementationClassUID = MAKER
    meta.ImplementationVersionName = "MEDPRIV"
    dataset.file_meta = meta
    dataset.preamble = bytes(128)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def read_capture(path: Path) -> np.ndarray:
    """Return the image of an object of `write_capture`: uint8 (H, W) or (H, W, 3).

    Raises `ValueError` for a file that is none, or that holds another attribute than `TABLE` names:
    what was given away must be what is evaluated.
    """
    pydicom = DICOM.need("pydicom")
    try:
        dataset = pydicom.dcmread(path)
        strange = sorted(str(e.tag) for e in dataset if e.keyword not in TABLE)
        image = dataset.pixel_array
    except PermissionError:
        raise
    except Exception as error:  # pydicom raises whatever a damaged file leads to
        raise ValueError(f"{path}: not a readable image ({printable(error)})") from error
    if strange:
        raise ValueError(f"{path}: holds the attribute {strange[0]}, which no release writes")
    if image.dtype != np.uint8 or channels_of(image[None]) not in (1, 3):
        raise ValueError(f"{path}: not a readable image (8 bits, grey or RGB are written)")
    return image


def _even(data: bytes) -> bytes:
    """Pad to an even number of bytes, as DICOM wants."""
    return data + bytes(len(data) % 2)
