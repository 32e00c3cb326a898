"""Others: an attacker who learns from patients of another hospital, none of them in the cohort.

The open-set attackers of the study learn from one half of the cohort's patients and are tried on
the other half. Here they learn from a second synthetic cohort of invented patients, to whom they do
what was done to the released images, and are tried on all patients of the cohort. One eye of each
other patient is rendered and two or three captures of it: measured on one core, an image costs 0.12
s of processor time on average (more for the first of an eye, whose texture is drawn; a third of it
goes into finding the iris), so that 500 patients take three minutes. The second eye would double
that and teach little, since the verifier learns eyes and not persons.
"""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from medpriv_lib.attacks.attackers import Attackers, Verifier
from medpriv_lib.attacks.budget import FULL, Budget
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.linkage import linkage_by_others
from medpriv_lib.attacks.membership import against_patients, nearness
from medpriv_lib.attacks.scene import ALL, Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.prepare import frame_of_eye
from medpriv_lib.data.synthetic import Item, conditions, findings, person, plan, render
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.study.attacks import Plan, key_of, scenes_of
from medpriv_lib.study.rows import Method, Releases
from medpriv_lib.study.table import write_json

PATIENTS, EACH, SEED = 500, 3, 777  # the cohort that ships was rendered with seed 2021
CHUNK = 20  # patients in one file: what a killed run loses at most
FILE = "attacks-others.json"


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
) -> Cohort:
    """Return a cohort of other patients: rendered, cut and resized as `medpriv prepare` does it;
    all "train".

    What is finished is kept in `folder`, `CHUNK` patients a file, and found again; `advance(n)` is
    told of n new images. An image in which no iris is found is left out. Errors as of `items_of`.
    """
    items = items_of(patients, each, seed)
    folder = folder / f"others-{patients}-{each}-{size}-seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(1, patients + 1, CHUNK):
        path = folder / f"{first:04d}.npz"
        if not path.is_file():
            mine = [item for item in items if first <= item.patient < first + CHUNK]
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
        identity = person(item.patient, seed)["LR".index(item.eye)]
        image = render(
            identity,
            findings(item, seed),
            conditions(item, seed),
            f"IG {item.patient:04d} {item.eye}",
        )
        image = image[: len(image) - strip_rows(image)]
        eye = locate(image)
        if eye is not None:
            images.append(frame_of_eye(eye, item.eye == "R").cut(image, size))
            kept.append(item)
    with atomic_write(path) as temporary:
        np.savez_compressed(
            temporary,
            images=np.array(images, dtype=np.uint8).reshape(-1, size, size),
            patient=np.array([item.patient - 1 for item in kept], dtype=np.int64),
            eye=np.array([item.eye for item in kept], dtype="<U1"),
            diseased=np.array([item.glaucoma for item in kept], dtype=bool),
        )


def taught_by(
    row: Method,
    train: Cohort,
    others: Cohort,
    cohort: Cohort,
    kept: Path,
    seed: int,
    budget: Budget = FULL,
) -> Verifier:
    """Return the verifier that learned from `others`, with the originals of `cohort` as its bank.

    The attacker runs the method of `row`, fitted on `train` as the released images were, on the
    others. One image of the others is left out of the training of the first tower. Raises
    `ValueError` where the method cannot be run on patients that it does not know.
    """
    release = row.release(train, others, seeded(seed, "others", row.experiment, row.set))
    last = len(others) - 1
    rest = release.source < last
    scene = Scene(
        others,
        others.images[last:],
        np.array([last]),
        release.images[rest],
        release.source[rest],
        np.empty((1, 0), dtype=np.int64),
    )
    name = f"others-{row.experiment}-{row.set}".replace(" ", "-").replace(",", "")
    verifier = Attackers(others, kept, seed, budget=budget).verifier(scene, name, ALL)
    return Verifier(verifier.original(cohort.images), verifier.original, verifier.released)


