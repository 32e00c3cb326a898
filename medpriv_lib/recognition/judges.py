"""The judges: one network that names the patient, one that tells the disease, and ten that never
saw the patient.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import f1_interval, mean_interval
from medpriv_lib.recognition.crossfit import FOLDS, PAIRS, CrossFit
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

NAME = "judges"


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
    card: dict[str, Any] = field(default_factory=dict)

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
        with weights.fitting(path):
            size = card["config"]["size"]
            fold = tensors.pop("crossfit.fold", None)
            parts: dict[str, dict[str, Tensor]] = {}
            for key, tensor in tensors.items():
                name, _, rest = key.partition(".")
                parts.setdefault(name, {})[rest] = tensor
            networks = {name: network_of(part, size) for name, part in parts.items()}
            crossfit = None
            if fold is not None:
                ten = tuple(networks[pair_name(pair)] for pair in PAIRS)
                crossfit = CrossFit(ten, fold.numpy())
            return cls(networks.get("identity"), networks["disease"], crossfit, card)

    def _networks(self) -> dict[str, Recogniser]:
        named = {"identity": self.identity, "disease": self.disease}
        if self.crossfit is not None:
            named |= {
                pair_name(pair): network
                for pair, network in zip(PAIRS, self.crossfit.networks, strict=True)
            }
        return {name: network for name, network in named.items() if network is not None}


def report(judges: Judges, cohort: Cohort) -> dict[str, Any]:
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
        # a patient of the next fold, as if a contributor
        other = first[(fold[cohort.patient] + 1) % FOLDS]
        rows["unseen"] = _reading(crossfit.logits(cohort.images, cohort.patient)[0], cohort)
        rows["unseen_single"] = _reading(
            crossfit.logits(cohort.images, cohort.patient, other[:, None])[0], cohort
        )
    return rows


def no_better_than_guessing(metrics: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each judge that `report` found not to read originals better than a
    guess, by the lower end of its interval: what such a judge finds in a release proves nothing.
    """
    found = []
    identity, disease = metrics.get("identity"), metrics.get("disease")
    if identity and identity["accuracy_low"] <= identity["chance"]:
        found.append(
            f"The identity judge names {100 * identity['accuracy']:.0f} % of the test images right "
            f"(guessing: {100 * identity['chance']:.0f} %), so that it finds nobody in a changed "
            "image says nothing."
        )
    if disease and disease["accuracy_low"] <= disease["majority_rate"]:
        found.append(
            f"The recogniser reads {100 * disease['accuracy']:.0f} % of the test images right "
            f"(always the more frequent label: {100 * disease['majority_rate']:.0f} %), so its "
            "readings, and what they rest on, mean little."
        )
    return found


def _reading(output: Tensor, cohort: Cohort) -> dict[str, float | None]:
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


def _accuracy(right: np.ndarray, cohort: Cohort) -> dict[str, float | None]:
    low, high = mean_interval(right, cohort.patient)
    return {"accuracy": float(right.mean()), "accuracy_low": low, "accuracy_high": high}


def network_of(tensors: dict[str, Tensor], size: int) -> Recogniser:
    """Return the recogniser of these weights, for images of `size` pixels, ready to judge.

    Raises `KeyError` and `RuntimeError` where they are not a recogniser's.
    """
    channels = tensors["blocks.0.0.weight"].shape[1]
    network = Recogniser(len(tensors["head.weight"]), size, channels)
    network.load_state_dict(tensors)
    return network.eval()


def pair_name(pair: tuple[int, int]) -> str:
    """Return the name of the judge that never saw the patients of these two folds."""
    return f"crossfit-{pair[0]}{pair[1]}"
