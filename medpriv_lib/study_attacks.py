"""Every method of the study under attack: release, train the attackers, run the battery, write `attacks.json`."""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from medpriv_lib.cohort import Cohort, Release
from medpriv_lib.evaluation.attacks import Finding
from medpriv_lib.evaluation.attacks.battery import battery
from medpriv_lib.evaluation.attacks.columns import COLUMNS, LINKING, NAMING, best, columns
from medpriv_lib.evaluation.attacks.draws import averaged
from medpriv_lib.evaluation.attacks.scene import Scene
from medpriv_lib.evaluation.per_patient import Risk, risk, spreads
from medpriv_lib.evaluation.table import Row, write_json
from medpriv_lib.privatizers.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits
from medpriv_lib.study_attackers import Attackers
from medpriv_lib.study_attacks_more import more, together
from medpriv_lib.study_decoded import seeded
from medpriv_lib.study_methods import Method, Releases, methods
from medpriv_lib.study_weights import VGAN

FILE = "attacks.json"
DRAWS = 3
SCRATCH = (("blur", "kernel 9"), ("pprl-vgan", "random identities"))  # attackers also trained from scratch, as a check
VERSION = 2  # raise it when the same release would be attacked in another way


@dataclass(frozen=True, eq=False)
class Plan:
    """What is attacked and how often: `draws` random draws of each release, attackers of each of `seeds`.

    `only` names the rows (experiment, set), None means all; `seed` is that of the releases, as in the table.
    """

    draws: int = DRAWS
    seeds: tuple[int, ...] = (0,)
    only: tuple[tuple[str, str], ...] | None = None
    scratch: bool = True
    seed: int = 0

    def rows(self, vgan: PPRLVGAN) -> list[Method]:
        """Return the rows to attack. Raises `ValueError` for a name that the study does not have."""
        listed = list(methods(vgan))
        names = {(row.experiment, row.set) for row in listed}
        if self.only is not None and (unknown := [name for name in self.only if name not in names]):
            raise ValueError(f"no method is called {' / '.join(unknown[0])}; the table's first two columns list them")
        return [row for row in listed if self.only is None or (row.experiment, row.set) in self.only]


