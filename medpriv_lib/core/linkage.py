"""The table of a release's key says what the key says: who is who must not depend on the file."""

import csv
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Int64
from numpy import ndarray

from medpriv_lib.core.printable import printable
from medpriv_lib.core.release import Release


def require_linked(
    table: Path, release: Release, order: Int64[ndarray, " n"], files: Sequence[str]
) -> None:
    """Raise `ValueError` where a row of order.csv has another file, original or patient than the
    key.

    `order` (N,) the released row of every line of `table`, `files` the N names in `share/`, in
    order. The pictures themselves are compared by the caller.
    """
    with open(table, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for number, (line, row, name) in enumerate(zip(lines, order, files, strict=True), 2):
        told = {"file": name}
        if (given := release.given) is not None:
            source = int(release.source[row])
            patient = str(given.patient[source]).encode("utf-8", "backslashreplace")
            told |= {"source_row": str(given.row[source]), "patient": patient.decode()}
        for column, cell in told.items():
            if line.get(column) != cell:
                raise ValueError(
                    f"{table}, row {number}: {column} is {printable(line.get(column))!r}, and "
                    "release.npz beside it says otherwise: one of them was changed; put back what "
                    "was written together, or make the release again with `medpriv privatize`"
                )
