"""Every method of the study under attack: release, train the attackers, run all attacks, write
`attacks.json`.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.best import COLUMNS
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.generator_membership import of_generator
from medpriv_lib.attacks.registry import Attack, attacks, run
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.provenance import provenance
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.study.decoded import networks_of
from medpriv_lib.study.plan import VERSION, Plan
from medpriv_lib.study.row_scenes import scenes_of, setting_of
from medpriv_lib.study.rows import Method, Releases
from medpriv_lib.study.several_releases import told_by_several
from medpriv_lib.study.summary import rates_in, spread_of, summary

FILE = "attacks.json"
Told = Callable[[Method, int], None]


def nobody(row: Method, seed: int) -> None:
    """Tell nobody that a row is attacked."""


def run_attacks(
    cohort: Cohort,
    judges: Judges,
    vgan: PPRLVGAN,
    folder: Path,
    plan: Plan | None = None,
    cards: Mapping[str, str] | None = None,
    progress: bool = True,
    told: Told = nobody,
    weights: Path | None = None,
) -> dict:
    """Attack the releases of the test images by all methods; return what `attacks.json` holds, and
    write it there.

    `folder` also keeps the attackers and what is finished, in `attackers/`, row by row and seed by
    seed: a killed run goes on from there, a further seed adds to what is there, and rows that do
    not use the generator outlive another one. `cards` are the SHA-256 of judges and generator
    (`load_weights`): results of other weights are not taken for these; `weights` is the folder that
    further methods read theirs from, None for the package's. The first seed comes first
    for all rows, and the file is written after each seed. `told(row, seed)` is called before a row
    is attacked, not for what is finished already. Raises `ValueError` for a plan that cannot be
    run.
    """
    plan, began = plan or Plan(), time.perf_counter()
    study = begin(cohort, judges, vgan, folder, plan, cards, progress, told, weights)
    rows = study.rows
    results = [study.kept(row, plan.seeds[0]) for row in study.bar(rows, plan.seeds[0])]
    shared = study.shared()
    rates = [[one["rates"]] for one in results]
    content = _content(study, results, shared, rates, 1, began)
    write_json(folder / FILE, content)
    for count, seed in enumerate(plan.seeds[1:], start=2):
        again = [row for row in rows if plan.again(row)]
        for row in study.bar(again, seed):
            rates[rows.index(row)].append(study.kept(row, seed))
        content = _content(study, results, shared, rates, count, began)
        write_json(folder / FILE, content)
    return content


def begin(
    cohort: Cohort,
    judges: Judges,
    vgan: PPRLVGAN,
    folder: Path,
    plan: Plan,
    cards: Mapping[str, str] | None = None,
    progress: bool = True,
    told: Told = nobody,
    weights: Path | None = None,
) -> "Run":
    """Return the attacks of a plan, none of them run yet; arguments and errors as of
    `run_attacks`.
    """
    if plan.draws < 1 or not plan.seeds:
        raise ValueError("there must be at least one draw and one seed of the attackers")
    known = [one.name for one in attacks()]
    unknown = [name for name in plan.attackers or () if name not in known]
    if unknown:
        raise ValueError(f"no attack is called {unknown[0]!r}; there are {', '.join(known)}")
    rows, kept = plan.rows(visits=cohort.visit is not None), folder / "attackers"
    kept.mkdir(parents=True, exist_ok=True)
    return Run(cohort, judges, vgan, kept, plan, cards or {}, rows, progress, told, weights)


def _content(
    study: "Run",
    results: list[dict],
    shared: dict,
    rates: list[list[dict]],
    finished: int,
    began: float,
) -> dict:
    """Return what the file holds; the spread of a row is that of the seeds that attacked it,
    `finished` at most.
    """
    plan, listed = study.plan, []
    for one, seeds in zip(results, rates, strict=True):
        listed.append(
            {key: value for key, value in one.items() if key != "rates"}
            | {"seeds_of_attackers": len(seeds)}
        )
        if one["findings"]:
            listed[-1]["spread"] = spread_of(seeds)
    config = {"draws": plan.draws, "seed": plan.seed}
    return {
        "provenance": provenance(study.cohort, study.cohort.of("test"), config)
        | {
            "attackers": {"seeds": list(plan.seeds[:finished]), "version": VERSION},
            "budget": asdict(plan.budget),
            "weights": study.cards,
            "seconds": round(time.perf_counter() - began, 1),
            "seconds_of_methods": round(sum(result["seconds"] for result in results), 1),
        },
        "methods": listed,
        **shared,
    }


@dataclass(eq=False)
class Run:
    """One run of the attacks: makes each row's releases once, and keeps what is finished in
    `folder`.
    """

    cohort: Cohort
    judges: Judges
    vgan: PPRLVGAN
    folder: Path
    plan: Plan
    cards: Mapping[str, str]
    rows: list[Method]
    progress: bool
    told: Told
    weights: Path | None = None

    def __post_init__(self) -> None:
        """Make no release yet: decoding takes a minute, and a run that goes on may not need it."""
        test = self.cohort.of("test")
        visits = self.cohort.visit is not None
        trained = networks_of(self.vgan, self.judges if visits else None)
        self.resources = Resources(self.cohort, self.weights, trained)
        cohorts = {"": test, "true": test}
        self.releases = Releases(
            self.resources, cohorts, self.plan.seed, self.plan.draws, fresh=visits
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
        key = self.plan.key(self.cohort, row, self.cards, seed)
        path = self.folder / f"{'result' if first else 'rates'}-{key}.json"
        if path.is_file():
            found: dict = json.loads(path.read_text(encoding="utf-8"))
            return found
        self.told(row, seed)
        result = self.attacked(row, seed) if first else self.rates(row, seed)
        write_json(path, result)
        return result

    def drawn(self, row: Method) -> list[Release]:
        """Return the draws of a row. Raises `NotApplicable` where the cohort does not allow it."""
        if not self.prepared and self.releases.serves(row):
            hidden = None if self.progress else True
            self.releases.prepare(
                self.rows,
                lambda total: tqdm(total=total, desc="decoding", leave=False, disable=hidden),
            )
            self.prepared = True
        return list(self.releases.of(row))

    def attacked(self, row: Method, seed: int) -> dict:
        """Return what all attacks find in the releases of one row, as plain JSON values."""
        began, plan = time.perf_counter(), self.plan
        result: dict[str, Any] = dict(
            experiment=row.experiment, set=row.set, labels=row.labels, note=""
        )
        try:
            drawn = self.drawn(row)
            scenes = scenes_of(row, self.cohort, self.resources, drawn, plan.seed)
        except NotApplicable as error:  # this cohort does not allow the method
            result |= {"findings": [], "figures": {}, "columns": dict.fromkeys(COLUMNS)}
            return result | {"seconds": 0.0} | {"note": f"empty: {error}", "rates": {}}
        attackers = Attackers(self.cohort, self.folder, seed, budget=plan.budget)
        setting = self.setting(row, scenes, drawn[0], attackers, self.judges.identity)
        found = run(setting, self.names(lambda one: one.asked != "cohort"))
        result |= summary(found, scenes[0]) | {"rates": rates_in(found)}
        if plan.from_scratch(row):
            fresh = self.from_scratch(row, scenes[:1], drawn[0], seed)
            result["from_scratch"] = [
                one.plain() | {"per_patient": {}, "curves": {}} for one in fresh
            ]
        return result | {"draws": len(drawn), "seconds": round(time.perf_counter() - began, 1)}

    def from_scratch(
        self, row: Method, scenes: Sequence[Scene], release: Release, seed: int
    ) -> list[Finding]:
        """Return what attackers find whose second tower does not begin with the first: a check."""
        attackers = Attackers(self.cohort, self.folder, seed, budget=self.plan.budget, scratch=True)
        setting = self.setting(row, scenes, release, attackers, None)
        names = self.names(lambda one: one.asked == "draw" and one.name != "naive")
        return run(replace(setting, name=f"{setting.name}-scratch"), names)

    def setting(
        self,
        row: Method,
        scenes: Sequence[Scene],
        release: Release,
        attackers: Attackers,
        identity: Recogniser | None,
    ) -> Setting:
        """Return the setting of the attacks on a row, whose attackers can run the method."""
        maker = row.ready(self.resources)
        return setting_of(row, scenes, release, attackers, identity, self.plan.seed, maker)

    def rates(self, row: Method, seed: int) -> dict:
        """Return only how often each attack of another seed succeeds in each draw: all that a
        spread needs. {} where the cohort does not allow the row: the first seed says why.
        """
        plan = self.plan
        try:
            drawn = self.drawn(row)
            scenes = scenes_of(row, self.cohort, self.resources, drawn, plan.seed)
        except NotApplicable:
            return {}
        attackers = Attackers(self.cohort, self.folder, seed, budget=plan.budget)
        setting = self.setting(row, scenes, drawn[0], attackers, self.judges.identity)
        # the matched filters ("matching") are not trained from a seed
        names = self.names(lambda one: one.asked == "draw" and one.kind != "matching")
        return rates_in(run(setting, names))

    def names(self, wanted: Callable[[Attack], bool]) -> list[str]:
        """Return the names of those attacks of the plan that are wanted."""
        among = self.plan.attackers
        return [one.name for one in attacks() if wanted(one) and (not among or one.name in among)]

    def shared(self) -> dict:
        """Return what belongs to no single row: several releases of one case, and members of a
        generator's training.

        The second is asked only where a row uses the generator.
        """
        found: dict[str, Any] = {
            "together": told_by_several(self.cohort, self.resources, self.plan.seed)
        }
        if any(row.cls.needs == "weights" for row in self.rows):
            try:
                members = of_generator(self.cohort, self.folder, self.plan.seed, self.plan.budget)
                found["training"] = members.plain()
            except NotApplicable as error:
                found["training"] = {"note": f"empty: {error}"}
        return found


def read_attacks(folder: Path) -> dict | None:
    """Return the content of `attacks.json` in a folder, None without one. Raises `ValueError` where
    it is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        content: dict = json.loads(path.read_text(encoding="utf-8"))
        content["provenance"]["data_hash"], content["provenance"]["weights"], content["methods"]  # noqa: B018
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not the result of attacks ({error}); write it again with "
            "`medpriv study --attacks`"
        ) from error
    return content
