"""Has an attacker flattened? Chosen rows are attacked with a budget and with twice of it.

An attacker who gains from twice the effort might gain more from still more: what he reached is then
no bound of what can be reached. Both runs keep what is finished where `run_attacks` does, so that
rows that were attacked already are not attacked again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.run import FLAT, Attacked, flattened
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.provenance import provenance
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.study.attacks import Run, Told, begin, nobody
from medpriv_lib.study.plan import VERSION, Plan
from medpriv_lib.study.rows import Method

FILE = "attacks-doubled.json"


def run_doubled(
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
    """Attack the plan's rows with its budget and with twice of it, by the first of its seeds;
    return what `attacks-doubled.json` holds, and write it into `folder` after every row.

    For each row, "attackers" says of every attack what its main figures gained from twice the
    effort, what they then are, and whether it is flat: none gained more than `FLAT`; "rising" names
    those that are not; "best" holds the best attackers' figures, of both budgets, by label.
    Arguments and errors as of `run_attacks`; a killed run goes on from there.
    """
    plan, began = plan or Plan(), time.perf_counter()
    # the check of attackers that are trained from scratch is part of the study, not of its double
    more = replace(plan, budget=plan.budget.doubled(), scratch=False)
    once, twice = (
        begin(cohort, judges, vgan, folder, one, cards, progress, told, weights)
        for one in (plan, more)
    )
    content: dict[str, Any] = {}
    listed: list[dict[str, Any]] = []
    for row in once.bar(once.rows, plan.seeds[0]):
        listed.append(_row(row, once, twice))
        made = provenance(cohort, cohort.of("test"), {"draws": plan.draws, "seed": plan.seed})
        content = {
            "provenance": made
            | {
                "attackers": {"seeds": [plan.seeds[0]], "version": VERSION},
                "budget": asdict(plan.budget),
                "doubled": asdict(more.budget),
                "flat": FLAT,
                "weights": dict(cards or {}),
                "seconds": round(time.perf_counter() - began, 1),
            },
            "methods": listed,
        }
        write_json(folder / FILE, content)
    return content


def render_doubled(content: Mapping[str, Any]) -> str:
    """Return for each row how many attackers have flattened, and who has not, as text."""
    lines = []
    for one in content["methods"]:
        rising = [
            f"{name} (+{max(one['attackers'][name]['gain'].values()):.3f})"
            for name in one["rising"]
        ]
        flat = len(one["attackers"]) - len(rising)
        said = f"{flat} of {len(one['attackers'])} attackers have flattened"
        said += f"; still rising: {', '.join(rising)}" if rising else ""
        lines.append(f"{one['experiment']}/{one['set']}: {one['note'] or said}")
    return "\n".join(lines)


def _row(row: Method, once: Run, twice: Run) -> dict[str, Any]:
    """Return how the attackers of one row gained."""
    seed = once.plan.seeds[0]
    first, second = once.kept(row, seed), twice.kept(row, seed)
    reached = {one["attack"]: one["measures"] for one in second["findings"]}
    attackers = {
        name: {
            "gain": {key: round(value, 4) for key, value in one["gain"].items()},
            "reached": {key: reached[name][key] for key in one["gain"]},
            "flat": one["flat"],
        }
        for name, one in flattened(_attacked(first), _attacked(second)).items()
    }
    return {
        "experiment": row.experiment,
        "set": row.set,
        "note": first["note"],
        "attackers": attackers,
        "rising": [name for name, one in attackers.items() if not one["flat"]],
        "best": _best(first["figures"], second["figures"]),
        "seconds": [first["seconds"], second["seconds"]],
    }


def _attacked(result: Mapping[str, Any]) -> Attacked:
    """Return what is kept of a row's attacks as far as their figures are compared."""
    found: Sequence[Finding] = [
        Finding(one["attack"], one["knowledge"], one["measures"]) for one in result["findings"]
    ]
    return Attacked(found, result["figures"])


def _best(once: Mapping[str, Any], twice: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Return label -> what -> the best attacker's figure with the budget and with twice of it."""
    return {
        label: {
            what: [round(one[what]["value"], 4), round(figures[what]["value"], 4)]
            for what in one
            if what in (figures := twice.get(label, {}))
        }
        for label, one in once.items()
    }
