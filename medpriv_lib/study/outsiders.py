"""Others: an attacker who learns from patients of another hospital, none of them in the cohort.

The open-set attackers of the study learn from one half of the cohort's patients and are tried on
the other half. Here they learn from another synthetic set of invented patients (`rendered.py`),
to whom they do what was done to the released images, and are tried on all patients of the cohort.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from medpriv_lib.attacks.attackers import Attackers, Verifier
from medpriv_lib.attacks.budget import FULL, Budget
from medpriv_lib.attacks.finding import Finding, knowledge_of, missing
from medpriv_lib.attacks.linkage import linkage_by_others
from medpriv_lib.attacks.membership import against_patients, nearness
from medpriv_lib.attacks.scene import ALL, Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.provenance import provenance
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.study.attacks import Told, nobody
from medpriv_lib.study.decoded import networks_of
from medpriv_lib.study.plan import Plan, file_name
from medpriv_lib.study.rendered import EACH, PATIENTS, SEED, render_others
from medpriv_lib.study.row_scenes import scenes_of
from medpriv_lib.study.rows import Method, Releases

FILE, MEMBERS = "attacks-others.json", "membership of patients"


def verifier_from(
    row: Method,
    resources: Resources,
    others: Cohort,
    cohort: Cohort,
    kept: Path,
    seed: int,
    budget: Budget = FULL,
) -> Verifier:
    """Return the verifier that learned from `others`, with the originals of `cohort` as its bank.

    The attacker runs the method of `row` on the others, as it was run for the released images. One
    image of the others is left out of the training of the first tower. Raises `NotApplicable` where
    the method cannot be run on patients that it does not know.
    """
    release = row.release(resources, others, seeded(seed, "others", row.experiment, row.set))
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
    attackers = Attackers(others, kept, seed, budget=budget)
    verifier = attackers.verifier(scene, f"others-{file_name(row)}", ALL)
    return Verifier(verifier.original(cohort.images), verifier.original, verifier.released)


def run_others(
    cohort: Cohort,
    vgan: PPRLVGAN,
    folder: Path,
    plan: Plan,
    cards: Mapping[str, str],
    others: int | Cohort = PATIENTS,
    progress: bool = True,
    told: Told = nobody,
    weights: Path | None = None,
) -> dict:
    """Attack one draw of every row by attackers who learned from others; write
    `attacks-others.json`.

    `others` is their cohort, all of it "train", or how many patients are rendered for it. Rendered
    images, networks and finished rows are kept in `folder`/attackers, so that a killed run goes on;
    `told(row, seed)` is called before a row is attacked. Methods that cannot be run on strangers,
    such as averages that need the own identity's code, are rows with a note. The membership of the
    cohort's patients is asked against the others wherever a method was trained on patients.
    """
    kept, rows, seed = (
        folder / "attackers",
        plan.rows(visits=cohort.visit is not None),
        plan.seeds[0],
    )
    kept.mkdir(parents=True, exist_ok=True)
    hidden = None if progress else True
    if not isinstance(others, Cohort):
        with tqdm(total=others * EACH, desc="rendering others", disable=hidden) as bar:
            others = render_others(kept, others, cohort.images.shape[1], advance=bar.update)
    test = cohort.of("test")
    resources = Resources(cohort, weights, networks_of(vgan))
    fresh = cohort.visit is not None
    releases = Releases(resources, {"": test, "true": test}, plan.seed, 1, fresh=fresh)
    prepared, results = False, []
    for row in tqdm(rows, desc="attacking by others", disable=hidden):
        path = kept / f"others-{plan.key(cohort, row, cards, seed)}-{others.hash()}.json"
        if not path.is_file():
            told(row, seed)
            if not prepared and releases.serves(row):
                releases.prepare(
                    rows,
                    lambda total: tqdm(total=total, desc="decoding", leave=False, disable=hidden),
                )
                prepared = True
            write_json(path, attack_by_others(row, cohort, releases, others, kept, plan))
        results.append(json.loads(path.read_text(encoding="utf-8")))
    content = {
        "provenance": provenance(cohort, test, {"draws": 1, "seed": plan.seed})
        | {
            "weights": cards,
            "attackers": {"seeds": [seed]},
            "others": {
                "patients": others.patients,
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
    resources = releases.resources
    try:
        scene = scenes_of(row, cohort, resources, [next(releases.of(row))], plan.seed)[0]
        verifier = verifier_from(row, resources, others, cohort, kept, seed, plan.budget)
    except NotApplicable as error:
        return result | {"note": f"empty: {error}", "seconds": 0.0}
    found = linkage_by_others(scene, verifier)
    if scene.contributors.shape[1]:
        try:
            rng = np.random.default_rng(seed)
            found.append(among_others(scene, train, others, verifier, rng))
        except NotApplicable as error:
            knowledge = knowledge_of(against_patients)
            found.append(missing(MEMBERS, knowledge, "membership", "member", error))
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
