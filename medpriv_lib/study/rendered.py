"""Invented patients outside the cohort, for attackers to learn from: planned, rendered, kept.

One eye of each is rendered and two or three captures of it: measured on one core, an image costs
0.12 s of processor time on average (more for the first of an eye, whose texture is drawn; a third
of it goes into finding the iris), so that 500 patients take three minutes. The second eye would
double that and teach little, since the verifier learns eyes and not persons.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import atomic_write
from medpriv_lib.data.synthetic import Item, conditions, findings, person, plan
from medpriv_lib.data.synthetic.camera import COHORT_CAMERA
from medpriv_lib.data.synthetic.difficulty import VISITS
from medpriv_lib.data.synthetic.population import cut
from medpriv_lib.data.synthetic.render import render_with_truth

PATIENTS, EACH, SEED = 500, 3, 777  # the packaged cohorts begin with other seeds
CHUNK = 20  # patients in one file: what a killed run loses at most


def items_of(patients: int, each: int = EACH, seed: int = SEED) -> list[Item]:
    """Return what is rendered: up to `each` captures of one eye of every patient, left and right
    eyes in turn.

    Labels and visits are dealt out as in any synthetic cohort, so that some eyes have fewer. Raises
    `ValueError` for fewer than four patients, two to a half, or fewer than two captures: then there
    is no pair to learn from.
    """
    if patients < 4 or each < 2:
        raise ValueError(
            f"{patients} other patients with {each} images each: take at least 4 with 2, or none"
        )
    return [
        item
        for item in plan(patients, 2 * patients * max(3, each), seed)
        if item.eye == "LR"[item.patient % 2] and item.number <= each
    ]


def render_others(
    folder: Path,
    patients: int = PATIENTS,
    size: int = 64,
    seed: int = SEED,
    each: int = EACH,
    advance: Callable[[int], None] = lambda images: None,
    chunk: int = CHUNK,
) -> Cohort:
    """Return a cohort of other patients, taken by the packaged cohorts' camera and cut as
    `medpriv prepare` does it; all "train".

    What is finished is kept in `folder`, `chunk` patients a file, and found again; `advance(n)` is
    told of n new images. An image in which no iris is found is left out. Errors as of `items_of`.
    """
    items = items_of(patients, each, seed)
    folder = folder / f"others-{patients}-{each}-{size}-seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(1, patients + 1, chunk):
        path = folder / f"{first:04d}.npz"
        if not path.is_file():
            mine = [item for item in items if first <= item.patient < first + chunk]
            _write(path, mine, size, seed)
            advance(len(mine))
        with np.load(path, allow_pickle=False) as arrays:
            parts.append({key: arrays[key] for key in ("images", "patient", "eye", "diseased")})
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    names = np.array([f"other-{number:04d}" for number in range(1, patients + 1)])
    return Cohort(
        **joined, split=np.full(len(joined["patient"]), "train"), patient_names=names, name="others"
    )


def _write(path: Path, items: Sequence[Item], size: int, seed: int) -> None:
    """Render some patients and write their images, atomically."""
    images, kept = [], []
    for item in items:
        identity = person(item.patient, seed, VISITS)["LR".index(item.eye)]
        capture = replace(conditions(item, seed, VISITS), camera=COHORT_CAMERA)
        part = cut(render_with_truth(identity, findings(item, seed, VISITS), capture), size)
        if part is not None:
            images.append(part[0])
            kept.append(item)
    with atomic_write(path) as temporary:
        np.savez_compressed(
            temporary,
            images=np.array(images, dtype=np.uint8).reshape(-1, size, size),
            patient=np.array([item.patient - 1 for item in kept], dtype=np.int64),
            eye=np.array([item.eye for item in kept], dtype="<U1"),
            diseased=np.array([item.glaucoma for item in kept], dtype=bool),
        )
