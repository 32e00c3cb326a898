"""The judges: one network that names the patient, one that tells the disease, and ten that never
saw the patient.
"""

import os
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import f1_interval, mean_interval
from medpriv_lib.recognition.crossfit import FOLDS, PAIRS, CrossFit, folds, training_rows
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import DEFAULTS, Progress, Settings, fit_recogniser, logits

NAME = "judges"
PARTS = "judges-in-training"
CROSSFIT = replace(DEFAULTS["disease"], epochs=20)
NO_IDENTITY = "no identity judge: most test patients have no training image (a split by patient)"
NO_CROSSFIT = "no judges of unseen patients: five folds of patients with both labels cannot be made"


@dataclass(frozen=True, eq=False)
class Judges:
    """The networks that judge releases; trained on originals only, evaluated in float32.

    `identity` is None where test patients have no training images (a split by patient), `crossfit`
    where the cohort has too few patients for five folds with both labels; `card` says where the
    weights come from, `card["config"]["notes"]` what is missing and why.
    """

    identity: Recogniser | None
    disease: Recogniser
    crossfit: CrossFit | None
    card: dict = field(default_factory=dict)

    def to(self, device: str | torch.device) -> "Judges":
        """Move all networks to a device, in place, and return the judges."""
        for network in self._networks().values():
            network.to(device)
        return self

    def save(self, folder: str | os.PathLike) -> Path:
        """Write all networks as `judges.safetensors` with its card into a folder; see
        `weights.save`.
        """
        tensors = {
            f"{name}.{key}": value
            for name, network in self._networks().items()
            for key, value in network.state_dict().items()
        }
        if self.crossfit is not None:
            tensors["crossfit.fold"] = torch.from_numpy(self.crossfit.fold)
        return weights.save(Path(folder) / NAME, tensors, self.card)

    @classmethod
    def load(
        cls, folder: str | os.PathLike | None = None, cohort: Cohort | None = None
    ) -> "Judges":
        """Read judges from a folder (None: the shipped ones), onto the CPU and ready to judge.

        With `cohort`, judges of another cohort are refused. Errors as for `weights.load` and
        `weights.require_cohort`.
        """
        path = weights.shipped(NAME) if folder is None else Path(folder) / f"{NAME}.safetensors"
        tensors, card = weights.load(path, kind=NAME)
        if cohort is not None:
            weights.require_cohort(card, cohort)
        size = card["config"]["size"]
        fold = tensors.pop("crossfit.fold", None)
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            name, _, rest = key.partition(".")
            parts.setdefault(name, {})[rest] = tensor
        networks = {name: _network(part, size) for name, part in parts.items()}
        crossfit = None
        if fold is not None:
            crossfit = CrossFit(tuple(networks[_pair_name(pair)] for pair in PAIRS), fold.numpy())
        return cls(networks.get("identity"), networks["disease"], crossfit, card)

    def _networks(self) -> dict[str, Recogniser]:
        named = {"identity": self.identity, "disease": self.disease}
        if self.crossfit is not None:
            named |= {
                _pair_name(pair): network
                for pair, network in zip(PAIRS, self.crossfit.networks, strict=True)
            }
        return {name: network for name, network in named.items() if network is not None}


def fit_judges(
    cohort: Cohort,
    seed: int,
    out: str | os.PathLike,
    *,
    epochs: int | None = None,
    device: str | torch.device | None = None,
    progress: Progress | bool = True,
    command: str = "medpriv_lib.recognition.judges.fit_judges",
) -> Judges:
    """Train all judges of a cohort and write them into the folder `out`; stopped at any point, go
    on from there.

    Finished networks are read from `out/judges-in-training`, an unfinished one goes on from its
    checkpoint; the folder is removed once `judges.safetensors` is written, and a folder that holds
    the finished judges returns them. `epochs` is for the identity network; the disease network has
    two thirds and the ten others a third of it (None: the defaults). Raises `ValueError` where
    `out` holds judges of another cohort, seed or settings.
    """
    out = Path(out)
    settings = _settings(epochs)
    config = {
        "size": int(cohort.images.shape[1]),
        "patients": cohort.patients,
        "settings": {name: asdict(value) for name, value in settings.items()},
    }
    if (out / f"{NAME}.safetensors").is_file():
        judges = Judges.load(out)
        _require_same(judges.card, cohort, seed, config, out / f"{NAME}.safetensors")
        return judges
    train, val = cohort.of("train"), cohort.of("val")
    parts = out / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    curves: dict[str, dict] = {}

    def fit(name: str, train: Cohort, val: Cohort | None, target: str, number: int) -> Recogniser:
        part = config | {"settings": config["settings"][name.partition("-")[0]]}
        network, curves[name] = _fit_part(
            parts / name,
            train,
            val,
            target,
            cohort,
            seed,
            number,
            part,
            settings[name.partition("-")[0]],
            device,
            progress,
            command,
        )
        return network

    identity = fit("identity", train, val, "identity", 0) if _patients_shared(cohort) else None
    disease = fit("disease", train, val, "disease", 1)
    fold = _usable_folds(cohort, seed)
    crossfit = None
    if fold is not None:
        crossfit = CrossFit(
            tuple(
                fit(
                    _pair_name(pair),
                    cohort.take(training_rows(cohort, fold, pair)),
                    None,
                    "disease",
                    2 + number,
                )
                for number, pair in enumerate(PAIRS)
            ),
            fold,
        )
    notes = [
        note
        for note, absent in ((NO_IDENTITY, identity is None), (NO_CROSSFIT, crossfit is None))
        if absent
    ]
    card = {
        "kind": NAME,
        "data_hash": cohort.hash(),
        "config": config | {"notes": notes},
        "seed": seed,
        "command": command,
        "curve": curves,
        "metrics": {},
    }
    judges = Judges(identity, disease, crossfit, card)
    card["metrics"] = report(judges, cohort.of("test")) if (cohort.split == "test").any() else {}
    judges.to("cpu").save(out)
    shutil.rmtree(parts)
    return judges


