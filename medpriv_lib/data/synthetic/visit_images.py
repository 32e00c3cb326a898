"""The images of a cohort with visits: rendered visit by visit and written with a manifest."""

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.packaged import KINDS, Kind
from medpriv_lib.data.synthetic.camera import COHORT_CAMERA
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.cohort import IMAGES, PATIENTS
from medpriv_lib.data.synthetic.course import Course
from medpriv_lib.data.synthetic.difficulty import VISITS, Difficulty
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.render import Rendering, render_with_truth
from medpriv_lib.data.synthetic.scene import locate
from medpriv_lib.data.synthetic.visits import SEED, STREAM, Shot, Slot, plan_visits
from medpriv_lib.data.synthetic.writer import Layout, write_planned, write_table

VERSION = 1  # raise it when the same seed would give other images
MANIFEST = "manifest.csv"
COLUMNS = ("file", "patient", "label", "eye", "visit", "date")
DROPS = 0.15  # of the visits: both pupils dilated


@lru_cache(maxsize=4)
def eyes_of(
    kind: Kind, patient: int, seed: int = SEED, difficulty: Difficulty = VISITS
) -> tuple[Identity, Identity]:
    """Return the left and the right eye of a patient of the cohort."""
    rng = np.random.default_rng([STREAM + 1, KINDS.index(kind), seed, patient])
    left = Identity.draw(rng, difficulty)
    return left, left.fellow()


def findings_at(
    kind: Kind, slot: Slot, seed: int = SEED, difficulty: Difficulty = VISITS
) -> Pathology:
    """Return the findings of one eye on one visit, the same in all its images.

    In "crossed" the distractors follow the eye's own course and the signs are drawn anew.
    """
    place = [KINDS.index(kind), seed, slot.patient, "LR".index(slot.eye)]
    course = Course.draw(np.random.default_rng([STREAM + 2, *place]), slot.visits, difficulty)
    if kind == "confounded" or not slot.glaucoma or slot.silent:
        return course.at(slot.visit, slot.glaucoma, slot.silent)
    anew = Pathology.draw(np.random.default_rng([STREAM + 3, *place, slot.visit]), True, difficulty)
    return course.at(slot.visit, False).with_signs_of(anew)


def capture_of(
    kind: Kind, shot: Shot, seed: int = SEED, difficulty: Difficulty = VISITS
) -> Capture:
    """Return how an image was captured: on some visits after drops, which both eyes were given."""
    slot = shot.slot
    place = [KINDS.index(kind), seed, slot.patient, slot.visit]
    drops = np.random.default_rng([STREAM + 4, *place])
    dilated, ratio = drops.random() < DROPS, float(drops.uniform(0.56, 0.68))
    rng = np.random.default_rng([STREAM + 5, *place, "LR".index(slot.eye), shot.number])
    capture = replace(Capture.draw(rng, difficulty), camera=COHORT_CAMERA)
    return replace(capture, pupil_ratio=ratio) if dilated else capture


def render_shot(
    shot: Shot, kind: Kind, seed: int = SEED, difficulty: Difficulty = VISITS
) -> Rendering:
    """Return the image of a shot with its truth, exactly as `write_visits` writes it."""
    eye = eyes_of(kind, shot.patient, seed, difficulty)["LR".index(shot.slot.eye)]
    return render_with_truth(
        eye,
        findings_at(kind, shot.slot, seed, difficulty),
        capture_of(kind, shot, seed, difficulty),
    )


def geometry_of(shot: Shot, kind: Kind, seed: int = SEED, difficulty: Difficulty = VISITS) -> Eye:
    """Return the true circles of a shot without rendering it."""
    eye = eyes_of(kind, shot.patient, seed, difficulty)["LR".index(shot.slot.eye)]
    capture = capture_of(kind, shot, seed, difficulty)
    return locate(eye, findings_at(kind, shot.slot, seed, difficulty), capture)


def write_visits(
    folder: str | os.PathLike,
    kind: Kind,
    patients: int = PATIENTS,
    images: int = IMAGES,
    seed: int = SEED,
    workers: int | None = None,
    difficulty: Difficulty = VISITS,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a cohort with visits and return its manifest, for `medpriv prepare`.

    `images/NNNN/NNNN_L_vV_k.png` 8-bit 640x480, `truth/` as `writer.write_planned` says, and
    `manifest.csv` with file, patient, label, eye, visit and date, written last: an incomplete
    folder has none. The same seed gives the same bytes whatever `workers` (None: all cores). A
    killed run is completed by calling again with the same arguments. `progress(done, total)` is
    called as patients are finished. Raises `ValueError` as `plan_visits` does, and for a folder
    that holds something else.
    """
    shots = plan_visits(kind, patients, images, seed)
    folder = Path(folder)
    card = {
        "kind": kind,
        "version": VERSION,
        "patients": patients,
        "images": images,
        "seed": seed,
        "difficulty": asdict(difficulty),
    }
    layout = Layout[Shot](
        "images",
        ".png",
        partial(render_shot, kind=kind, seed=seed, difficulty=difficulty),
        partial(geometry_of, kind=kind, seed=seed, difficulty=difficulty),
    )
    write_planned(folder, card, shots, layout, workers, progress)
    write_table(folder / MANIFEST, [COLUMNS, *_rows(shots)])
    return folder / MANIFEST


def _rows(shots: Iterable[Shot]) -> list[tuple[object, ...]]:
    return [
        (
            f"images/{shot.folder}/{shot.stem}.png",
            f"{shot.patient:04d}",
            int(shot.glaucoma),
            shot.slot.eye,
            shot.slot.visit,
            shot.slot.day.isoformat(),
        )
        for shot in shots
    ]
