"""Train all judges of a cohort: which network learns from whom, and what a stop leaves to go on
from.
"""

import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import size_of
from medpriv_lib.recognition.crossfit import PAIRS, CrossFit, folds, training_rows
from medpriv_lib.recognition.judges import NAME, Judges, network_of, pair_name, report
from medpriv_lib.recognition.learner import DEFAULTS, Settings, Target
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import Progress, fit_recogniser

PARTS = "judges-in-training"
OBSERVERS = 100  # their random numbers begin behind those of all judges
CROSSFIT = replace(DEFAULTS["disease"], epochs=20)
NO_IDENTITY = "no identity judge: most test patients have no training image (a split by patient)"
NO_CROSSFIT = "no judges of unseen patients: five folds of patients with both labels cannot be made"


@dataclass(frozen=True, eq=False)
class Part:
    """One network of the judges, and what it learns from.

    `train` and `val` are all the images that it sees (`val` None: all epochs run); `number` tells
    its random numbers apart from those of the other parts.
    """

    name: str
    target: Target
    train: Cohort
    val: Cohort | None
    number: int
    settings: Settings


def parts_of(
    cohort: Cohort, seed: int, epochs: int | None = None
) -> tuple[list[Part], np.ndarray | None]:
    """Return the networks that can be trained on a cohort, and each patient's fold, int64 (P,), or
    None.

    The identity judge is left out where most test patients have no training image, the ten judges
    of unseen patients where five folds with both labels cannot be made. `epochs` as of
    `fit_judges`.
    """
    settings, fold = _settings(epochs), _usable_folds(cohort, seed)
    train, val = cohort.of("train"), cohort.of("val")
    parts = [Part("disease", "disease", train, val, 1, settings["disease"])]
    if _patients_shared(cohort):
        parts.insert(0, Part("identity", "identity", train, val, 0, settings["identity"]))
    for number, pair in enumerate(PAIRS if fold is not None else ()):
        assert fold is not None
        seen = cohort.take(training_rows(cohort, fold, pair))
        parts.append(Part(pair_name(pair), "disease", seen, None, 2 + number, settings["crossfit"]))
    return parts, fold


def fit_judges(
    cohort: Cohort,
    seed: int,
    out: str | os.PathLike,
    *,
    epochs: int | None = None,
    device: str | torch.device | None = None,
    progress: Progress | bool = True,
    command: str = "medpriv_lib.recognition.fitting.fit_judges",
) -> Judges:
    """Train all judges of a cohort and write them into the folder `out`; stopped at any point, go
    on from there.

    Finished networks are read from `out/judges-in-training`, an unfinished one goes on from its
    checkpoint; the folder is removed once `judges.safetensors` is written, and a folder that holds
    the finished judges returns them. `epochs` is for the identity network; the disease network has
    two thirds and the ten others a third of it (None: the defaults). `command` is written into the
    card. Raises `ValueError` where `out` holds judges of another cohort, seed or settings.
    """
    out = Path(out)
    config = {
        "size": size_of(cohort.images),
        "patients": cohort.patients,
        "settings": {name: asdict(value) for name, value in _settings(epochs).items()},
    }
    if (out / f"{NAME}.safetensors").is_file():
        judges = Judges.load(out)
        _require_same(judges.card, cohort, seed, config, out / f"{NAME}.safetensors")
        return judges
    parts, fold = parts_of(cohort, seed, epochs)
    folder = out / PARTS
    folder.mkdir(parents=True, exist_ok=True)
    base: dict[str, Any] = {"data_hash": cohort.hash(), "seed": seed, "command": command}
    networks: dict[str, Recogniser] = {}
    curves: dict[str, dict[str, Any]] = {}
    for part in parts:
        part_config = config | {"settings": asdict(part.settings)}
        card = base | {"kind": part.name, "config": part_config, "metrics": {}}
        made = _finished(folder / f"{part.name}.safetensors", cohort, card)
        if made is None:
            made = _fit_part(part, folder, card, device, progress)
        networks[part.name], curves[part.name] = made
    crossfit = None
    if fold is not None:
        crossfit = CrossFit(tuple(networks[pair_name(pair)] for pair in PAIRS), fold)
    notes = [NO_IDENTITY] if "identity" not in networks else []
    notes += [NO_CROSSFIT] if crossfit is None else []
    card = base | {
        "kind": NAME,
        "config": config | {"notes": notes},
        "curve": curves,
        "metrics": {},
        "private": weights.PRIVATE,
    }
    judges = Judges(networks.get("identity"), networks["disease"], crossfit, card)
    card["metrics"] = report(judges, cohort.of("test")) if (cohort.split == "test").any() else {}
    judges.to("cpu").save(out)
    shutil.rmtree(folder)
    return judges


