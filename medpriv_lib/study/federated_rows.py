"""The rows of the federated comparison: read, written, and summed up over seeds and patients."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import area, bootstrap

NAME = "federated.json"
PROBE = "probe "  # how the names of arms with a linear layer begin
SAME = ("data_hash", "settings")
OPEN, MASKED = "each site's weights", "the sum"


@dataclass(frozen=True)
class Run:
    """One trained recogniser: of which cohort, seed, way to deal and arm; `site` "" where it is of
    all sites together.

    `scores` are the probabilities of the disease for the seed's test images, in the cohort's order;
    `threshold` that from which an image is called diseased. `cpu` and `seconds` of the training,
    `sent_per_site` and `left_per_site` bytes to and from one site, `loss` and `f1` of each round.
    `saw` is what the coordinator got of each site ("" in rows that older versions wrote: see
    `saw_of`), `noise` the multiplier, `epsilon` what the
    sites' ledgers say was spent at most, both None without a promise.
    """

    cohort: str
    seed: int
    dealt: str
    arm: str
    site: str
    threshold: float
    scores: list[float]
    cpu: float
    seconds: float
    rounds: int
    sent_per_site: int
    left_per_site: int
    loss: list[float]
    f1: list[float | None]
    saw: str = ""
    noise: float | None = None
    epsilon: float | None = None


def written(run: Run) -> dict[str, Any]:
    """Return a run as JSON holds it."""
    return asdict(run)


def read(path: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a file of the same images and settings, else an empty one."""
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
        # through JSON, so that tuples compare
        wanted = json.loads(json.dumps(provenance))
        if all(content["provenance"].get(key) == wanted[key] for key in SAME):
            if content["provenance"].get("probe") != wanted.get("probe"):
                content["provenance"]["probe"] = wanted.get("probe")
                runs = content["runs"]
                content["runs"] = [run for run in runs if not run["arm"].startswith(PROBE)]
                content.pop("membership", None)
            return content
    return {"provenance": dict(provenance), "runs": [], "rows": []}


def summary(
    runs: Sequence[Mapping[str, Any]],
    cohorts: Mapping[Any, Cohort],
    split: Callable[[Cohort, int], Cohort],
) -> list[dict[str, Any]]:
    """Return one row for each cohort, way to deal and arm.

    AUC and F1 are means over seeds (of a site alone: over sites, too), with intervals over the test
    patients of all seeds, each of whom is one in a single seed; `difference` is that to the pooled
    recognisers of the same seeds (of a linear layer: the pooled linear layers), paired. `best` is
    the AUC of the site that alone is best, chosen on the test images, which favours it. `all_ill`
    is the F1 of calling every image diseased.
    """
    rows = []
    kinds = dict.fromkeys((run["cohort"], run["dealt"], run["arm"]) for run in runs)
    for cohort, dealt, arm in kinds:
        mine = [
            run for run in runs if (run["cohort"], run["dealt"], run["arm"]) == (cohort, dealt, arm)
        ]
        seeds = sorted({run["seed"] for run in mine})
        pooled = [
            run
            for run in runs
            if (run["cohort"], run["dealt"], run["arm"]) == (cohort, "", reference_of(arm))
            and run["seed"] in seeds
        ]
        tests = {seed: split(cohorts[cohort], seed).of("test") for seed in seeds}
        rows.append(
            {"cohort": cohort, "dealt": dealt, "arm": arm, "seeds": len(seeds)}
            | _quality(mine, tests)
            | _differences(mine, pooled, tests)
            | _costs(mine)
        )
    return rows


