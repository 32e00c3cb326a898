"""A folder of DICOM files with a table of labels: whose image each is, under a neutral name."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medpriv_lib.core.extra import DICOM
from medpriv_lib.core.printable import printable
from medpriv_lib.core.rectangle import Rectangle
from medpriv_lib.data.below import Below
from medpriv_lib.data.dicom.header import Header, Unusable, read_header
from medpriv_lib.data.dicom.labels import Labels, read_labels
from medpriv_lib.data.dicom.names import neutral_name
from medpriv_lib.data.dicom.pixels import read_dicom
from medpriv_lib.data.left_out import LeftOut, TooManyLost
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import is_nobody, key_of

BURNED_IN = (
    "BurnedInAnnotation says YES; cover it by --mask x,y,width,height, or accept it by "
    "--allow-burned-in"
)


def list_dicom(
    root: str | os.PathLike,
    labels: str | os.PathLike,
    salt: bytes,
    *,
    masks: Sequence[Rectangle] = (),
    allow_burned_in: bool = False,
) -> Listing:
    """List the DICOM files below a folder, sorted by path, with the labels of a table.

    Patients get `neutral_name`s by `salt`; neither a PatientID nor another value of a header
    stands in the listing. Eyes are those of the headers, else of the table. `masks` are painted
    black in every image before anything looks at it. What cannot become an image is in `left_out`
    with its reason: a header that cannot be used, a file outside the folder, no PatientID, no
    label, two patients in one series, an object that is there twice, and, without `masks` and
    unless `allow_burned_in`, a header that says that text is burned in. Headers only are read.

    Raises `FileNotFoundError` for a missing folder or table, `BadManifest` for a table that cannot
    be used, `TooManyLost` where no file is left, `ValueError` where masks are given and the images
    have several sizes or a mask lies outside of them, or where a PatientID was issued by two, and
    `ImportError` with the remedy where the extra is missing.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{printable(root, 1000)}: no such folder; give one with DICOM")
    DICOM.need("pydicom")
    table, own = read_labels(labels), Path(labels).resolve()
    kept, left_out = _headers(root, own)
    left_out += _without_doubles(kept, root)
    _refuse_two_issuers(kept, root)
    names = {path: neutral_name(h.patient, h.issuer, salt) for path, h in kept.items()}
    facts: dict[Path, tuple[bool, str]] = {}
    for path, header in list(kept.items()):
        try:
            if header.burned_in and not masks and not allow_burned_in:
                raise Unusable(BURNED_IN)
            facts[path] = _labelled(table, path.relative_to(root).as_posix(), header)
        except Unusable as reason:
            left_out.append(LeftOut(_name(root, path), names[path], str(reason), reason.lost))
            del kept[path]
    left_out.sort(key=lambda item: item.file)
    if not kept:
        first = f" (the first: {left_out[0].file}, {left_out[0].reason})" if left_out else ""
        raise TooManyLost(
            f"{printable(root, 1000)}: none of its {len(left_out)} files becomes an image"
            f"{printable(first, 400)}; check the path",
            left_out,
        )
    if masks:
        _refuse_masks(kept, root, masks)
    return Listing(
        files=tuple(kept),
        patient=np.array([names[path] for path in kept]),
        eye=np.array([facts[path][1] for path in kept]),
        diseased=np.array([facts[path][0] for path in kept], dtype=bool),
        root=root,
        counts=_counts(kept, table),
        left_out=tuple(left_out),
        reader=read_dicom,
        covered=tuple(masks),
        strict=True,
        refuse_text=not allow_burned_in,
        alike=_alike(kept, names),
    )


def _headers(root: Path, own: Path) -> tuple[dict[Path, Header], list[LeftOut]]:
    below, kept, left_out = Below(root), {}, []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_symlink():
            reason = "a link; copy the file into the folder, under one name"
            left_out.append(LeftOut(name.as_posix(), "", reason, not below.holds(path)))
        elif path.is_file() and path.resolve() != own and below.holds(path):
            try:
                if any(part.startswith(".") for part in name.parts):
                    raise Unusable("a hidden file; rename it if it is wanted", lost=False)
                header = read_header(path)
                if is_nobody(header.patient):
                    raise Unusable("no PatientID: nobody knows whose image it is; fill it in")
                kept[path] = replace(header, dataset=None)  # only what is listed stays in memory
            except Unusable as reason:
                left_out.append(LeftOut(name.as_posix(), "", str(reason), reason.lost))
    return kept, left_out