def run_others(
    cohort: Cohort,
    vgan: PPRLVGAN,
    folder: Path,
    plan: Plan,
    cards: dict,
    patients: int = PATIENTS,
    progress: bool = True,
) -> dict:
    """Attack one draw of every row by attackers who learned from `patients` others; write
    `attacks-others.json`.

    Rendered images, networks and finished rows are kept in `folder`/attackers, so that a killed run
    goes on. Methods that cannot be run on strangers, such as averages that need the own identity's
    code, are rows with a note. The membership of the cohort's patients is asked against the others
    wherever a method was trained on patients.
    """
    from medpriv_lib.study.compare import provenance

    kept, rows = folder / "attackers", plan.rows(vgan)
    kept.mkdir(parents=True, exist_ok=True)
    hidden = None if progress else True
    with tqdm(total=patients * EACH, desc="rendering others", disable=hidden) as bar:
        others = render_others(kept, patients, cohort.images.shape[1], advance=bar.update)
    train, test = cohort.of("train"), cohort.of("test")
    releases, prepared, results = (
        Releases(train, {"": test, "true": test}, vgan, plan.seed, 1),
        False,
        [],
    )
    for row in tqdm(rows, desc="attacking by others", disable=hidden):
        path = (
            kept / f"others-{key_of(cohort, row, plan, cards, plan.seeds[0])}-{others.hash()}.json"
        )
        if not path.is_file():
            if row.policy and not prepared:
                releases.prepare(
                    rows,
                    lambda total: tqdm(total=total, desc="decoding", leave=False, disable=hidden),
                )
                prepared = True
            write_json(path, attack_by_others(row, cohort, releases, others, kept, plan))
        results.append(json.loads(path.read_text(encoding="utf-8")))
    content = {
        "provenance": provenance(cohort, test, 1, plan.seed)
        | {
            "weights": cards,
            "attackers": {"seeds": [plan.seeds[0]]},
            "others": {
                "patients": patients,
                "images": len(others),
                "seed": SEED,
                "data_hash": others.hash(),
            },
        },
        "methods": results,
    }
    write_json(folder / FILE, content)
    return content


def attack_by_others(
    row: Method, cohort: Cohort, releases: Releases, others: Cohort, kept: Path, plan: Plan
) -> dict:
    """Return what attackers who learned from `others` find in one draw of a method, as plain JSON
    values.
    """
    began, seed, train = time.perf_counter(), plan.seeds[0], cohort.of("train")
    result: dict = {"experiment": row.experiment, "set": row.set, "note": "", "findings": []}
    try:
        scene = scenes_of(row, cohort, [next(releases.of(row))], plan.seed)[0]
        verifier = taught_by(row, train, others, cohort, kept, seed, plan.budget)
    except ValueError as error:
        return result | {"note": f"empty: {error}", "seconds": 0.0}
    found = linkage_by_others(scene, verifier)
    if scene.contributors.shape[1]:
        found.append(among_others(scene, train, others, verifier, np.random.default_rng(seed)))
    rows = [one.plain() | {"curves": {}} for one in found]
    return result | {"findings": rows, "seconds": round(time.perf_counter() - began, 1)}


def among_others(
    scene: Scene, train: Cohort, others: Cohort, verifier: Verifier, rng: np.random.Generator
) -> Finding:
    """Tell the patients whose images were trained on or averaged from other people, by how near a
    release comes.

    Half of the others are the reference that takes away how ordinary an image is, the other half
    the non-members. The tower of originals has seen none of the cohort's patients; it has seen the
    others, which this cannot undo.
    """
    shown = verifier.original(scene.released).astype(np.float64)
    mine, theirs = (verifier.original(one.images).astype(np.float64) for one in (train, others))
    reference = others.patient % 2 == 0
    inside, outside = (
        nearness(points, shown, theirs[reference]) for points in (mine, theirs[~reference])
    )
    return against_patients(inside, train.patient, outside, others.patient[~reference], rng)