def without_patients(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's content without what is said of single images: provenance and rows."""
    return {key: content[key] for key in ("provenance", "rows")}


def reference_of(arm: str) -> str:
    """Return the pooled arm that an arm is held against."""
    return f"{PROBE}pooled" if arm.startswith(PROBE) else "pooled"


def saw_of(run: Mapping[str, Any]) -> str:
    """Return what somebody outside of the sites got in a run.

    Whoever pools gets the images. A site alone sends nothing, though the same app trains there.
    """
    if run["arm"].endswith("pooled"):
        return "all images"
    return "nothing" if run["site"] else run.get("saw") or OPEN


def _quality(runs: Sequence[Mapping[str, Any]], tests: Mapping[int, Cohort]) -> dict[str, Any]:
    areas = [area(np.array(run["scores"]), tests[run["seed"]].diseased) for run in runs]
    low, high = _interval(runs, tests, _auc_of)
    f1 = [_f1(run, tests[run["seed"]]) for run in runs]
    f1_low, f1_high = _interval(runs, tests, _f1_of)
    ill = np.concatenate([test.diseased for test in tests.values()]).mean()
    best = [
        max(one for one, run in zip(areas, runs, strict=True) if run["seed"] == seed)
        for seed in tests
    ]
    return {
        "auc": _rounded(np.mean(areas)),
        "auc_low": _rounded(low),
        "auc_high": _rounded(high),
        "auc_spread": _rounded(np.std(areas, ddof=1)) if len(areas) > 1 else None,
        "best": _rounded(np.mean(best)),
        "f1": _rounded(np.mean(f1)),
        "f1_low": _rounded(f1_low),
        "f1_high": _rounded(f1_high),
        "all_ill": _rounded(2 * ill / (1 + ill)),
        "test_patients": int(sum(len(np.unique(test.patient)) for test in tests.values())),
        "test_images": int(sum(map(len, tests.values()))),
    }


def _differences(
    runs: Sequence[Mapping[str, Any]],
    pooled: Sequence[Mapping[str, Any]],
    tests: Mapping[int, Cohort],
) -> dict[str, Any]:
    if {run["seed"] for run in pooled} != set(tests):
        return {"difference": None}
    found: dict[str, Any] = {}
    for name, statistic in (("difference", _auc_of), ("f1_difference", _f1_of)):

        def gap(times: np.ndarray, one: Any = statistic) -> np.ndarray:
            return one(runs, tests)(times) - one(pooled, tests)(times)

        everyone = _people(tests)
        value = float(gap(np.ones((1, everyone)))[0])
        low, high = bootstrap(np.eye(everyone), np.arange(everyone), gap)
        found |= {
            name: _rounded(value),
            f"{name}_low": _rounded(low),
            f"{name}_high": _rounded(high),
        }
    return found


def _costs(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "cpu": round(float(np.mean([run["cpu"] for run in runs])), 1),
        "rounds": runs[0]["rounds"],
        "sent_per_site": round(np.mean([run["sent_per_site"] for run in runs])),
        "left_per_site": round(np.mean([run["left_per_site"] for run in runs])),
        "saw": saw_of(runs[0]),
        "noise": runs[0].get("noise"),
        "epsilon": max((run["epsilon"] for run in runs if run.get("epsilon")), default=None),
    }


Statistic = Callable[[Float[np.ndarray, "d p"]], Float[np.ndarray, " d"]]


def _interval(
    runs: Sequence[Mapping[str, Any]],
    tests: Mapping[int, Cohort],
    of: Callable[[Sequence[Mapping[str, Any]], Mapping[int, Cohort]], Statistic],
) -> tuple[float, float]:
    everyone = _people(tests)
    return bootstrap(np.eye(everyone), np.arange(everyone), of(runs, tests))


def _people(tests: Mapping[int, Cohort]) -> int:
    return next(iter(tests.values())).patients


def _auc_of(runs: Sequence[Mapping[str, Any]], tests: Mapping[int, Cohort]) -> Statistic:
    """Return the mean over runs of the area, as a function of how often each patient counts."""
    parts = [_pairs(np.array(run["scores"]), tests[run["seed"]]) for run in runs]

    def mean(times: Float[np.ndarray, "d p"]) -> Float[np.ndarray, " d"]:
        values = [
            ((times @ pairs) * times).sum(axis=1) / (times @ ill) / (times @ well)
            for pairs, ill, well in parts
        ]
        return np.mean(values, axis=0)

    return mean


def _pairs(score: np.ndarray, test: Cohort) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs (P, P) that diseased images of one patient win against healthy ones of
    another, and how many images of each label every patient has.
    """
    ill, people = test.diseased, test.patients
    high, low = score[ill, None], score[None, ~ill]
    won = (high > low) + 0.5 * (high == low)
    pairs = np.zeros((people, people))
    np.add.at(pairs, (test.patient[ill, None], test.patient[None, ~ill]), won)
    counts = [np.bincount(test.patient[rows], minlength=people) for rows in (ill, ~ill)]
    return pairs, counts[0], counts[1]


def _f1_of(runs: Sequence[Mapping[str, Any]], tests: Mapping[int, Cohort]) -> Statistic:
    """Return the mean over runs of the F1, as a function of how often each patient counts."""
    parts = []
    for run in runs:
        test = tests[run["seed"]]
        called = np.array(run["scores"]) >= run["threshold"]
        twice, both = 2.0 * (called & test.diseased), called.astype(float) + test.diseased
        parts.append(
            [np.bincount(test.patient, one, minlength=test.patients) for one in (twice, both)]
        )

    def mean(times: Float[np.ndarray, "d p"]) -> Float[np.ndarray, " d"]:
        return np.mean([(times @ hit) / (times @ all_) for hit, all_ in parts], axis=0)

    return mean


def _f1(run: Mapping[str, Any], test: Cohort) -> float:
    called = np.array(run["scores"]) >= run["threshold"]
    return float(2 * (called & test.diseased).sum() / max(1, called.sum() + test.diseased.sum()))


def _rounded(value: Any) -> float:
    return round(float(value), 4)