def _without_doubles(kept: dict[Path, Header], root: Path) -> list[LeftOut]:
    """Take out series of two patients and objects that are there twice; return them."""
    people: dict[str, set[tuple[str, str]]] = defaultdict(set)
    first: dict[str, Path] = {}
    left_out: list[LeftOut] = []
    for header in kept.values():
        people[header.series].add((header.issuer, header.patient))
    for path, header in list(kept.items()):
        reason, lost = "", True
        if header.series and len(people[header.series]) > 1:
            reason = (
                f"its series holds {len(people[header.series])} patients, so one of them is wrong; "
                "correct the PatientID or SeriesInstanceUID"
            )
        elif header.instance and first.setdefault(header.instance, path) != path:
            reason, lost = f"the same object as {_name(root, first[header.instance])}", False
        if reason:
            left_out.append(LeftOut(_name(root, path), "", reason, lost))
            del kept[path]
    return left_out


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _labelled(table: Labels, name: str, header: Header) -> tuple[bool, str]:
    """Return label and eye of an image; raise `Unusable` where the table lacks or contradicts."""
    key = {"file": name, "PatientID": header.patient, "SOPInstanceUID": header.instance}[table.by]
    if key not in table.rows:
        raise Unusable(f"no label: its {table.by} is not in the table; add a row")
    label, eye, number = table.rows[key]
    if eye and header.eye and eye != header.eye:
        raise Unusable(f"row {number} of the table says {eye}, the header {header.eye}")
    return label, header.eye or eye


def _refuse_two_issuers(kept: dict[Path, Header], root: Path) -> None:
    """Refuse one PatientID under two issuers: two people, or one whose ID lacks its issuer."""
    issuers: dict[str, tuple[str, Path]] = {}
    for path, header in kept.items():
        issuer, other = issuers.setdefault(header.patient, (header.issuer, path))
        if issuer != header.issuer:
            raise ValueError(
                f"{printable(_name(root, other))} and {printable(_name(root, path))} have one "
                "PatientID and different issuers of it: prepare each issuer's files apart, or "
                "write the issuer into all of them"
            )


def _refuse_masks(kept: dict[Path, Header], root: Path, masks: Sequence[Rectangle]) -> None:
    """Refuse masks that would cover different places of different images."""
    sizes = Counter(header.shape for header in kept.values())
    (rows, columns), _ = sizes.most_common(1)[0]
    if len(sizes) > 1:
        other = next(path for path, header in kept.items() if header.shape != (rows, columns))
        raise ValueError(
            f"{printable(_name(root, other))}: another size than {columns}x{rows}, so a mask would "
            "cover another place; prepare the images of each size apart"
        )
    for mask in masks:
        if mask.x + mask.width > columns or mask.y + mask.height > rows:
            raise ValueError(f"--mask {mask} reaches beyond the images of {columns}x{rows}")


def _alike(kept: dict[Path, Header], names: dict[Path, str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of neutral names whose PatientIDs seem to be spellings of one."""
    groups = defaultdict(set)
    for path, header in kept.items():
        groups[key_of(header.issuer), key_of(header.patient)].add(names[path])
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def _counts(kept: dict[Path, Header], table: Labels) -> dict[str, str | int]:
    sizes = Counter(f"{header.shape[1]}x{header.shape[0]}" for header in kept.values())
    used = {_key(table, header) for header in kept.values()} if table.by != "file" else None
    counts: dict[str, str | int] = {
        "labels by": table.by,
        "sizes": ", ".join(f"{count} of {size}" for size, count in sizes.most_common(4)),
    }
    if used is not None and (idle := len(set(table.rows) - used)):
        counts["labels without an image"] = idle
    for what, count in (
        ("with several frames, of which one is used", sum(h.frames > 1 for h in kept.values())),
        ("with private attributes, none of which is kept", sum(h.private for h in kept.values())),
        ("whose header says that text is burned in", sum(h.burned_in for h in kept.values())),
    ):
        if count:
            counts[f"files {what}"] = count
    return counts


def _key(table: Labels, header: Header) -> str:
    return header.patient if table.by == "PatientID" else header.instance
