"""Invented people who are in no cohort, as many as a training wants."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.processes import in_processes
from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.frame import EMPTY, FADED, frame_of_eye
from medpriv_lib.data.synthetic.camera import COHORT_CAMERA, Camera, Family
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.difficulty import TAUGHT, Difficulty
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.render import Rendering, render_with_truth

STREAM = 77_000_002  # these people's random numbers; those of the cohorts start with 1 to 9
CHUNK = 8  # people in one task of a worker
OFF = 0.2  # of the iris radius
VALIDATION = 5  # every fifth person
TYPES = (
    *(("images", "uint8"), ("twin", "uint8"), ("evidence", "bool"), ("patient", "int64")),
    *(("eye", "<U1"), ("diseased", "bool"), ("visit", "int64")),
)
Square = UInt8[np.ndarray, "size size"]


def cut(
    rendering: Rendering, size: int = 64
) -> tuple[Square, Square, Bool[np.ndarray, "size size"]] | None:
    """Return image, twin and evidence as `prepare` cuts them, or None where no eye is found.

    The frame is where the localiser sees the eye, in the image with the disease; twin and evidence
    go through the same frame, and a pixel is evidence where at least half of it is. Right eyes are
    mirrored. A circle whose centre or radius is more than a fifth of the radius off the true iris
    is no eye, as a person who looks at the images would say.
    """
    image = rendering.image[: len(rendering.image) - strip_rows(rendering.image)]
    finding = examine(image)
    if finding.eye is None or not finding.sure or not _is_iris(finding.eye, rendering.eye):
        return None
    frame = frame_of_eye(finding.eye, rendering.right)
    twin = rendering.twin[: len(image)]
    evidence = rendering.evidence[: len(image)].astype(np.float32)
    return (
        frame.cut(image, size, FADED),
        frame.cut(twin, size, FADED),
        frame.cut(evidence, size, EMPTY) >= 0.5,
    )


def _is_iris(found: Eye, true: Eye) -> bool:
    away = np.hypot(found.iris_x - true.iris_x, found.iris_y - true.iris_y)
    return bool(max(away, abs(found.iris_r - true.iris_r)) <= OFF * true.iris_r)


@dataclass(frozen=True)
class _Task:
    """What a worker is told: which people, their cameras (one tuple a person), and the rest."""

    people: range
    cameras: tuple[tuple[Camera, ...], ...]
    seed: int
    size: int
    difficulty: Difficulty


def population(
    people: int,
    images_each: int,
    seed: int,
    cameras: Mapping[str, Family] | None = None,
    size: int = 64,
    workers: int | None = None,
    difficulty: Difficulty = TAUGHT,
) -> Cohort:
    """Return people who are in no cohort, one eye of each, `images_each` images of it.

    Half of the images have the label glaucoma, in turn within a person, each with findings of its
    own and on a visit of its own; distractors stay with the person. So neither person nor camera
    tells the label, and every image with the label has signs (where lids do not hide them). Each
    image is taken by another camera: drawn from one of the families in `cameras`, all alike
    likely; with None all are taken by `COHORT_CAMERA`. Every fifth person is "val", the others are
    "train". An image in which the localiser finds no eye is left out; `row` counts what was asked
    for, so it tells which. The same arguments give the same cohort whatever `workers` (None: all
    cores; 1: this process). Raises `ValueError` for fewer than five people or no image.
    """
    if people < VALIDATION or images_each < 1 or (cameras is not None and not cameras):
        raise ValueError(
            f"{people} people with {images_each} images each: take at least {VALIDATION} people, "
            "so that one is in the validation split, one image, and one family of cameras"
        )
    taken = [
        tuple(_camera(seed, person, number, cameras) for number in range(images_each))
        for person in range(people)
    ]
    tasks = [
        _Task(part, tuple(taken[part.start : part.stop]), seed, size, difficulty)
        for part in (range(first, min(people, first + CHUNK)) for first in range(0, people, CHUNK))
    ]
    parts = list(in_processes(_render, tasks, workers))
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if not len(joined["images"]):
        raise ValueError("no eye was found in any image; check the families of cameras")
    validation = joined["patient"] % VALIDATION == VALIDATION - 1
    return Cohort(
        **joined,
        split=np.where(validation, "val", "train"),
        patient_names=np.array([f"invented-{seed}-{person:05d}" for person in range(people)]),
        name="population",
    )


def _camera(seed: int, person: int, number: int, cameras: Mapping[str, Family] | None) -> Camera:
    if cameras is None:
        return COHORT_CAMERA
    rng = np.random.default_rng([STREAM, seed, person, number, 2])
    return cameras[sorted(cameras)[int(rng.integers(len(cameras)))]](rng)


def _render(task: _Task) -> dict[str, np.ndarray]:
    square, types = (-1, task.size, task.size), dict(TYPES)
    found: dict[str, list] = {key: [] for key in types}
    for person, cameras in zip(task.people, task.cameras, strict=True):
        for number, (rendering, ill) in enumerate(_images(person, cameras, task)):
            part = cut(rendering, task.size)
            if part is None:
                continue
            facts = (person, "LR"[rendering.right], ill, number + 1)
            for key, value in zip(found, (*part, *facts), strict=True):
                found[key].append(value)
    arrays = {key: np.array(found[key], dtype=type_) for key, type_ in types.items()}
    return arrays | {key: arrays[key].reshape(square) for key in ("images", "twin", "evidence")}


def _images(
    person: int, cameras: Sequence[Camera], task: _Task
) -> Iterator[tuple[Rendering, bool]]:
    """Yield the images of one person with their labels."""
    rng = np.random.default_rng([STREAM, task.seed, person])
    identity = Identity.draw(rng, task.difficulty)
    identity = identity.fellow() if rng.random() < 0.5 else identity
    own = Pathology.draw(rng, False, task.difficulty)
    first = bool(rng.random() < 0.5)
    for number, camera in enumerate(cameras):
        rng = np.random.default_rng([STREAM, task.seed, person, number, 1])
        ill = first ^ bool(number % 2)
        findings = own.with_signs_of(Pathology.draw(rng, ill, task.difficulty))
        capture = replace(Capture.draw(rng, task.difficulty), camera=camera)
        yield render_with_truth(identity, findings, capture), ill
