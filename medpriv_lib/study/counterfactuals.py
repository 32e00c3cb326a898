"""Counterfactuals of both packaged cohorts, measured against the renderer's twins.

`python -m medpriv_lib.study.counterfactuals --out FOLDER` writes `counterfactuals.json` there, and
goes on from the file where it was stopped.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64

from medpriv_lib.core import weights as store
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.provenance import versions
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import KINDS, Kind, packaged_cohort
from medpriv_lib.explanation.counterfactual import (
    ERRORS,
    SHARES,
    Counterfactuals,
    Direction,
    Ill,
    counterfactuals,
    with_signs,
)
from medpriv_lib.explanation.edits import (
    Edit,
    Wanted,
    beyond_reconstruction,
    by_another,
    by_gradient,
    by_inpainting,
    by_medical_vector,
    by_signs,
    reconstructed,
    unchanged,
)
from medpriv_lib.privatizers.disentangled.model import Model
from medpriv_lib.privatizers.sign_transfer.sign_transfer import SignTransfer
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.views import eye_numbers
from medpriv_lib.study.command import into_folder

NAME = "counterfactuals.json"
MODULE = "medpriv_lib.study.counterfactuals"
DIRECTIONS: tuple[Direction, ...] = ("removal", "addition")
DRAWS = 3  # of an edit that takes a random donor
SEED = 0


class Way(NamedTuple):
    """An edit, and whether it draws: then `DRAWS` draws are measured."""

    edit: Edit
    random: bool = False


@dataclass(frozen=True, eq=False)
class Asked:
    """A cohort with the judges that are asked about it, and what edits its images."""

    cohort: Cohort
    judges: Judges
    eye_judge: EyeJudge
    expert: Expert
    reader: SignTransfer
    model: Model

    @classmethod
    def of(cls, kind: Kind) -> "Asked":
        """Load what ships for a cohort."""
        cohort, folder = packaged_cohort(kind), store.FOLDER / kind
        return cls(
            cohort,
            Judges.load(folder, cohort),
            EyeJudge.load(folder / "eye-judge", cohort),
            Expert.load(),
            SignTransfer.load(store.shipped(SignTransfer.name)),
            Model.load(folder / "disentangled-closed.safetensors"),
        )

    @cached_property
    def test(self) -> Cohort:
        """The images that are edited."""
        return self.cohort.of("test")

    def ways(self) -> dict[str, Way]:
        """Return the edits by name: controls first."""
        train, read, model = self.cohort.of("train"), self.reader.read, self.model
        mean, gain = by_medical_vector(model), self.reader.calibration
        return {
            "unchanged": Way(unchanged),
            "another person of the wanted label": Way(by_another(train), True),
            "adversarial": Way(by_gradient(self.judges.disease)),
            "reconstructed": Way(reconstructed(model)),
            "signs painted over": Way(by_inpainting(read)),
            "signs": Way(by_signs(read, train, gain), True),
            "medical vector, mean": Way(mean),
            "medical vector, donor": Way(by_medical_vector(model, train), True),
            "medical vector, mean, beyond the reconstruction": Way(
                beyond_reconstruction(model, mean)
            ),
        }

    @cached_property
    def readers(self) -> dict[str, Ill]:
        """Who is to be flipped: the recogniser of the cohort ("frozen"), and judges that never saw
        the patient ("unseen"); they take the images in the order of `with_signs`, once each.
        """
        patient, crossfit = self.test.patient[with_signs(self.test)], self.judges.crossfit

        def frozen(images: Images) -> Bool[np.ndarray, " n"]:
            return logits(self.judges.disease, images).numpy().argmax(1) > 0

        def unseen(images: Images) -> Bool[np.ndarray, " n"]:
            assert crossfit is not None
            return crossfit.logits(images, patient)[0].numpy().argmax(1) > 0

        return {"frozen": remembered(frozen)} | (
            {} if crossfit is None else {"unseen": remembered(unseen)}
        )

    def same_eye(self, images: Images) -> Int64[np.ndarray, " n"]:
        """Return the patient where the eye judge names the very eye, else -1; images in the order
        of `with_signs`.
        """
        rows = with_signs(self.test)
        right = self.eye_judge.named(images)[:, -1] == eye_numbers(self.test)[rows]
        return np.where(right, self.test.patient[rows], -1)


def remembered(ill: Ill) -> Ill:
    """Return a reader that is asked about the same images once."""
    known: dict[bytes, Bool[np.ndarray, " n"]] = {}

    def asked(images: Images) -> Bool[np.ndarray, " n"]:
        key = images.tobytes()
        if key not in known:
            known[key] = ill(images)
        return known[key]

    return asked


def measure(
    folder: Path, say: Callable[[str], None], asked_of: Callable[[Kind], Asked] = Asked.of
) -> dict[str, Any]:
    """Measure what is not in `folder/counterfactuals.json` yet, save after each row, return all.

    `asked_of` gives for a kind of cohort what is asked. A file of other images, weights or draws is
    begun anew.
    """
    path, told = folder / NAME, provenance()
    content: dict[str, Any] = {"provenance": told, "rows": []}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        same = ("data_hash", "weights", "draws", "seed")
        if all(found["provenance"].get(key) == told[key] for key in same):
            content = found
    done = {key_of(row) for row in content["rows"]}
    for kind in KINDS:
        for row in rows_of(kind, asked_of(kind), done):
            content["rows"].append(row)
            write_json(path, content)
            say(", ".join(key_of(row)))
    return content


def key_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what tells a row from others."""
    return tuple(row[key] for key in ("cohort", "way", "direction", "reader"))