def run_attacks(cohort: Cohort, judges: Judges, vgan: PPRLVGAN, folder: Path, plan: Plan | None = None,
                cards: dict | None = None, progress: bool = True) -> dict:
    """Attack the releases of the test images by all methods; return what `attacks.json` holds, and write it there.

    `folder` also keeps the attackers and what is finished, in `attackers/`: a killed run goes on from there. `cards`
    are the SHA-256 of judges and generator (`load_weights`): results of other weights are not taken for these.
    Raises `ValueError` for a plan that cannot be run.
    """
    from medpriv_lib.study import provenance
    plan, cards = plan or Plan(), cards or {}
    if plan.draws < 1 or not plan.seeds:
        raise ValueError("there must be at least one draw and one seed of the attackers")
    began, rows = time.perf_counter(), plan.rows(vgan)
    kept = folder / "attackers"
    kept.mkdir(parents=True, exist_ok=True)
    train, test = cohort.of("train"), cohort.of("test")
    releases = Releases(train, {"": test, "true": test}, vgan, plan.seed, plan.draws)
    prepared, results = False, []
    with tqdm(rows, desc="attacking", disable=None if progress else True) as bar:
        for row in bar:
            bar.set_postfix_str(f"{row.experiment} / {row.set}")
            path = kept / f"result-{_key(cohort, row, plan, cards)}.json"
            if path.is_file():
                results.append(json.loads(path.read_text(encoding="utf-8")))
                continue
            if not prepared:  # decoding takes a minute, and a run that goes on may not need it
                releases.prepare(rows, lambda total: tqdm(total=total, desc="decoding", leave=False,
                                                          disable=None if progress else True))
                prepared = True
            results.append(attack_method(row, cohort, judges, releases, kept, plan))
            write_json(path, results[-1])
    content = {"provenance": provenance(cohort, test, plan.draws, plan.seed) | {
        "attackers": {"seeds": list(plan.seeds), "version": VERSION}, "weights": cards,
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_of_methods": round(sum(result["seconds"] for result in results), 1)}, "methods": results,
        "together": together(train, test, vgan, plan.seed)}
    write_json(folder / FILE, content)
    return content


def attack_method(row: Method, cohort: Cohort, judges: Judges, releases: Releases, kept: Path, plan: Plan) -> dict:
    """Return what all attacks find in the releases of one method, as plain JSON values."""
    began = time.perf_counter()
    result: dict = {"experiment": row.experiment, "set": row.set, "labels": row.labels, "note": ""}
    try:
        drawn = list(releases.of(row))
        scenes = scenes_of(row, cohort, drawn, plan.seed)
    except ValueError as error:  # this cohort does not allow the method
        return result | {"note": f"empty: {error}", "findings": [], "columns": dict.fromkeys(COLUMNS), "seconds": 0.0}
    name = f"{row.experiment}-{row.set}".replace(" ", "-").replace(",", "")
    per_seed, verifiers = [], {}
    for seed in plan.seeds:
        attackers = Attackers(cohort, kept, seed)
        verifiers = attackers.verifiers(scenes[0], name)
        per_seed.append([battery(scene, verifiers, attackers.half, recogniser(judges)) for scene in scenes])
        if seed == plan.seeds[0]:
            first = verifiers
    found = [averaged(each) for each in zip(*per_seed[0], strict=True)]
    found += more(drawn[0].parameters, scenes, judges.identity, first, plan.seed)
    result |= summary(found, scenes[0]) | {"spread": _spread(per_seed)}
    if plan.scratch and (row.experiment, row.set) in SCRATCH:
        attackers = Attackers(cohort, kept, plan.seeds[0], scratch=True)
        fresh = battery(scenes[0], attackers.verifiers(scenes[0], f"{name}-scratch"), attackers.half, None)
        result["from_scratch"] = [one.rows() | {"per_patient": {}, "curves": {}} for one in fresh]
    return result | {"draws": len(drawn), "seconds": round(time.perf_counter() - began, 1)}


def scenes_of(row: Method, cohort: Cohort, drawn: Sequence[Release], seed: int) -> list[Scene]:
    """Return one scene per draw: the test images under attack, and training and validation images released alike.

    The attacker runs the method on images of his own, one split after the other, with random numbers of his own.
    """
    tests = np.flatnonzero(cohort.split == "test")
    images, rows, errors = [], [], []
    for split in ("train", "val"):
        mine = np.flatnonzero(cohort.split == split)
        try:
            release = row.release(cohort.of("train"), cohort.take(mine),
                                  seeded(seed, "attacker", row.experiment, row.set, split))
        except ValueError as error:  # too few patients in this split; the other one may do
            errors.append(error)
            continue
        images.append(release.images)
        rows.append(mine[release.source])
    if not images:
        raise errors[0]
    known, source = np.concatenate(images), np.concatenate(rows)
    return [Scene(cohort, one.images, tests[one.source], known, source, one.contributors) for one in drawn]


def recogniser(judges: Judges):
    """Return the identity judge as a function from images to logits (N, P), or None where there is none."""
    if judges.identity is None:
        return None
    return lambda images: logits(judges.identity, images).numpy()


def summary(found: Sequence[Finding], scene: Scene) -> dict:
    """Return findings as JSON values, the table's cells, and the risk per patient from the best naming attack."""
    rows = []
    for one in found:
        plain = one.rows()
        winners = (best(found, "rank1"), best(found, "linkage_auc"))
        plain["per_patient"] = plain["per_patient"] if one in winners else {}
        plain["curves"] = {key: [round(v, 3) for v in values] for key, values in plain["curves"].items()
                           if len(values) <= 200}
        rows.append(plain)
    result = {"findings": rows, "columns": columns(found)}
    for measure, key in (("rank1", "risk"), ("linkage_auc", "linkage_risk")):
        winner = best(found, measure)
        if winner is not None and (spread := risk_of(winner, scene)) is not None:
            result[key] = _plain(spread) | {"attack": winner.attack}
    return result


def risk_of(finding: Finding, scene: Scene) -> Risk | None:
    """Return the risk per patient of one finding, or None where it does not hold its outcomes."""
    if finding.hits is None:
        return None
    rows = scene.source
    if finding.attack == "reverse":  # its probes are originals
        rows = np.setdiff1d(np.arange(len(scene.cohort)), scene.source)
    rows = rows[finding.probe]
    return risk(finding.hits, scene.cohort.patient[rows], scene.cohort.diseased[rows], np.random.default_rng(0))


def join(rows: Iterable[Row], content: dict | None, weights: dict | None, data_hash: str) -> list[Row]:
    """Return the table's rows with the attackers' columns, where they were made from the same images and weights.

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
    """Return the content of `attacks.json` in a folder, None without one. Raises `ValueError` where it is damaged."""
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["provenance"]["data_hash"], content["provenance"]["weights"], content["methods"]  # noqa: B018
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the result of attacks ({error}); write it again with `medpriv study --attacks`"
                         ) from error
    return content


def _spread(per_seed: list[list[list[Finding]]]) -> dict:
    """Return per attack how its main number moves with the draws and with the attacker's seed."""
    result = {}
    for place, one in enumerate(per_seed[0][0]):
        measure = "rank1" if one.attack in NAMING else "linkage_auc" if one.attack in LINKING else None
        rates = [[draw[place].measures.get(measure) for draw in seed] for seed in per_seed]
        if measure and all(rate is not None for seed in rates for rate in seed):
            result[one.attack] = {"measure": measure, "mean": round(float(np.mean(rates)), 4)} | {
                key: round(value, 4) for key, value in spreads(np.array(rates)).items()}
    return result


def _plain(one: Risk) -> dict:
    return {"mean": round(one.mean, 4), "mean_interval": [round(end, 4) for end in one.mean_interval],
            "worst_decile": round(one.worst_decile, 4), "worst_interval": [round(e, 4) for e in one.worst_interval],
            "equal_worst_decile": round(one.equal_worst_decile, 4),
            "equal_interval": [round(end, 4) for end in one.equal_interval], "excess_p": round(one.excess_p, 4),
            "always": round(one.always(), 4),
            "by_label": {label: [round(float(value), 4) for value in values]
                         for label, values in one.by_label.items()}}


def _key(cohort: Cohort, row: Method, plan: Plan, cards: dict) -> str:
    """Name a result by what it depends on; the generator only where the method uses it."""
    one = replace(plan, only=None)
    if not (row.policy or row.set.startswith("prior sample")):
        cards = {name: value for name, value in cards.items() if name != VGAN}
    text = repr((VERSION, cohort.hash(), row.experiment, row.set, row.labels, one, sorted(cards.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
