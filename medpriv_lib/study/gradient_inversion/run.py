"""The study from targets to results, one target after the other."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.attacks.gradient_inversion.basis import Basis
from medpriv_lib.attacks.gradient_inversion.invert import Search
from medpriv_lib.attacks.gradient_inversion.objective import Distance, Terms
from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.pixels import size_of, to_tensor, to_uint8
from medpriv_lib.core.provenance import provenance
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.privatizers.strangers import Strangers
from medpriv_lib.recognition.eye_judge import NAME as EYE_JUDGE
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.views import eye_numbers
from medpriv_lib.study.gradient_inversion import rows as plan
from medpriv_lib.study.gradient_inversion.attacked import Court, attacked, likeness
from medpriv_lib.study.gradient_inversion.networks import (
    auc_of,
    network_of,
    trained,
    with_statistics,
)
from medpriv_lib.study.gradient_inversion.noise import multiplier
from medpriv_lib.study.gradient_inversion.rows import ROWS, Row

FILE = "gradient-inversion.json"
COHORT = "confounded"
PUBLIC = 64  # invented eyes of nobody in the cohort
PICTURES = 4  # reconstructions of a row that are kept to be looked at
RANKINGS = ("eye", "patient", "photograph")
# (distance, signed, rate, roughness) tried on validation targets
Tried = tuple[tuple[Distance, bool, float, float], ...]
SETTINGS: Tried = (
    ("cosine", True, 0.05, 0.03),
    ("cosine", False, 0.02, 0.03),
    ("cosine", False, 0.02, 0.1),
    ("layers", False, 0.02, 0.03),
    ("layers", False, 0.04, 0.1),
)

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Study:
    """What all rows share. `cohort` are the training images, rows numbered within them; `without`
    the patients who are neither targets nor for validation; `settings` of the search are tried on
    validation targets, and `noise` says how much of it the budget needs. `each`: one target of each
    patient or of each eye. `basis` as of `invert`.
    """

    whole: Cohort
    court: Court
    public: Float[Tensor, "m 1 h w"]
    seed: int = plan.SEED
    steps: int = plan.STEPS
    without: tuple[int, ...] = ()
    settings: Tried = SETTINGS
    noise: Callable[[float, float, int, float], float] = multiplier
    each: Literal["patient", "eye"] = "patient"
    basis: Basis | None = None

    @property
    def cohort(self) -> Cohort:
        """The training images: the sites' and the attacker's photographs."""
        return self.court.known

    @cached_property
    def order(self) -> Int64[np.ndarray, " p"]:
        """One image of each patient, in random order: targets from the front, validation from the
        back. With `each` eye, the second eyes come after the first ones, in the same order.
        """
        generator = np.random.default_rng(self.seed)
        shuffled = generator.permutation(len(self.cohort))
        whose = self.cohort.patient if self.each == "patient" else eye_numbers(self.cohort)
        _, first = np.unique(whose[shuffled], return_index=True)
        ordered = generator.permutation(shuffled[first])
        ordered = ordered[~np.isin(self.cohort.patient[ordered], self.without)]
        patients = self.cohort.patient[ordered]
        _, first, number = np.unique(patients, return_index=True, return_inverse=True)
        comes = first[number]  # where the patient's first image stands
        return ordered[np.lexsort((comes, comes != np.arange(len(ordered))))]

    @cached_property
    def learnt(self) -> Recogniser:
        """The average-pooling network after its training on the cohort."""
        return trained(self.fresh("average"), self.cohort, self.seed)

    def fresh(self, make: plan.Make) -> Recogniser:
        """Return the network before its training."""
        return network_of(make, size_of(self.cohort.images), self.seed)

    def networks(self, row: Row) -> tuple[Recogniser, Recogniser]:
        """Return the site's network and the attacker's."""
        if row.make != "batch norm":
            own = self.learnt if row.trained else self.fresh(row.make)
            return own, own
        own = with_statistics(self.fresh(row.make), to_tensor(self.cohort.images))
        theirs = {
            "the site's": own,
            "public eyes'": with_statistics(own, self.public),
            "none": self.fresh(row.make),
        }
        return own, theirs[row.statistics]


def run(folder: Path, say: Say, study: Study | None = None, rows: tuple[Row, ...] = ROWS) -> dict:
    """Attack what is not in the file yet, save after each update, and return all.

    A file of other images, weights or settings is begun anew.
    """
    study = study or shipped()
    path = folder / FILE
    content: dict[str, Any] = {"provenance": described(study)}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["provenance"] == content["provenance"]:
            content = found

    def save() -> None:
        write_json(path, content)

    if "noise" not in content:
        content["noise"] = study.noise(plan.EPSILON, plan.DELTA, plan.ROUNDS, plan.DRAWN)
        save()
    chosen = choose(study, content, save, say)
    attack_rows(study, rows, chosen, content, save, say)
    return content


def shipped() -> Study:
    """Return the study on the cohort that ships, by the judges that ship for it."""
    cohort, folder = packaged_cohort(COHORT), weights.FOLDER / COHORT
    identity = Judges.load(folder, cohort).identity
    if identity is None:
        raise ValueError(f"{folder}: these judges name nobody; install medpriv again")
    court = Court(EyeJudge.load(folder / EYE_JUDGE, cohort), identity, cohort.of("train"))
    strangers = Strangers.load(weights.FOLDER / "strangers.npz")
    return Study(cohort, court, to_tensor(strangers.images[: 2 * PUBLIC : 2]))


def described(study: Study) -> dict[str, Any]:
    """Return what the numbers belong to."""
    config = {
        "seed": study.seed,
        "steps": study.steps,
        "public": len(study.public),
        "budget": {
            "epsilon": plan.EPSILON,
            "delta": plan.DELTA,
            "rounds": plan.ROUNDS,
            "drawn": plan.DRAWN,
            "clip": plan.CLIP,
        },
    }
    made = provenance(study.whole, study.cohort, config)
    return made | {"command": "python -m medpriv_lib.study.gradient_inversion"}


def choose(study: Study, content: dict, save: Callable[[], None], say: Say) -> Search:
    """Return the search whose settings rank best on validation targets, of patients who are in no
    row: by the mean logarithm of the ranks, over all three rankings.
    """
    tried = content.setdefault("validation", [])
    targets = study.order[-plan.VALIDATION :]
    row = Row("validation", len(targets))
    for distance, signed, rate, rough in study.settings[len(tried) :]:
        how = Search(study.steps, rate, signed=signed, terms=Terms(distance, rough))
        found = [
            record
            for number, target in enumerate(targets)
            for record in one_update(study, row, target[None], targets[:1], how, 0.0, number)
        ]
        ranks = [[record[f"rank_{key}"] for key in RANKINGS] for record in found]
        tried.append(
            {
                "distance": distance,
                "signed": signed,
                "rate": rate,
                "roughness": rough,
                "ranks": ranks,
                "psnr": float(np.mean([record["psnr"] for record in found])),
            }
        )
        save()
        say(f"validation, {distance}, signed {signed}, {rate}, {rough}: ranks {ranks}")
    best = min(tried, key=lambda one: float(np.mean(np.log(one["ranks"]))))
    return Search(
        study.steps,
        best["rate"],
        signed=best["signed"],
        terms=Terms(best["distance"], best["roughness"]),
    )


def attack_rows(
    study: Study,
    rows: tuple[Row, ...],
    how: Search,
    content: dict,
    save: Callable[[], None],
    say: Say,
) -> None:
    """Attack the updates of each row that are not done yet."""
    if "search" not in content or search_of(content) != how:
        content |= {"search": asdict(how), "rows": {}}
    done = content.setdefault("rows", {})
    if "targets" not in content:
        content["targets"] = controls(study, max((row.targets for row in rows), default=0))
        save()
    for row in rows:
        records = done.setdefault(row.name, {"row": asdict(row), "records": []})["records"]
        if len(records) >= row.targets:
            continue
        networks = study.networks(row)
        if row.trained and "auc" not in done[row.name]:
            done[row.name]["auc"] = auc_of(networks[0], study.whole.of("test"))
        for start in range(len(records), row.targets, row.count):
            targets = study.order[start : start + row.count]
            others = study.order[(start + row.count + np.arange(row.count)) % row.targets]
            made = attacked(
                row, networks, study.court, targets, others, study.public, how,
                content["noise"], start, study.seed, study.basis,
            )  # fmt: skip
            for record in made[max(0, PICTURES - start) :]:
                del record["png"]
            records += made
            save()
            say(f"{row.name}: {len(records)} of {row.targets}, {made[-1]['rank_eye']:.0f}")


def search_of(content: dict) -> Search:
    """Return the search of a results file; what an older file does not name has its default."""
    how = content["search"]
    return Search(**how | {"terms": Terms(**how["terms"])})


def one_update(
    study: Study,
    row: Row,
    targets: Int64[np.ndarray, " n"],
    others: Int64[np.ndarray, " n"],
    how: Search,
    noise: float,
    number: int,
) -> list[dict]:
    """Attack one update of a row that is in no table."""
    return attacked(
        row, study.networks(row), study.court, targets, others, study.public, how, noise, number,
        study.seed, study.basis,
    )  # fmt: skip


def controls(study: Study, count: int) -> list[dict]:
    """Return for each target where the original and the public mean eye stand, and how alike the
    mean eye is.
    """
    targets = study.order[:count]
    originals = study.cohort.images[targets]
    mean = np.repeat(to_uint8(study.public.mean(dim=0, keepdim=True)), count, axis=0)
    best, none = (study.court.ranks(images, targets, targets)[0] for images in (originals, mean))
    near = likeness(mean, originals)
    return [
        {
            "row": int(target),
            "patient": int(study.cohort.patient[target]),
            **{f"original_{key}": float(value[i]) for key, value in best.items()},
            **{f"mean_eye_{key}": float(value[i]) for key, value in none.items()},
            **{f"mean_eye_{key}": round(float(value[i]), 4) for key, value in near.items()},
        }
        for i, target in enumerate(targets)
    ]