def fit_observers(
    cohort: Cohort,
    seed: int,
    folder: str | os.PathLike,
    *,
    epochs: int | None = None,
    device: str | torch.device | None = None,
    progress: Progress | bool = True,
) -> tuple[Recogniser, Recogniser]:
    """Train two recognisers, of the patient and of the disease, who watch the training of another
    network and fill no table: made as the judges are, from other random numbers.

    Arguments as of `fit_judges`; `folder` keeps what a stopped training goes on from. Raises
    `ValueError` as `fit_recogniser` does.
    """
    settings, folder = _settings(epochs), Path(folder)
    train, val = cohort.of("train"), cohort.of("val")
    targets: tuple[Target, Target] = ("identity", "disease")
    networks = [
        fit_recogniser(
            train,
            val,
            target,
            seed=int(np.random.SeedSequence([seed, OBSERVERS + number]).generate_state(1)[0]),
            device=device,
            progress=progress,
            settings=settings[target],
            resume=folder / f"observer-{target}",
        )[0]
        for number, target in enumerate(targets)
    ]
    return networks[0], networks[1]


def _finished(
    file: Path, cohort: Cohort, card: dict[str, Any]
) -> tuple[Recogniser, dict[str, Any]] | None:
    """Return the network and the curve of a part that was finished before, else None."""
    if not file.is_file():
        return None
    tensors, had = weights.load(file, kind=card["kind"])
    _require_same(had, cohort, card["seed"], card["config"], file)
    with weights.fitting(file):
        return network_of(tensors, card["config"]["size"]), had["curve"]


def _fit_part(
    part: Part,
    folder: Path,
    card: dict[str, Any],
    device: str | torch.device | None,
    progress: Progress | bool,
) -> tuple[Recogniser, dict[str, Any]]:
    """Train one network, write it and return it with its curve."""
    checkpoint = folder / f"{part.name}-checkpoint"
    network, curve = fit_recogniser(
        part.train,
        part.val,
        part.target,
        seed=int(np.random.SeedSequence([card["seed"], part.number]).generate_state(1)[0]),
        device=device,
        progress=progress,
        settings=part.settings,
        resume=checkpoint,
    )
    # how long it took is no part of what was made: two equal trainings give equal files
    curve = {key: value for key, value in curve.items() if key != "seconds"}
    weights.save(folder / part.name, network.state_dict(), card | {"curve": curve})
    shutil.rmtree(checkpoint)
    return network, curve


def _settings(epochs: int | None) -> dict[str, Settings]:
    settings = {
        "identity": DEFAULTS["identity"],
        "disease": DEFAULTS["disease"],
        "crossfit": CROSSFIT,
    }
    if epochs is None:
        return settings
    if epochs < 1:
        raise ValueError(f"recognisers need at least one epoch, not {epochs}")
    shares = {"identity": 1.0, "disease": 2 / 3, "crossfit": 1 / 3}
    return {
        name: replace(value, epochs=max(1, round(shares[name] * epochs)))
        for name, value in settings.items()
    }


def _require_same(
    card: dict[str, Any], cohort: Cohort, seed: int, config: dict[str, Any], path: Path
) -> None:
    weights.require_cohort(card, cohort)
    had = {key: card["config"].get(key) for key in config}
    if card["seed"] != seed or had != config:
        raise ValueError(
            f"{path}: holds judges of seed {card['seed']} or of other settings; choose another "
            "folder, or remove it to train again"
        )


def _patients_shared(cohort: Cohort) -> bool:
    """Say whether most test images (without any: validation images) are of patients with a training
    image.
    """
    held_out = cohort.patient[cohort.split == ("test" if (cohort.split == "test").any() else "val")]
    return bool(np.isin(held_out, cohort.patient[cohort.split == "train"]).mean() > 0.5)


def _usable_folds(cohort: Cohort, seed: int) -> np.ndarray | None:
    """Return the folds of patients, or None where one of the ten judges would not see both
    labels.
    """
    try:
        fold = folds(cohort, seed=seed)
    except NotApplicable:
        return None
    both = all(
        len(np.unique(cohort.diseased[training_rows(cohort, fold, pair)])) == 2 for pair in PAIRS
    )
    return fold if both else None
