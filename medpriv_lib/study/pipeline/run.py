"""Run the cells of the map that are not in `pipeline.json` yet, and save after each."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.extra import ENCRYPTED, PRIVATE
from medpriv_lib.core.files import write_json
from medpriv_lib.core.provenance import versions
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.pipeline.deep_radiomics import SLOTS, Outcome, Prepared, acquire
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.study.pipeline.attacked import Court
from medpriv_lib.study.pipeline.cells import STAGES, Cell, cells, reason
from medpriv_lib.study.pipeline.claims import claims

NAME, COHORT, SEED, VERSION = "pipeline.json", "crossed", 0, 1
Say = Callable[[str], None]
JOINED: dict[str, Callable] = {"error": max, "epsilon": max, "images": sum, "flips": sum}


def measure(
    folder: Path,
    say: Say,
    only: Sequence[Cell] | None = None,
    *,
    cohort: Cohort | None = None,
    described: Callable[[Cohort, str], Prepared] = acquire,
) -> dict:
    """Measure what is not in `folder/pipeline.json` yet, save after each cell, and return all.

    `cohort` None is the crossed one; `described` makes vectors of its images. A file of another
    cohort or version is begun anew. Raises `ImportError` where the extras for encryption and for
    counting epsilon are not installed.
    """
    ENCRYPTED.need("tenseal")
    PRIVATE.need("dp_accounting")
    cohort = packaged_cohort(COHORT) if cohort is None else cohort
    path = folder / NAME
    content: dict[str, Any] = {"provenance": provenance(cohort.hash()), "cells": {}}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        keys = ("data_hash", "version")
        if all(found["provenance"][key] == content["provenance"][key] for key in keys):
            content = found
    wanted = cells() if only is None else only
    identity: Recogniser | None = None
    ready: dict[str, Prepared] = {}
    for cell in wanted:
        if cell.key in content["cells"]:
            continue
        if cell.features not in ready:
            say(f"describing the images: {cell.features}")
            ready[cell.features] = described(cohort, cell.features)
        prepared = ready[cell.features]
        if cell.stage == "explain" and identity is None:
            from medpriv_lib.core import weights

            identity = load_weights(weights.FOLDER / COHORT, cohort, "cpu")[0].identity
        outcome = cell.run.run(prepared, SEED, cell.parts)
        content["cells"][cell.key] = row(cell, outcome, Court(prepared, identity))
        write_json(path, finished(content))
        value, low, high = content["cells"][cell.key]["auc"]
        say(f"{cell.key}: AUC {value:.3f} [{low:.3f}, {high:.3f}]")
    write_json(path, finished(content))
    return content


def row(cell: Cell, outcome: Outcome, court: Court) -> dict[str, Any]:
    """Return what the file says of a cell."""
    attacks = [one.as_dict() for one in court.attack(outcome.seen[cell.stage])]
    auc = outcome.case_auc if cell.stage == "explain" and outcome.case_auc else outcome.auc
    return {
        "stage": cell.stage,
        "name": cell.name,
        "features": cell.features,
        "epsilon": cell.run.epsilon if "epsilon" in _merged(outcome, cell.stage) else None,
        "auc": [round(float(value), 4) for value in auc],
        "images": outcome.images,
        "patients": outcome.patients,
        "trainings": cell.parts,
        "cpu_seconds": round(outcome.seconds[cell.stage] / cell.parts, 4),
        "bytes": round(outcome.sent[cell.stage] / cell.parts),
        "notes": _merged(outcome, cell.stage),
        "attacks": attacks,
    } | words(cell.stage, cell.name)


def words(stage: str, name: str) -> dict[str, str]:
    """Return what the file says of a technology that is no measurement."""
    technology = SLOTS[stage][name]
    promise = technology.promise
    return {
        "technology": technology.title,
        "hides": promise.hides,
        "whom": promise.whom,
        "trusts": promise.trusts,
        "not_against": promise.not_against,
        "chapter": technology.chapter,
    }


def _merged(outcome: Outcome, stage: str) -> dict[str, float]:
    """Return each note's mean over the trainings, the largest error, the sums of counts."""
    notes = outcome.notes[stage]
    names = sorted({name for part in notes for name in part})
    found = {}
    for name in names:
        values = [float(part[name]) for part in notes if name in part]
        found[name] = float(f"{JOINED.get(name, np.mean)(values):.4g}")
    return found


def finished(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with what follows from the cells: what is said of their technologies,
    reasons for empty places, what is still to be measured, and claims.
    """
    for cell in content["cells"].values():
        cell |= words(cell["stage"], cell["name"])
    content.pop("collect", None)
    content["stages"] = STAGES
    content["empty"] = {
        f"{stage}/{made_for}": reason(made_for, stage)
        for made_for in STAGES
        for stage in STAGES
        if stage != made_for
    }
    content["to_do"] = [cell.key for cell in cells() if cell.key not in content["cells"]]
    content["claims"] = claims(content["cells"])
    return content


def provenance(data_hash: str) -> dict[str, Any]:
    """Return which images, versions and machine the numbers belong to."""
    packages = ("cryptography", "tenseal", "opacus", "dp-accounting")
    return {
        "version": VERSION,
        "cohort": COHORT,
        "data_hash": data_hash,
        "seed": SEED,
        "versions": versions(*packages),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": "medpriv study --pipeline --out chapters/results",
    }
