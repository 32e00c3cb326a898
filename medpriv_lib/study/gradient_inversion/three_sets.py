"""A better attacker: the search in the coordinates of public eyes, on a third set of targets.

The search of `gradient-inversion.json` moves each pixel by itself and takes a ReLU's step for flat.
Here it moves in a `Basis` of public eyes and follows the jumps at the kinks (`Kink`). The settings
were found on patients of the first set alone, on networks of other seeds than those below. The
second set, that of `gradient-inversion-fresh.json`, was attacked once before by the earlier search.
Nobody had attacked a patient of the third: its seed, its rows and the search were written down
before its only run. With too few patients left for as many targets, a patient may be in the third
set with both eyes.

`python -m medpriv_lib.study.gradient_inversion.three_sets --out FOLDER` reads the two earlier files
in the folder, writes `gradient-inversion-sets.json` beside them, after each target, and goes on
from there.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from medpriv_lib.attacks.gradient_inversion.basis import Basis
from medpriv_lib.attacks.gradient_inversion.invert import Search
from medpriv_lib.attacks.gradient_inversion.objective import Terms
from medpriv_lib.core import weights
from medpriv_lib.core.files import write_json
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.privatizers.strangers import Strangers
from medpriv_lib.study.command import into_folder
from medpriv_lib.study.gradient_inversion import rows as plan
from medpriv_lib.study.gradient_inversion.fresh_targets import FRESH_FILE, fresh, looked_at
from medpriv_lib.study.gradient_inversion.rows import Row
from medpriv_lib.study.gradient_inversion.run import (
    FILE,
    Say,
    Study,
    attack_rows,
    described,
    shipped,
)

SETS_FILE = "gradient-inversion-sets.json"
THIRD_SEED = 41_113
DIRECTIONS = 400  # of the basis
SEARCH = Search(steps=150, rate=0.1, terms=Terms("layers", 0.1), width=0.3)
OPEN = (Row("average pooling", plan.TARGETS),)
DEFENDED = (
    Row("masked", plan.SOME, defence="mask"),
    Row("noise for epsilon 8", plan.SOME, defence="noise"),
)
SETS = {"third": OPEN + DEFENDED, "second": OPEN}


def run(
    folder: Path,
    say: Say,
    study: Study | None = None,
    sets: dict[str, tuple[Row, ...]] = SETS,
    how: Search = SEARCH,
) -> dict[str, Any]:
    """Attack the targets of all sets by one search; return set -> what `attack_rows` found.

    A set of other images, weights or settings is begun anew. Raises `FileNotFoundError` where an
    earlier file is missing, which says who was looked at before.
    """
    first, second = (_earlier(folder / name) for name in (FILE, FRESH_FILE))
    study = replace(study or with_basis(shipped()), steps=how.steps)
    path = folder / SETS_FILE
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    studies = {"first": study, "second": fresh(study, first), "third": third(study, first, second)}
    for name, rows in sets.items():
        one = {"provenance": described(studies[name]) | {"command": COMMAND}}
        found = content.setdefault(name, one)
        if found["provenance"] != one["provenance"]:
            content[name] = found = one
        directions = study.basis.directions.shape[1] if study.basis is not None else 0
        found |= {"noise": first["noise"], "directions": directions}
        told = _told(say, name)
        attack_rows(studies[name], rows, how, found, lambda: write_json(path, content), told)
    return content


def with_basis(study: Study) -> Study:
    """Return the study with a basis of all strangers that ship."""
    strangers = Strangers.load(weights.FOLDER / "strangers.npz")
    return replace(study, basis=Basis.of(to_tensor(strangers.images), DIRECTIONS))


def third(study: Study, first: dict[str, Any], second: dict[str, Any]) -> Study:
    """Return the study of eyes whose patients are in neither set and in no validation."""
    seen = {*looked_at(study, first), *(one["patient"] for one in second["targets"])}
    return replace(study, seed=THIRD_SEED, without=tuple(sorted(seen)), each="eye")


def _told(say: Say, name: str) -> Say:
    return lambda text: say(f"{name} set, {text}")


def _earlier(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; make it with `python -m "
            f"medpriv_lib.study.gradient_inversion"
            f"{'' if path.name == FILE else '.fresh_targets'}`"
        )
    return json.loads(path.read_text(encoding="utf-8"))


COMMAND = "python -m medpriv_lib.study.gradient_inversion.three_sets"


def main(argv: list[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder(COMMAND.rpartition(" ")[2], run, argv)


if __name__ == "__main__":
    main()