def rows_of(kind: str, asked: Asked, done: set[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a cohort that are not done; all readers are asked about the same images."""
    for name, way in asked.ways().items():
        for direction in DIRECTIONS:
            readers = {
                reader: ill
                for reader, ill in asked.readers.items()
                if (kind, name, direction, reader) not in done
            }
            found: dict[str, list[Counterfactuals]] = {reader: [] for reader in readers}
            for draw in range((DRAWS if way.random else 1) * bool(readers)):
                generator = seeded(SEED, "counterfactual", kind, name, direction, draw)
                edit = once(way.edit)
                for reader, ill in readers.items():
                    try:
                        one = counterfactuals(
                            *(asked.test, edit, asked.expert.ill, ill, direction, generator),
                            asked.same_eye,
                        )
                    except NotApplicable:
                        break  # this edit knows no such direction
                    found[reader].append(one)
            for reader, draws in found.items():
                told = {"cohort": kind, "way": name, "direction": direction, "reader": reader}
                if draws:
                    yield told | summary(draws)


def once(edit: Edit) -> Edit:
    """Return the edit as it comes out the first time, for whoever asks about the same images."""
    made: list[Images] = []

    def same(images: Images, wanted: Wanted, generator: torch.Generator) -> Images:
        if not made:
            made.append(edit(images, wanted, generator))
        return made[0]

    return same


def summary(draws: list[Counterfactuals]) -> dict[str, Any]:
    """Return the figures of a row: each the mean of the draws, `low` and `high` the 95 % ends over
    patients of the first draw, `least` and `most` over the draws; None where a share is of nothing.
    """
    first = draws[0]
    row: dict[str, Any] = {
        "draws": len(draws),
        "images": len(first.row),
        "patients": len(np.unique(first.patient)),
        "expert_could": int(first.expert_could.sum()),
        "recogniser_could": int(first.recogniser_could.sum()),
        "both": int(np.median([(d.recogniser_flipped & d.expert_could).sum() for d in draws])),
    }
    for key in (*SHARES, *ERRORS):
        values = [(one.shares | one.errors)[key] for one in draws]
        low, high = first.intervals[key]
        told: dict[str, float] = {"mean": float(np.mean(values)), "low": low, "high": high}
        told |= {"least": float(np.min(values)), "most": float(np.max(values))}
        row[key] = {k: None if np.isnan(v) else round(float(v), 4) for k, v in told.items()}
    return row


def provenance() -> dict[str, Any]:
    """Return which images, weights and versions the figures belong to."""
    names = [f"{kind}/{name}" for kind in KINDS for name in ("judges", "eye-judge")]
    names += [f"{kind}/disentangled-closed" for kind in KINDS] + ["expert", SignTransfer.name]
    return {
        "command": f"python -m {MODULE}",
        "data_hash": {kind: packaged_cohort(kind).hash() for kind in KINDS},
        "weights": {name: store.read_card(store.FOLDER / name)["sha256"] for name in names},
        "draws": DRAWS,
        "seed": SEED,
        "versions": versions(),
    }


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    into_folder(MODULE, measure)
