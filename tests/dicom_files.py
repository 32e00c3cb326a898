"""DICOM files as scanners write them, made in a few lines; names and dates to search for after."""

import gdcm
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SECRETS = ("KOWALSKI", "JADWIGA", "19630214", "MRN-004711", "SZPITAL", "TELEFON-600100200")


def picture(seed=0, rows=48, columns=64, low=0, high=255):
    """A smooth picture with values from low to high."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    wave = sum(np.sin(x / a + p) * np.cos(y / b) for a, b, p in rng.uniform(4, 12, (3, 3)))
    wave = (wave - wave.min()) / np.ptp(wave)
    return np.rint(low + (high - low) * wave).astype(np.int64)


def dicom(path, values, patient="MRN-004711", bits=8, stored=None, signed=False, **attributes):
    """Write values (H, W), (F, H, W) or (H, W, 3) with what names a patient; return the dataset."""
    values = np.asarray(values)
    colour = values.ndim == 3 and values.shape[2] == 3
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = ds.SeriesInstanceUID = generate_uid(prefix=None)
    if patient is not None:
        ds.PatientID = patient
    ds.PatientName, ds.PatientBirthDate = "KOWALSKI^JADWIGA", "19630214"
    ds.InstitutionName, ds.StudyDate = "SZPITAL 7", "20240229"
    ds.add_new(0x00091001, "LO", "TELEFON-600100200")
    ds.add_new(0x00090010, "LO", "SCANNER PRIVATE")
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    elif values.ndim == 3:
        ds.NumberOfFrames = len(values)
    ds.Rows, ds.Columns = values.shape[:2] if colour or values.ndim == 2 else values.shape[1:]
    ds.BitsAllocated, ds.BitsStored = bits, stored or bits
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(signed)
    data = values.astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes()
    ds.PixelData = data + bytes(len(data) % 2)
    for name, value in attributes.items():
        setattr(ds, name, value)
    ds.save_as(path, enforce_file_format=True)
    return ds


def compressed(path, syntax):
    """Compress a file in place by gdcm, or by pydicom where that is the one that can."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax


def folder(path, patients=4, each=3, size=48, labels="PatientID,label", **attributes):
    """Write a folder of DICOM files of several patients and its labels.csv; return the table."""
    path.mkdir()
    rows = [labels]
    for i in range(patients * each):
        who = f"MRN-00471{i // each}"
        dicom(path / f"{i:02d}.dcm", picture(i, size, size), who, **attributes)
    rows += [f"MRN-00471{i},{i % 2}" for i in range(patients)]
    (path / "labels.csv").write_text("\n".join(rows))
    return path / "labels.csv"
