"""Which patient a neutral number of a report is: drawn once, kept where only the owner can read."""

import csv
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.randomness import secret_order

FILE = "patients.csv"


def neutral_numbers(cohort: Cohort, keep: Path | None = None) -> Int64[np.ndarray, " p"]:
    """Return a number from 1 on for each patient of the cohort, in an order that no seed leads to.

    Where `keep` holds the numbers of the same patients already, these are returned, so that a
    report that is made again names the same patients by the same numbers.
    """
    names = [str(name) for name in cohort.patient_names]
    if keep is not None and (keep / FILE).is_file():
        with open(keep / FILE, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        told = {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}
        if set(told) == set(names) and sorted(told.values()) == list(range(1, len(names) + 1)):
            return np.array([told[name] for name in names], dtype=np.int64)
    return secret_order(len(names)) + 1


def write_numbers(keep: Path, cohort: Cohort, numbers: Int64[np.ndarray, " p"]) -> None:
    """Write `keep`/patients.csv, which patient each number is; only the owner can read it."""
    keep.mkdir(mode=0o700, exist_ok=True)
    keep.chmod(0o700)
    names = [str(name) for name in cohort.patient_names]
    with (
        atomic_write(keep / FILE, private=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["number", "patient"])
        table.writerows(sorted(zip(numbers.tolist(), names, strict=True)))
