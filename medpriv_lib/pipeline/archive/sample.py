"""Some patients of an archive, with what was released of them, as a cohort and a release in memory.

An attack trains networks on all patients that it looks at, which of an archive would neither fit
into memory nor end. It is carried out on whole patients, drawn at random, and on whole groups
where the method forms groups.
"""

import csv
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Given, Release
from medpriv_lib.core.shards import part_file
from medpriv_lib.core.sharing import AGAIN, read_image
from medpriv_lib.data.archive.archive import Archive

PATIENTS = 300
NOTE = (
    "A sample was attacked: {some:,} of the {all:,} patients of the archive whose images were "
    "released, {images:,} released images. Whoever names a patient here chooses among {some:,} "
    "people; with the whole archive the right one is among {all:,}, so that fewer are named. "
    "Linking is as easy as shown."
)


@dataclass(frozen=True, eq=False)
class Sample:
    """What is attacked: originals in a `cohort` of the chosen patients, their `release`, and the
    `order` (N,) of its shared files; `note` says what a reader has to know of it.
    """

    cohort: Cohort
    release: Release
    order: Int64[np.ndarray, " n"]
    note: str


def is_release_of_archive(folder: str | os.PathLike) -> bool:
    """Say whether this folder is a complete release of an archive."""
    keep = Path(folder) / "keep"
    return (keep / "parts").is_dir() and (keep / "order.csv").is_file()


def sample_release(
    archive: Archive, folder: str | os.PathLike, patients: int = PATIENTS, seed: int = 0
) -> Sample:
    """Return some patients of a release that `privatize_archive` wrote into `folder`.

    Parts are taken in random order, and from each patients, or whole groups of patients, until
    there are at least `patients`, or all. Of a chosen patient all originals of the archive are in
    the cohort, of every split; released images that also rest on patients who were not chosen are
    left out. `seed` draws the sample; who is which number in a report is no matter of it. Raises
    `FileNotFoundError` where no complete release is there, and `ValueError` where the release was
    made from another archive or with a gallery, or where shared files, order.csv and parts do not
    say the same.
    """
    folder = Path(os.path.abspath(folder))
    if not is_release_of_archive(folder):
        raise FileNotFoundError(
            f"{folder}: no release of an archive with its key is here (keep/parts and "
            "keep/order.csv); make one with `medpriv privatize ARCHIVE`"
        )
    parts = sorted((folder / "keep" / "parts").glob("*.npz"))
    rng = np.random.default_rng(seed)
    chosen: set[int] = set()
    for number in rng.permutation(len(parts)).tolist():
        release, rows = _opened(archive, folder, number)
        chosen |= _drawn(release, archive.patient[rows], patients - len(chosen), rng)
        if len(chosen) >= patients:
            break
    people = np.array(sorted(chosen), dtype=np.int64)
    mine = np.flatnonzero(np.isin(archive.patient, people))
    taken = archive.take(mine)
    cohort = replace(
        taken,
        patient=np.searchsorted(people, taken.patient),
        patient_names=archive.patient_names[people],
    )
    release, released = _gathered(archive, folder, people, mine, cohort)
    order, everybody = _order_of(folder, release, released, cohort)
    note = NOTE.format(some=len(people), all=everybody, images=len(release))
    return Sample(cohort, release, order, note)


def _opened(archive: Archive, folder: Path, number: int) -> tuple[Release, np.ndarray]:
    """Return one part, and the row of the archive of each of its images."""
    release = Release.load(part_file(folder / "keep", number))
    if "data_hash" in release.parameters:
        raise ValueError(
            f"{folder}: {release.method} drew on the patients of a gallery, whom a sample of this "
            "archive leaves out; attack a release of a cohort file (--cohort mine.npz) instead"
        )
    given = release.given
    if given is None or given.row.max(initial=-1) >= len(archive):
        raise ValueError(f"{folder}: not made from images of the archive {archive.folder}")
    try:
        given.rows_in(archive.take(given.row))
    except ValueError as error:
        raise ValueError(
            f"{folder}: not made from images of the archive {archive.folder} ({error}); name the "
            "one that was privatised by --cohort"
        ) from error
    return release, given.row[release.source]


def _drawn(
    release: Release, patient: Int64[np.ndarray, " n"], wanted: int, rng: np.random.Generator
) -> set[int]:
    """Return at least so many patients of a part, or all: whole groups where there are groups."""
    if release.contributors.shape[1] == 0:
        return set(rng.permutation(np.unique(patient))[:wanted].tolist())
    found: set[int] = set()
    for group in rng.permutation(np.unique(release.contributors, axis=0)):
        if len(found) >= wanted:
            break
        found |= set(group[group >= 0].tolist())
    return found


def _gathered(
    archive: Archive,
    folder: Path,
    people: Int64[np.ndarray, " p"],
    mine: Int64[np.ndarray, " m"],
    cohort: Cohort,
) -> tuple[Release, Int64[np.ndarray, " n"]]:
    """Return the release of the chosen patients, and which images of the whole release they are."""
    found: list[tuple[Release, np.ndarray, np.ndarray, np.ndarray]] = []
    begins = 0
    for number in range(len(list((folder / "keep" / "parts").glob("*.npz")))):
        release = Release.load(part_file(folder / "keep", number))
        given = release.given
        assert given is not None  # `privatize` records what was given
        rows, who = given.row[release.source], release.contributors
        whole = np.isin(who, people) | (who < 0)
        keep = np.isin(archive.patient[rows], people) & whole.all(axis=1)
        if keep.any():
            here = np.flatnonzero(keep)
            found.append((release, here, rows[here], here + begins))
        begins += len(release)
    first = found[0][0]
    rows = np.concatenate([one[2] for one in found])
    who = np.concatenate([release.contributors[here] for release, here, _, _ in found])
    given_rows = np.unique(rows)
    return (
        Release(
            np.concatenate([release.images[here] for release, here, _, _ in found]),
            np.searchsorted(given_rows, rows),
            np.where(who < 0, -1, np.searchsorted(people, who)).astype(np.int64),
            first.method,
            first.parameters,
            Given.of(cohort.take(np.searchsorted(mine, given_rows))),
        ),
        np.concatenate([one[3] for one in found]).astype(np.int64),
    )


def _order_of(
    folder: Path, release: Release, released: Int64[np.ndarray, " n"], cohort: Cohort
) -> tuple[Int64[np.ndarray, " n"], int]:
    """Return the order of the sampled files, and how many patients the whole release has.

    The sampled files are compared with the parts, their lines of the table with the key.
    """
    table = folder / "keep" / "order.csv"
    place = {row: number for number, row in enumerate(released.tolist())}
    rows, names = release.rows_in(cohort), cohort.patient_names[cohort.patient].astype(np.str_)
    order: list[int] = []
    everybody: set[str] = set()
    try:
        with open(table, newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                everybody.add(line["patient"])
                number = place.get(int(line["released_row"]))
                if number is None:
                    continue
                order.append(number)
                told = (int(line["source_row"]), line["patient"])
                name = str(names[rows[number]]).encode("utf-8", "backslashreplace").decode()
                shown = read_image(folder / "share" / line["file"])
                if told != (int(cohort.row[rows[number]]), name) or not np.array_equal(
                    shown, release.images[number]
                ):
                    raise ValueError(f"{line['file']} is not what the key says")
    except (KeyError, TypeError, csv.Error, FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"{table}: does not fit the release beside it ({error}); {AGAIN}"
        ) from error
    if sorted(order) != list(range(len(release))):
        raise ValueError(f"{table}: does not list each released image once; {AGAIN}")
    return np.array(order, dtype=np.int64), len(everybody)
