"""Teaching scenes: one disease in four eyes, so that a network learns what is the disease's.

Of every scene the renderer draws four invented persons with the same signs, the same pupil and the
same rotation, by one camera, with distractors and lids of their own, each beside its twin without
the disease. The first two are captured as patients are; the last two as strangers are, healthy but
for these signs and with open lids: onto those a network learns to lay what it read in another. The
eyes are cut out where the localiser sees them.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from medpriv_lib.core.npz import read_npz, write_npz
from medpriv_lib.core.processes import in_processes
from medpriv_lib.data.synthetic.camera import COHORT_CAMERA, FAMILIES, HELD_OUT, Camera
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.difficulty import DEFAULT
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Hole, Pathology
from medpriv_lib.data.synthetic.population import cut
from medpriv_lib.data.synthetic.render import render_with_truth

VERSION = 1
MAKER = "`medpriv_lib.privatizers.sign_transfer.scenes.render_scenes`"
STREAM = 17_002  # the first word of every scene's seed: no cohort and no stranger begins with it
EYES, TARGETS = 4, 2  # eyes of a scene; the last so many are captured as strangers are
CHUNK = 12  # scenes in one file
KINDS = ("holes", "wedge", "ovality", "haze", "flush")
# which kind stays where a scene shows one kind alone: the openings are the smallest and the darkest
ALONE = (0.34, 0.22, 0.12, 0.17, 0.15)
COHORT_SHARE, FIRST_SHARE = 0.4, 0.12  # of the scenes, by the cohorts' cameras
Part = Literal["train", "val", "held-out", "distractors"]
PARTS: tuple[Part, ...] = ("train", "val", "held-out", "distractors")
MOST = 0.5  # share of distractors, at most; everybody's in the part of that name


@dataclass(frozen=True, eq=False)
class Scenes:
    """S scenes of four eyes.

    `images`, `twins` uint8 (S, 4, h, h); `evidence` bool (S, 4, h, h); `ratio` float32 (S,) pupil
    over iris; `kinds` bool (S, 5) which of `KINDS` are shown; `camera` (S,) the name of the family,
    "cohort" or "first".
    """

    images: UInt8[np.ndarray, "s 4 h h"]
    twins: UInt8[np.ndarray, "s 4 h h"]
    evidence: Bool[np.ndarray, "s 4 h h"]
    ratio: Float[np.ndarray, " s"]
    kinds: Bool[np.ndarray, "s k"]
    camera: np.ndarray

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        s = len(self.images)
        shape = self.images.shape
        fits = len(shape) == 4 and shape[1] == EYES and shape[2] == shape[3]
        if not fits or self.twins.shape != shape or self.evidence.shape != shape:
            raise ValueError(f"scenes are ({s}, {EYES}, h, h) images with twins and evidence")
        if self.ratio.shape != (s,) or self.camera.shape != (s,):
            raise ValueError(f"`ratio` and `camera` must be ({s},): one entry per scene")
        if self.kinds.shape != (s, len(KINDS)):
            raise ValueError(f"`kinds` must be ({s}, {len(KINDS)}), not {self.kinds.shape}")

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.images)

    def take(self, rows: np.ndarray) -> "Scenes":
        """Return the chosen scenes: `rows` are indices or a mask."""
        return replace(self, **{key: value[rows] for key, value in vars(self).items()})


def render_scenes(
    count: int,
    seed: int,
    part: Part = "train",
    folder: str | os.PathLike | None = None,
    size: int = 64,
    workers: int | None = None,
) -> Scenes:
    """Return `count` scenes of one part: "train" and "val" by the cohorts' cameras and by those of
    `FAMILIES`, "held-out" by those of `HELD_OUT`, "distractors" as "val", but everybody has the
    largest share of distractors; no person is in two parts.

    With a `folder` every dozen is a file there, and what a killed run had finished is read. The
    same seed gives the same scenes, with any number of `workers` (None: all cores; 1: this
    process), and more of them begin with the fewer. Raises `ValueError` for an unknown part, no
    scene, or a folder of other scenes.
    """
    if part not in PARTS or count < 1:
        raise ValueError(f"{count} scenes of part {part!r}: take at least one, of {PARTS}")
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        folder = str(folder)
    make = partial(_chunk, seed=seed, part=part, folder=folder, size=size)
    chunks = list(in_processes(make, range(-(-count // CHUNK)), workers))
    joined = {key: np.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]}
    return Scenes(**joined).take(np.arange(count))


def _chunk(
    number: int, seed: int, part: Part, folder: str | None, size: int
) -> dict[str, np.ndarray]:
    """Return a dozen scenes, from their file where there is one."""
    settings = f"{seed} {size} {COHORT_CAMERA} {COHORT_SHARE} {FIRST_SHARE} {ALONE}"
    path = None if folder is None else Path(folder) / f"{part}-{seed}-{number:05d}.npz"
    if path is not None and path.is_file():
        arrays = read_npz(path, "scenes", VERSION, MAKER)
        if str(arrays.pop("settings", "")) != settings:
            raise ValueError(
                f"{path}: scenes of other settings; choose another folder, or remove this one"
            )
        return arrays
    scenes = [_scene(number * CHUNK + i, seed, part, size) for i in range(CHUNK)]
    arrays = {key: np.stack([scene[key] for scene in scenes]) for key in scenes[0]}
    if path is not None:
        write_npz(path, "scenes", VERSION, {**arrays, "settings": settings})
    return arrays


def _scene(number: int, seed: int, part: Part, size: int) -> dict[str, np.ndarray]:
    """Return one scene; another one where the localiser finds one of its eyes in no capture."""
    for attempt in range(20):
        rng = np.random.default_rng([STREAM, seed, PARTS.index(part), number, attempt])
        name, camera = draw_camera(rng, part)
        signs, shared = draw_signs(rng), Capture.draw(rng)
        eyes = [_eye(rng, j, signs, shared, camera, name, size, part) for j in range(EYES)]
        if all(eye is not None for eye in eyes):
            image, twin, evidence, ratio = zip(*[eye for eye in eyes if eye], strict=True)
            present = [bool(getattr(signs, kind)) for kind in KINDS]
            return {
                "images": np.stack(image),
                "twins": np.stack(twin),
                "evidence": np.stack(evidence),
                "ratio": np.array(ratio[0], dtype=np.float32),
                "kinds": np.array(present),
                "camera": np.array(name, dtype="<U24"),
            }
    raise ValueError(
        f"no eye was found in 20 attempts at scene {number} of {part}; check the families of "
        "cameras"
    )


def draw_camera(rng: np.random.Generator, part: Part) -> tuple[str, Camera]:
    """Return a set-up and its name: a cohort's camera, or one of a family's."""
    if part == "held-out":
        name = sorted(HELD_OUT)[int(rng.integers(len(HELD_OUT)))]
        return name, HELD_OUT[name](rng)
    which = rng.random()
    if which < COHORT_SHARE:
        return "cohort", COHORT_CAMERA
    if which < COHORT_SHARE + FIRST_SHARE:
        return "first", Camera()
    name = sorted(FAMILIES)[int(rng.integers(len(FAMILIES)))]
    return name, FAMILIES[name](rng)


def draw_signs(rng: np.random.Generator) -> Pathology:
    """Return the signs of one scene: weak ones in half of the scenes, one kind alone in two of
    five, a third of the iridotomies smaller than patients have them.
    """
    while True:
        drawn = Pathology.draw(rng, True, replace(DEFAULT, weak_share=0.45, distractor_share=0.0))
        if rng.random() < 0.33:
            scale = rng.uniform(0.4, 0.9)
            holes = tuple(Hole(h.clock, h.depth, float(scale * h.diameter)) for h in drawn.holes)
            drawn = replace(drawn, holes=holes)
        if rng.random() >= 0.4:
            return drawn
        kind = KINDS[int(rng.choice(len(KINDS), p=ALONE))]
        if getattr(drawn, kind):
            bare = drawn.without_glaucoma()
            kept = {"glaucoma": True, kind: getattr(drawn, kind), "oval_axis": drawn.oval_axis}
            return replace(bare, **kept)


def _eye(
    rng: np.random.Generator,
    place: int,
    signs: Pathology,
    shared: Capture,
    camera: Camera,
    name: str,
    size: int,
    part: Part,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    """Return image, twin, evidence and pupil of one person with these signs, or None where six
    captures show no eye to the localiser.
    """
    cohort = name in ("cohort", "first")
    spread = DEFAULT.person_spread if cohort else float(rng.uniform(0.6, 1.1))
    share = float(rng.uniform(0, MOST))
    people = replace(
        DEFAULT,
        person_spread=spread,
        distractor_share=MOST if part == "distractors" else share,
    )
    who, own = Identity.draw(rng, people), Pathology()
    target = place >= EYES - TARGETS
    if not target:
        own = Pathology.draw(rng, False, people)
    findings = own.with_signs_of(signs)
    for _ in range(6):
        capture = replace(
            Capture.draw(rng, people),
            pupil_ratio=shared.pupil_ratio,
            rotation=shared.rotation,
            camera=camera,
        )
        if target:
            lids, gaze = float(rng.uniform(1.05, 1.2)), capture.gaze_y / 2
            capture = replace(capture, opening=lids, gaze_y=gaze)
        elif rng.random() < 0.08:
            capture = replace(capture, irregularity=float(rng.uniform(0.04, 0.2)))
        rendering = render_with_truth(who, findings, capture)
        found = cut(rendering, size)
        if found is not None:
            return *found, rendering.eye.pupil_ratio
    return None
