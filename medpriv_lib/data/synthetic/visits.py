"""The plan of a synthetic cohort: visits with dates, and findings that change.

Two designs from one renderer. "confounded" is as the paper's data are: most patients have one
label, because a glaucoma that is there stays. Findings change all the same: they progress, attacks
come and go, an iridotomy or an operation is there from one visit on, cataracts grow and are
operated on. "crossed" is an experiment's design and no course of a disease: on every visit every
patient has the disease or not in about the same proportion, and each time with findings drawn
anew, so that who somebody is says nothing of the label. In both, `SILENT` of the images with the
label show nothing of it, pupils are dilated by drops on some visits, and all images are taken by
one camera.

Images of one eye on one visit share its findings, date and drops, and differ in how they were
captured. The split is by image, as in the study, so images of one visit are in training and
in test.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby

import numpy as np

from medpriv_lib.data.packaged import KINDS, Kind
from medpriv_lib.data.synthetic.cohort import GLAUCOMA, IMAGES, PATIENTS, apportion

SEED = 2311
SILENT = 0.125  # of the images with the label
CHANGES = 0.05  # of the patients get the disease between two visits; "confounded" only
MOST_VISITS = 6
STREAM = 20  # first of the numbers that seed what is drawn for these cohorts


@dataclass(frozen=True)
class Slot:
    """One eye on one visit: `patient` and `visit` from 1, `eye` "L" or "R", `day`, how many
    `visits` the patient makes, the label, and `silent` where nothing of the disease is to be seen.
    """

    patient: int
    eye: str
    visit: int
    day: date
    visits: int
    glaucoma: bool
    silent: bool = False


@dataclass(frozen=True)
class Shot:
    """One planned image: its `slot` and its `number` within it, from 1."""

    slot: Slot
    number: int

    @property
    def patient(self) -> int:
        """The patient's number, from 1."""
        return self.slot.patient

    @property
    def glaucoma(self) -> bool:
        """The label of this eye on this visit."""
        return self.slot.glaucoma

    @property
    def folder(self) -> str:
        """The folder of the patient: `0007`."""
        return f"{self.slot.patient:04d}"

    @property
    def stem(self) -> str:
        """The file name without its suffix: `0007_L_v2_1`."""
        slot = self.slot
        return f"{slot.patient:04d}_{slot.eye}_v{slot.visit}_{self.number}"


def plan_visits(
    kind: Kind, patients: int = PATIENTS, images: int = IMAGES, seed: int = SEED
) -> list[Shot]:
    """Return what a cohort consists of, without rendering: both eyes on each of a patient's visits.

    Glaucoma has 425 of 1,795 images, as in the study, or as near as other counts allow.
    Raises `ValueError` for another kind, fewer than 4 patients, or fewer images than two eyes on
    two visits of each patient.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown cohort {kind!r}; choose from {', '.join(KINDS)}")
    if not 4 <= patients <= 9999 or images < 4 * patients:
        raise ValueError(
            f"{patients} patients, {images} images: take 4 to 9999 patients and at least 4 images "
            "each, two eyes on two visits"
        )
    rng = np.random.default_rng([STREAM, KINDS.index(kind), seed])
    most = max(2, min(MOST_VISITS, images // (3 * patients)))
    days = {patient: _days(rng, most) for patient in range(1, patients + 1)}
    ill = _crossed(rng, days) if kind == "crossed" else _confounded(rng, days)
    slots = [
        Slot(patient, eye, visit, day, len(dates), (patient, eye, visit) in ill)
        for patient, dates in days.items()
        for visit, day in enumerate(dates, 1)
        for eye in "LR"
    ]
    share = round(images * GLAUCOMA / IMAGES)
    sick = [slot for slot in slots if slot.glaucoma]
    well = [slot for slot in slots if not slot.glaucoma]
    share = min(max(share, len(sick)), images - len(well))
    counts = dict(zip(sick, apportion(rng, share, len(sick), 1), strict=True))
    counts |= dict(zip(well, apportion(rng, images - share, len(well), 1), strict=True))
    silent = _silent(rng, sick, counts, kind)
    return [
        Shot(replace(slot, silent=slot in silent), number + 1)
        for slot in slots
        for number in range(counts[slot])
    ]


def _days(rng: np.random.Generator, most: int) -> list[date]:
    """Draw two to `most` visits, six weeks to fourteen months apart."""
    gaps = rng.integers(42, 430, int(rng.integers(2, most + 1)))
    start = date(2016, 1, 4) + timedelta(int(rng.integers(0, 900)))
    return [start + timedelta(int(gap)) for gap in np.cumsum(gaps) - gaps[0]]


def _confounded(rng: np.random.Generator, days: dict[int, list[date]]) -> set[tuple[int, str, int]]:
    """Return the eyes and visits with glaucoma: some patients on all visits, a quarter of them in
    one eye; a few from a later visit on.
    """
    affected = max(2, round(1.12 * GLAUCOMA / IMAGES * len(days)))
    changing = max(1, round(CHANGES * len(days)))
    chosen = (rng.permutation(len(days))[: affected + changing // 2] + 1).tolist()
    found = set()
    for order, patient in enumerate(chosen):
        visits = len(days[patient])
        onset = int(rng.integers(2, visits + 1)) if order < changing else 1
        eyes = "LR"
        if order % 4 == 3:
            eyes = "LR"[int(rng.integers(2))]
        found |= {(patient, eye, visit) for eye in eyes for visit in range(onset, visits + 1)}
    return found


def _crossed(rng: np.random.Generator, days: dict[int, list[date]]) -> set[tuple[int, str, int]]:
    """Return the eyes and visits with glaucoma: the same share of everybody's, one at least."""
    found, owed = set(), 0.0
    for patient, dates in days.items():
        places = [(patient, eye, visit) for visit in range(1, len(dates) + 1) for eye in "LR"]
        exact = GLAUCOMA / IMAGES * len(places) + owed
        count = max(1, round(exact))
        owed = exact - count  # so that the shares add up
        found |= {places[int(k)] for k in rng.permutation(len(places))[:count]}
    return found


def _silent(
    rng: np.random.Generator, sick: list[Slot], counts: dict[Slot, int], kind: Kind
) -> set[Slot]:
    """Choose where nothing is to be seen: anywhere in "crossed", else on the first visit of an eye
    with the label, before anything was done to it.
    """
    if kind == "crossed":
        candidates = list(sick)
    else:
        eyes = groupby(sorted(sick, key=_eye_then_visit), key=lambda s: (s.patient, s.eye))
        candidates = [group[0] for _, slots in eyes if len(group := list(slots)) > 1]
    room, chosen = round(SILENT * sum(counts[slot] for slot in sick)), set()
    for place in rng.permutation(len(candidates)):
        slot = candidates[int(place)]
        if counts[slot] <= room:
            chosen.add(slot)
            room -= counts[slot]
    return chosen


def _eye_then_visit(slot: Slot) -> tuple[int, str, int]:
    return slot.patient, slot.eye, slot.visit
