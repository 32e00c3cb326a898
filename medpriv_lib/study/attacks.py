"""Every method of the study under attack: release, train the attackers, run the battery, write
`attacks.json`.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.best import COLUMNS
from medpriv_lib.attacks.budget import FULL, Budget
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.generator_membership import of_generator
from medpriv_lib.attacks.registry import attacks, run
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.pipeline.weights import VGAN
from medpriv_lib.privatizers.registry import privatizers
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.study.rows import Method, Releases, methods
from medpriv_lib.study.several_releases import together
from medpriv_lib.study.summary import rates_in, spread_of, summary
from medpriv_lib.study.table import Row, write_json

FILE = "attacks.json"
DRAWS = 3
SCRATCH = (
    ("blur", "kernel 9"),
    ("pprl-vgan", "random identities"),
)  # attackers also trained from scratch, as a check
VERSION = 5  # raise it when the same release would be attacked in another way


@dataclass(frozen=True, eq=False)
class Plan:
    """What is attacked and how often: `draws` random draws of each release, attackers of each of
    `seeds`.

    `only` names the rows (experiment, set), None means all; `repeated` those that further seeds
    attack too, None means all of them; `seed` is that of the releases, as in the table; `budget`
    what the attackers may spend.
    """

    draws: int = DRAWS
    seeds: tuple[int, ...] = (0,)
    only: tuple[tuple[str, str], ...] | None = None
    scratch: bool = True
    seed: int = 0
    repeated: tuple[tuple[str, str], ...] | None = None
    budget: Budget = FULL

    def rows(self, vgan: PPRLVGAN) -> list[Method]:
        """Return the rows to attack. Raises `ValueError` for a name that the study does not
        have.
        """
        listed = list(methods(vgan))
        names = {(row.experiment, row.set) for row in listed}
        if self.only is not None and (unknown := [name for name in self.only if name not in names]):
            raise ValueError(
                f"no method is called {' / '.join(unknown[0])}; the table's first two columns list them"
            )
        return [
            row for row in listed if self.only is None or (row.experiment, row.set) in self.only
        ]


def run_attacks(
    cohort: Cohort,
    judges: Judges,
    vgan: PPRLVGAN,
    folder: Path,
    plan: Plan | None = None,
    cards: dict | None = None,
    progress: bool = True,
) -> dict:
    """Attack the releases of the test images by all methods; return what `attacks.json` holds, and
    write it there.

    `folder` also keeps the attackers and what is finished, in `attackers/`, row by row and seed by
    seed: a killed run goes on from there, a further seed adds to what is there, and rows that do
    not use the generator outlive another one. `cards` are the SHA-256 of judges and generator
    (`load_weights`): results of other weights are not taken for these. The first seed comes first
    for all rows, and the file is written after each seed. Raises `ValueError` for a plan that
    cannot be run.
    """
    plan, cards = plan or Plan(), cards or {}
    if plan.draws < 1 or not plan.seeds:
        raise ValueError("there must be at least one draw and one seed of the attackers")
    began, rows = time.perf_counter(), plan.rows(vgan)
    (folder / "attackers").mkdir(parents=True, exist_ok=True)
    study = _Study(cohort, judges, vgan, folder / "attackers", plan, cards, rows, progress)
    results = [study.kept(row, plan.seeds[0]) for row in study.bar(rows, plan.seeds[0])]
    shared = study.shared()
    rates = [[one["rates"]] for one in results]
    write_json(folder / FILE, _content(study, results, shared, rates, 1, began))
    for count, seed in enumerate(plan.seeds[1:], start=2):
        again = [
            row
            for row in rows
            if plan.repeated is None or (row.experiment, row.set) in plan.repeated
        ]
        for row in study.bar(again, seed):
            rates[rows.index(row)].append(study.kept(row, seed))
        write_json(folder / FILE, _content(study, results, shared, rates, count, began))
    return _content(study, results, shared, rates, len(plan.seeds), began)


def _content(
    study: "_Study",
    results: list[dict],
    shared: dict,
    rates: list[list[dict]],
    finished: int,
    began: float,
) -> dict:
    """Return what the file holds; the spread of a row is that of the seeds that attacked it,
    `finished` at most.
    """
    from medpriv_lib.study.compare import provenance

    plan, listed = study.plan, []
    for one, seeds in zip(results, rates, strict=True):
        listed.append(
            {key: value for key, value in one.items() if key != "rates"}
            | {"seeds_of_attackers": len(seeds)}
        )
        if one["findings"]:
            listed[-1]["spread"] = spread_of(seeds)
    return {
        "provenance": provenance(study.cohort, study.cohort.of("test"), plan.draws, plan.seed)
        | {
            "attackers": {"seeds": list(plan.seeds[:finished]), "version": VERSION},
            "weights": study.cards,
            "seconds": round(time.perf_counter() - began, 1),
            "seconds_of_methods": round(sum(result["seconds"] for result in results), 1),
        },
        "methods": listed,
        **shared,
    }


@dataclass(eq=False)
class _Study:
    """One run of the attacks: makes each row's releases once, and keeps what is finished in
    `folder`.
    """

    cohort: Cohort
    judges: Judges
    vgan: PPRLVGAN
    folder: Path
    plan: Plan
    cards: dict
    rows: list[Method]
    progress: bool

    def __post_init__(self) -> None:
        """Make no release yet: decoding takes a minute, and a run that goes on may not need it."""
        train, test = self.cohort.of("train"), self.cohort.of("test")
        self.releases = Releases(
            train, {"": test, "true": test}, self.vgan, self.plan.seed, self.plan.draws
        )
        self.prepared = False

    def bar(self, rows: list[Method], seed: int) -> Iterable[Method]:
        """Return the rows under a progress bar."""
        return tqdm(rows, desc=f"attacking, seed {seed}", disable=None if self.progress else True)

    def kept(self, row: Method, seed: int) -> dict:
        """Return the result of a row: all of the first seed, of a further one how often each attack
        succeeded.
        """
        first = seed == self.plan.seeds[0]
        key = key_of(self.cohort, row, self.plan, self.cards, seed)
        path = self.folder / f"{'result' if first else 'rates'}-{key}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        if row.policy and not self.prepared:
            self.releases.prepare(
                self.rows,
                lambda total: tqdm(
                    total=total,
                    desc="decoding",
                    leave=False,
                    disable=None if self.progress else True,
                ),
            )
            self.prepared = True
        result = (attack_method if first else rates_of)(
            row, self.cohort, self.judges, self.releases, self.folder, self.plan, seed
        )
        write_json(path, result)
        return result

    def shared(self) -> dict:
        """Return what belongs to no single row: several releases of one case, and members of a
        generator's training.

        The second is asked only where a row uses the generator.
        """
        train, test = self.cohort.of("train"), self.cohort.of("test")
        found = {"together": together(train, test, self.vgan, self.plan.seed)}
        if any(row.policy for row in self.rows):
            try:
                found["training"] = of_generator(
                    self.cohort, self.folder, self.plan.seed, self.plan.budget
                ).plain()
            except NotApplicable as error:
                found["training"] = {"note": f"empty: {error}"}
        return found


def _name(row: Method) -> str:
    return f"{row.experiment}-{row.set}".replace(" ", "-").replace(",", "")


def attack_method(
    row: Method,
    cohort: Cohort,
    judges: Judges,
    releases: Releases,
    kept: Path,
    plan: Plan,
    seed: int = 0,
) -> dict:
    """Return what all attacks find in the releases of one method, as plain JSON values."""
    began = time.perf_counter()
    result: dict = {"experiment": row.experiment, "set": row.set, "labels": row.labels, "note": ""}
    try:
        drawn = list(releases.of(row))
        scenes = scenes_of(row, cohort, drawn, plan.seed)
    except ValueError as error:  # this cohort does not allow the method
        return result | {
            "note": f"empty: {error}",
            "findings": [],
            "columns": dict.fromkeys(COLUMNS),
            "seconds": 0.0,
            "rates": {},
        }
    setting = setting_of(
        row, scenes, drawn[0], Attackers(cohort, kept, seed, budget=plan.budget), judges, plan
    )
    found = run(setting, [one.name for one in attacks() if one.asked != "cohort"])
    result |= summary(found, scenes[0]) | {"rates": rates_in(found)}
    if plan.scratch and (row.experiment, row.set) in SCRATCH:
        fresh = from_scratch(row, scenes[:1], drawn[0], kept, plan, seed)
        result["from_scratch"] = [one.plain() | {"per_patient": {}, "curves": {}} for one in fresh]
    return result | {"draws": len(drawn), "seconds": round(time.perf_counter() - began, 1)}


def from_scratch(
    row: Method, scenes: Sequence[Scene], release: Release, kept: Path, plan: Plan, seed: int
) -> list[Finding]:
    """Return what attackers find whose second tower does not begin with the first: a check."""
    attackers = Attackers(scenes[0].cohort, kept, seed, budget=plan.budget, scratch=True)
    setting = setting_of(row, scenes, release, attackers, None, plan)
    names = [one.name for one in attacks() if one.asked == "draw" and one.name != "naive"]
    return run(replace(setting, name=f"{_name(row)}-scratch"), names)


def setting_of(
    row: Method,
    scenes: Sequence[Scene],
    release: Release,
    attackers: Attackers,
    judges: Judges | None,
    plan: Plan,
) -> Setting:
    """Return the setting of all draws of a row."""
    return Setting(
        scenes,
        attackers,
        release.method,
        release.parameters,
        privatizers().get(release.method),
        None if judges is None else judges.identity,
        plan.seed,
        _name(row),
    )


def rates_of(
    row: Method,
    cohort: Cohort,
    judges: Judges,
    releases: Releases,
    kept: Path,
    plan: Plan,
    seed: int,
) -> dict:
    """Return only how often each attack of another seed succeeds in each draw: all that a spread
    needs.
    """
    try:
        drawn = list(releases.of(row))
        scenes = scenes_of(row, cohort, drawn, plan.seed)
    except ValueError:
        return {}
    attackers = Attackers(cohort, kept, seed, budget=plan.budget)
    setting = setting_of(row, scenes, drawn[0], attackers, judges, plan)
    # the matched filters ("matching") are not trained from a seed
    names = [one.name for one in attacks() if one.asked == "draw" and one.kind != "matching"]
    return rates_in(run(setting, names))


def scenes_of(row: Method, cohort: Cohort, drawn: Sequence[Release], seed: int) -> list[Scene]:
    """Return one scene per draw: the test images under attack, and training and validation images
    released alike.

    The attacker runs the method on images of his own, one split after the other, with random
    numbers of his own.
    """
    tests = np.flatnonzero(cohort.split == "test")
    images, rows, whose, errors = [], [], [], []
    for split in ("train", "val"):
        mine = np.flatnonzero(cohort.split == split)
        try:
            release = row.release(
                cohort.of("train"),
                cohort.take(mine),
                seeded(seed, "attacker", row.experiment, row.set, split),
            )
        except ValueError as error:  # too few patients in this split; the other one may do
            errors.append(error)
            continue
        images.append(release.images)
        rows.append(mine[release.source])
        whose.append(release.contributors)
    if not images:
        raise errors[0]
    known, source, width = (
        np.concatenate(images),
        np.concatenate(rows),
        max(each.shape[1] for each in whose),
    )
    used = np.concatenate(
        [np.pad(each, ((0, 0), (0, width - each.shape[1])), constant_values=-1) for each in whose]
    )
    return [
        Scene(cohort, one.images, tests[one.source], known, source, one.contributors, used)
        for one in drawn
    ]


def join(
    rows: Iterable[Row], content: dict | None, weights: dict | None, data_hash: str
) -> list[Row]:
    """Return the table's rows with the attackers' columns, where they were made from the same
    images and weights.

    `content` is that of `attacks.json` or None; `weights` the SHA-256 of the table's weights.
    """
    rows = [dict(row) for row in rows]
    if content is None:
        return rows
    made = content["provenance"]
    if made["data_hash"] != data_hash or made["weights"] != (weights or {}):
        return rows
    cells = {(one["experiment"], one["set"]): one["columns"] for one in content["methods"]}
    return [row | cells.get((row["experiment"], row["set"]), {}) for row in rows]


def read_attacks(folder: Path) -> dict | None:
    """Return the content of `attacks.json` in a folder, None without one. Raises `ValueError` where
    it is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["provenance"]["data_hash"], content["provenance"]["weights"], content["methods"]  # noqa: B018
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not the result of attacks ({error}); write it again with `medpriv study --attacks`"
        ) from error
    return content


def key_of(cohort: Cohort, row: Method, plan: Plan, cards: dict, seed: int) -> str:
    """Name a result by what it depends on: draws where they differ, the generator where the method
    uses it.
    """
    if not (row.policy or row.set.startswith("prior sample")):
        cards = {name: value for name, value in cards.items() if name != VGAN}
    text = repr(
        (
            VERSION,
            cohort.hash(),
            row.experiment,
            row.set,
            row.labels,
            plan.draws if row.random else 1,
            plan.scratch and (row.experiment, row.set) in SCRATCH,
            plan.seed,
            seed,
            sorted(cards.items()),
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]
