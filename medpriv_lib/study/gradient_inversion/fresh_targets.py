"""The attack once more, with nothing left to choose: other patients, another seed, one run.

The settings of `gradient-inversion.json` were tried while ranks of some of its targets were known.
Here the search it ended with meets patients who were in no row and in no validation, a network with
other first weights and another noise over the start. Nothing was changed after the run.

`python -m medpriv_lib.study.gradient_inversion.fresh_targets --out FOLDER` reads
`gradient-inversion.json` in the folder, writes `gradient-inversion-fresh.json` beside it, after
each target, and goes on from there.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from medpriv_lib.core.files import write_json
from medpriv_lib.study.command import into_folder
from medpriv_lib.study.gradient_inversion import rows as plan
from medpriv_lib.study.gradient_inversion.rows import Row
from medpriv_lib.study.gradient_inversion.run import (
    FILE,
    Say,
    Study,
    attack_rows,
    described,
    search_of,
    shipped,
)

FRESH_FILE = "gradient-inversion-fresh.json"
FRESH_SEED = 2027
FRESH_ROWS = (Row("average pooling", plan.TARGETS),)


def run(
    folder: Path, say: Say, study: Study | None = None, rows: tuple[Row, ...] = FRESH_ROWS
) -> dict[str, Any]:
    """Attack fresh targets with the search of the folder's first file; return all.

    Raises `FileNotFoundError` where the first file is missing.
    """
    earlier = folder / FILE
    if not earlier.is_file():
        raise FileNotFoundError(
            f"{earlier}: no such file; make it with `python -m "
            "medpriv_lib.study.gradient_inversion`"
        )
    first = json.loads(earlier.read_text(encoding="utf-8"))
    study = fresh(study or shipped(), first)
    path = folder / FRESH_FILE
    content: dict[str, Any] = {"provenance": described(study) | {"command": COMMAND}}
    content["noise"] = first["noise"]
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["provenance"] == content["provenance"]:
            content = found
    attack_rows(study, rows, search_of(first), content, lambda: write_json(path, content), say)
    return content


def fresh(study: Study, first: dict[str, Any]) -> Study:
    """Return the study with another seed, without the patients whom the first one has looked at."""
    return replace(study, seed=FRESH_SEED, without=looked_at(study, first))


def looked_at(study: Study, first: dict[str, Any]) -> tuple[int, ...]:
    """Return the patients of the first study's targets and of its validation, ascending."""
    patients = {one["patient"] for one in first["targets"]}
    patients |= {int(study.cohort.patient[row]) for row in study.order[-plan.VALIDATION :]}
    return tuple(sorted(patients))


COMMAND = "python -m medpriv_lib.study.gradient_inversion.fresh_targets"


def main(argv: list[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder(COMMAND.rpartition(" ")[2], run, argv)


if __name__ == "__main__":
    main()