def report(judges: Judges, cohort: Cohort) -> dict:
    """Return how well the judges read the originals of a cohort (give it the test images).

    `identity` holds `accuracy` and `chance`; `disease` and `unseen` (by judges that never saw the
    patient) hold `accuracy`, `f1` of the diseased and `majority_rate`; `unseen_single` is `unseen`
    with one judge per image in place of the mean of four. All lie in 0..1, with 95 % intervals over
    patients (`accuracy_low`, …); `n` images, `patients` among them. An absent judge, or a figure
    that does not exist, is None.
    """
    right = None
    if judges.identity is not None:
        right = logits(judges.identity, cohort.images).argmax(1).numpy() == cohort.patient
    rows = {
        "n": len(cohort),
        "patients": len(np.unique(cohort.patient)),
        "identity": None
        if right is None
        else _accuracy(right, cohort) | {"chance": 1 / cohort.patients},
        "disease": _reading(logits(judges.disease, cohort.images), cohort),
        "unseen": None,
        "unseen_single": None,
    }
    if judges.crossfit is not None:
        crossfit, fold = judges.crossfit, judges.crossfit.fold
        first = np.array([np.flatnonzero(fold == number)[0] for number in range(FOLDS)])
        other = first[
            (fold[cohort.patient] + 1) % FOLDS
        ]  # a patient of the next fold, as if a contributor
        rows["unseen"] = _reading(crossfit.logits(cohort.images, cohort.patient)[0], cohort)
        rows["unseen_single"] = _reading(
            crossfit.logits(cohort.images, cohort.patient, other[:, None])[0], cohort
        )
    return rows


def _reading(output: Tensor, cohort: Cohort) -> dict[str, float]:
    predicted, actual = output.argmax(1).numpy().astype(bool), cohort.diseased
    total = int(predicted.sum() + actual.sum())
    low, high = (
        None if np.isnan(end) else end for end in f1_interval(predicted, actual, cohort.patient)
    )
    return _accuracy(predicted == actual, cohort) | {
        "f1": 2 * float((predicted & actual).sum()) / total if total else None,
        "f1_low": low,
        "f1_high": high,
        "majority_rate": float(max(actual.mean(), 1 - actual.mean())),
    }


def _accuracy(right: np.ndarray, cohort: Cohort) -> dict[str, float]:
    low, high = mean_interval(right, cohort.patient)
    return {"accuracy": float(right.mean()), "accuracy_low": low, "accuracy_high": high}


def _fit_part(
    path: Path,
    train: Cohort,
    val: Cohort | None,
    target: str,
    cohort: Cohort,
    seed: int,
    number: int,
    config: dict,
    settings: Settings,
    device,
    progress: Progress | bool,
    command: str,
) -> tuple[Recogniser, dict]:
    """Return one network and its curve: read where it is finished, else trained and written."""
    file = path.with_name(path.name + ".safetensors")
    if file.is_file():
        tensors, card = weights.load(file, kind=path.name)
        _require_same(card, cohort, seed, config, file)
        return _network(tensors, config["size"]), card["curve"]
    own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    checkpoint = path.with_name(path.name + "-checkpoint")
    network, curve = fit_recogniser(
        train,
        val,
        target,
        seed=own_seed,
        device=device,
        progress=progress,
        settings=settings,
        resume=checkpoint,
    )
    weights.save(
        file,
        network.state_dict(),
        {
            "kind": path.name,
            "data_hash": cohort.hash(),
            "config": config,
            "seed": seed,
            "command": command,
            "metrics": {},
            "curve": curve,
        },
    )
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


def _require_same(card: dict, cohort: Cohort, seed: int, config: dict, path: Path) -> None:
    weights.require_cohort(card, cohort)
    had = {key: card["config"].get(key) for key in config}
    if card["seed"] != seed or had != config:
        raise ValueError(
            f"{path}: holds judges of seed {card['seed']} or of other settings; choose another folder, "
            "or remove it to train again"
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
    except ValueError:
        return None
    both = all(
        len(np.unique(cohort.diseased[training_rows(cohort, fold, pair)])) == 2 for pair in PAIRS
    )
    return fold if both else None


def _network(tensors: dict[str, Tensor], size: int) -> Recogniser:
    network = Recogniser(len(tensors["head.weight"]), size)
    network.load_state_dict(tensors)
    return network.eval()


def _pair_name(pair: tuple[int, int]) -> str:
    return f"crossfit-{pair[0]}{pair[1]}"
