"""What every preparation does beside its pixels, in memory or in chunks: it refuses, splits, and
keeps account.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.printable import printable
from medpriv_lib.data.account import account, errors, refuse_losses, refuse_single
from medpriv_lib.data.archive.archive import Archive, PerImage
from medpriv_lib.data.choices import Care, Cut, Split
from medpriv_lib.data.common_marks import CommonMarks
from medpriv_lib.data.cut_out import Part
from medpriv_lib.data.left_out import LeftOut, TooManyLost
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.people import refuse_shared, refuse_spellings, spellings

Pairs = Sequence[tuple[int, int]]


class Preparation:
    """A listing on its way to a cohort or an archive.

    `rows` (N,) of the listing that are kept, and `left_out`, files with the reason, are known after
    `keep`. Pairs of images are pairs of places in `rows`.
    """

    def __init__(self, listing: Listing, cut: Cut, split: Split, care: Care) -> None:
        """Refuse what cannot be done before any image is read.

        Raises `ValueError` for a split by eye without eyes and for a patient with one image, and
        `DoubledPeople` for two spellings of a name.
        """
        self.listing, self.cut, self.split, self.care = listing, cut, split, care
        self.start = time.perf_counter()
        if split.by == "eye" and (listing.eye == "").any():
            raise ValueError(
                "split by eye needs the eye of every image; add an `eye` column, or split by image "
                "or patient"
            )
        self.spellings = _spelled(listing)
        if care.doubles == "refuse":
            refuse_spellings(listing, self.spellings)
        self.strict = split.by == "image" and not care.keep_single
        if self.strict:
            refuse_single(listing)

    def keep(self, rows: Iterable[int], lost: Sequence[LeftOut]) -> Int64[np.ndarray, " n"]:
        """Return the rows that are kept, in order; raise where too few are, or a patient is left
        with one image.
        """
        listing = self.listing
        self.rows = np.array(sorted(rows), dtype=np.int64)
        self.left_out = [*listing.left_out, *lost]
        if len(self.rows) == 0:
            self._refuse_empty()
        refuse_losses(listing, len(self.rows), self.left_out, self.care.least_kept)
        if self.strict:
            refuse_single(listing, self.rows)
        return self.rows

    def _refuse_empty(self) -> None:
        """Raise where no image is left, with the reason of the first."""
        listing, root = self.listing, printable(self.listing.root)
        first = next(item for item in self.left_out if item.lost)
        if self.cut.localize and not listing.strict:
            raise ValueError(
                f"{root}: no eye was found in any of the {len(listing)} images; for images that "
                "are not eyes prepare with localize=False (--no-localize)"
            )
        raise TooManyLost(
            f"{root}: none of the {len(listing)} images is left (the first: "
            f"{printable(first.file)}, {first.reason})",
            self.left_out,
        )

    def refuse_shared(self, pairs: Pairs) -> None:
        """Raise `DoubledPeople` where two patients share a picture and nobody accepted that."""
        if self.care.doubles == "refuse" and self.listing.named:
            refuse_shared(self.listing, [(int(self.rows[a]), int(self.rows[b])) for a, b in pairs])

    def columns(self, name: str | None) -> dict[str, Any]:
        """Return what is known of the kept images, by the names that cohorts and archives share."""
        listing, rows = self.listing, self.rows
        names, patient = np.unique(listing.patient[rows], return_inverse=True)
        patient, diseased = patient.astype(np.int64), listing.diseased[rows]
        eye = listing.eye[rows].astype("<U1")
        return {
            "patient": patient,
            "eye": eye,
            "diseased": diseased,
            "split": self.split.of(patient, eye, diseased),
            "patient_names": names,
            "name": name or listing.root.name,
            "visit": None if listing.visit is None else listing.visit[rows],
        }

    def names_of(self, pairs: Pairs) -> list[tuple[str, str]]:
        """Return pairs of images as pairs of files."""
        name, rows = self.listing.name_of, self.rows
        return [(name(int(rows[a])), name(int(rows[b]))) for a, b in pairs]

    def record_of(self, row: int, part: Part) -> dict[str, Any]:
        """Return what was done to one image, for the report."""
        finding = part.finding
        eye = None if finding is None else finding.eye
        return {
            "file": self.listing.name_of(row),
            "rows_cut": part.rows,
            "pixels_filled": part.filled,
            "side": part.side,
            "shape": part.shape[:2],
            "grey_levels": part.levels,
            "share_filled": part.filled / max(1, part.side**2),
            "score": None if finding is None else finding.score,
            "iris_r": None if eye is None else eye.iris_r,
            "missing_signs": [] if finding is None else list(finding.missing),
            "levels": part.note,
        }

    def report(
        self,
        made: Cohort | Archive,
        pairs: Mapping[str, Pairs | None],
        parts: Mapping[int, Part],
        odd: Sequence[int],
        marks: CommonMarks,
        per_image: Sequence[dict] | PerImage,
    ) -> dict[str, Any]:
        """Return the account of what was made: `pairs` of pictures by their name in the report,
        None for those that were not looked for; `odd` rows; what was done `per_image`.
        """
        listing = self.listing
        found = account(made, listing, self.left_out, self.rows) | {
            "found_rate": len(self.rows) / len(listing) if self.cut.localize else None,
            "size": self.cut.size,
            "split_by": self.split.by,
            "seed": self.split.seed,
            "spellings": self.spellings,
            **{key: None if some is None else self.names_of(some) for key, some in pairs.items()},
            "odd_size": [listing.name_of(row) for row in odd],
            "common_marks": [str(mark) for mark in marks.found()],
            "per_image": per_image,
            "seconds": time.perf_counter() - self.start,
        }
        if self.cut.localize and listing.truth is not None:
            eyes = {row: f.eye for row in parts if (f := parts[row].finding) and f.eye is not None}
            found["error_px"] = errors(listing, eyes)
        return found


def _spelled(listing: Listing) -> list[tuple[str, ...]]:
    """Return the patients' names that may be one person's, where the listing has names."""
    if listing.alike is not None:
        return list(listing.alike)
    return spellings(listing.patient) if listing.named else []
