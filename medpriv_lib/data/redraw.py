"""A synthetic cohort with visits, made anew: drawn into a folder, cut, and split."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.packaged import NAMES, Kind
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.synthetic.cohort import IMAGES, PATIENTS
from medpriv_lib.data.synthetic.difficulty import VISITS, Difficulty
from medpriv_lib.data.synthetic.visit_images import write_visits
from medpriv_lib.data.synthetic.visits import SEED


def redraw(
    kind: Kind,
    difficulty: Difficulty = VISITS,
    patients: int = PATIENTS,
    images: int = IMAGES,
    size: int = 64,
    seed: int = SEED,
    workers: int | None = None,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Cohort, dict[str, Any]]:
    """Return the cohort and the report of its preparation: eyes localised, cut,
    split by image with seed 0, as `medpriv prepare --kind manifest` does it.

    The images are drawn into `folder`, where a killed run is completed, or into a temporary one.
    Two sizes with one seed show the same images. Raises what `write_visits` and `prepare` raise.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) if folder is None else folder
        manifest = write_visits(place, kind, patients, images, seed, workers, difficulty, progress)
        cohort, report = prepare(
            read_manifest(manifest),
            Cut(size),
            name=NAMES[kind],
            workers=workers,
            progress=False,
        )
    return cohort, report | {"difficulty": asdict(difficulty), "kind": kind}
