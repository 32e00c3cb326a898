"""What became of the files of a listing: how many were kept, which were lost, how well it went."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medpriv_lib.core.cohort import SPLITS, Cohort
from medpriv_lib.core.printable import printable
from medpriv_lib.data.archive.archive import Archive
from medpriv_lib.data.doubts import doubts, one_sided
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.left_out import LeftOut, TooManyLost
from medpriv_lib.data.listing import Listing

MARKS = "a burned-in text or logo survives averaging; paint it over before anything is given away"
FILLED = 0.25  # of the square that is kept


def refuse_single(listing: Listing, kept: np.ndarray | None = None) -> None:
    """Raise for a patient with one image: the identity judge cannot both learn and be tested on
    them.

    `kept` are the rows that were not lost; None, before anything was read: all. A patient left with
    one image by losses is refused by the same rule.
    """
    rows = np.arange(len(listing)) if kept is None else kept
    names, first, counts = np.unique(listing.patient[rows], return_index=True, return_counts=True)
    alone = np.flatnonzero(counts == 1)
    if len(alone) == 0:
        return
    row, name = int(rows[first[alone[0]]]), names[alone[0]]
    more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
    listed = int((listing.patient == name).sum())
    why = f", left of {listed} because no eye was found in the others" if listed > 1 else ""
    raise ValueError(
        f"{printable(listing.name_of(row))}: {printable(name)!r}{more} is a patient with one "
        f"image{why}, which cannot be in training and in test; correct the name where it is "
        "another spelling of a patient's with more images, add images, remove the row, use "
        "--split-by patient, or accept it with --keep-single"
    )


def refuse_losses(listing: Listing, kept: int, left_out: Sequence[LeftOut], least: float) -> None:
    """Raise `TooManyLost` where a smaller share than `least` of what should be images was kept."""
    lost = [item for item in left_out if item.lost]
    total = kept + len(lost)
    if not lost or kept >= least * total:
        return
    first = lost[0]
    raise TooManyLost(
        f"{printable(listing.root)}: {len(lost)} of {total} images were lost, so "
        f"{100 * kept / total:.1f} "
        f"% are left and {100 * least:.0f} % are asked for (the first: {printable(first.file)}, "
        f"{first.reason}); look at them, for images that are not eyes prepare with localize=False "
        "(--no-localize), or accept the loss with a smaller least_kept (--least-kept)",
        left_out,
    )


def account(
    cohort: Cohort | Archive, listing: Listing, left_out: Sequence[LeftOut], kept: np.ndarray
) -> dict:
    """Return the counts of a preparation: what was listed, kept and lost, by patient and split.

    `kept` (N,) are the rows of the listing that are the cohort's images.
    """
    alone = cohort.patient_names[np.bincount(cohort.patient, minlength=cohort.patients) == 1]
    names, listed = np.unique(listing.patient, return_counts=True)
    many = set(names[listed > 1].tolist())
    lost = [item for item in left_out if item.lost]
    gone = sorted(set(names.tolist()) - set(cohort.patient_names.tolist()))
    found = {listing.name_of(int(row)) for row in kept}
    return {
        "listed": len(listing),
        "kept": len(cohort),
        "lost": len(lost),
        "kept_rate": len(cohort) / (len(cohort) + len(lost)),
        "left_out": list(left_out),
        "not_found": [
            name for row in range(len(listing)) if (name := listing.name_of(row)) not in found
        ],
        "patients": cohort.patients,
        "patients_lost": gone,
        "diseased": int(cohort.diseased.sum()),
        "splits": {s: int((cohort.split == s).sum()) for s in SPLITS},
        "counts": dict(listing.counts),
        "data_hash": cohort.hash(),
        "patients_with_one_image": alone.tolist(),  # they train only; no test image can be theirs
        "of_these_by_losses": [name for name in alone.tolist() if name in many],
    }


def cautions(report: dict) -> list[str]:
    """Return, in sentences, what in a report of `prepare` weakens a promise or deserves a look."""
    found = [
        f"the same lines stand in all images, {mark}: {MARKS}" for mark in report["common_marks"]
    ]
    for names in report["spellings"]:
        shown = " and ".join(repr(printable(name)) for name in names)
        found.append(f"{shown} count as different patients, and may be one person")
    for key, what in (
        ("shared_pictures", "are one picture, and count as two patients"),
        ("repeated_pictures", "are one picture, which may be in training and in test"),
        (
            "alike_pictures",
            "are one picture but for brightness, size or compression (pixels correlate by .995 or "
            "more), and count as two patients",
        ),
    ):
        pairs = report[key]
        if pairs:
            first, second = (printable(name) for name in pairs[0])
            found.append(f"{first} and {second} {what}{_more(len(pairs) - 1, 'pairs')}")
    if report["alike_pictures"] is None:
        found.append(
            "pictures of two patients that are nearly one were not looked for: so large an "
            "archive is compared for equal ones only"
        )
    for key, what in (
        ("odd_size", "shows an iris far from the usual size of its patient's; look at it"),
        ("of_these_by_losses", "is left with one image, because the others were lost"),
    ):
        if report[key]:
            found.append(f"{printable(report[key][0])} {what}{_more(len(report[key]) - 1, 'such')}")
    filled = [one["file"] for one in report["per_image"] if one["share_filled"] > FILLED]
    if filled:
        more = _more(len(filled) - 1, "such images")
        found.append(
            f"more than a quarter of the square around {printable(filled[0])} lies outside the "
            "image "
            f"and was filled{more}"
        )
    return found + doubts(report) + one_sided(report)


def _more(count: int, what: str) -> str:
    return f" ({count} more {what})" if count > 0 else ""


def errors(listing: Listing, eyes: dict[int, Eye]) -> dict[str, dict[str, float]]:
    """Compare the circles found with `truth/geometry.csv`: centres by distance, radii by absolute
    difference, in px. `eyes` are the circles by the listing's rows.
    """
    table = None if listing.truth is None else listing.truth / "geometry.csv"
    if table is None or not table.is_file():
        return {}
    with table.open(newline="") as file:
        geometry = {Path(line["file"]).stem: line for line in csv.DictReader(file)}
    pairs = [
        (eye, geometry[listing.files[row].stem])
        for row, eye in eyes.items()
        if listing.files[row].stem in geometry
    ]
    found = {
        key: np.array([getattr(eye, key) for eye, _ in pairs]) for key in Eye.__dataclass_fields__
    }
    true = {key: np.array([float(line[key]) for _, line in pairs]) for key in found}
    away = {key: found[key] - true[key] for key in found}
    errors = {
        "iris_centre": np.hypot(away["iris_x"], away["iris_y"]),
        "iris_radius": np.abs(away["iris_r"]),
        "pupil_centre": np.hypot(away["pupil_x"], away["pupil_y"]),
        "pupil_radius": np.abs(away["pupil_r"]),
    }
    return {
        key: {
            "median": float(np.median(e)),
            "p95": float(np.quantile(e, 0.95)),
            "max": float(e.max()),
            "n": len(e),
        }
        for key, e in errors.items()
        if len(e)
    }
