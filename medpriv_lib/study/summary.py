"""What attacks found as rows of a file: findings, the table's cells, risks per patient, spreads of
draws and seeds.
"""

from collections.abc import Sequence

import numpy as np

from medpriv_lib.attacks.best import LINKING, NAMING, best, columns
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.measures.per_patient import Risk, risk, spreads


def summary(found: Sequence[Finding], scene: Scene) -> dict:
    """Return findings as JSON values, the table's cells, and the risk per patient from the best
    naming attack.
    """
    rows = []
    for one in found:
        plain = one.rows()
        winners = (best(found, "rank1"), best(found, "linkage_auc"))
        keep = one in winners or one.attack.startswith("membership")
        plain["per_patient"] = plain["per_patient"] if keep else {}
        plain["curves"] = {
            key: [round(v, 3) for v in values]
            for key, values in plain["curves"].items()
            if len(values) <= 200
        }
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
    return risk(
        finding.hits,
        scene.cohort.patient[rows],
        scene.cohort.diseased[rows],
        np.random.default_rng(0),
    )


def rates_in(of_draws: list[list[Finding]]) -> dict:
    """Return per attack its main measure and what it reaches in each draw."""
    result = {}
    for place, one in enumerate(of_draws[0]):
        measure = (
            "rank1" if one.attack in NAMING else "linkage_auc" if one.attack in LINKING else None
        )
        rates = [draw[place].measures.get(measure) for draw in of_draws]
        if measure and None not in rates:
            result[one.attack] = {
                "measure": measure,
                "rates": [round(float(rate), 6) for rate in rates],
            }
    return result


def spread_of(seeds: list[dict]) -> dict:
    """Return per attack how its main number moves with the draws and with the attacker's seed,
    apart.
    """
    result = {}
    for attack, one in seeds[0].items():
        if all(attack in rates for rates in seeds):
            each = np.array([rates[attack]["rates"] for rates in seeds])
            result[attack] = {"measure": one["measure"], "mean": round(float(each.mean()), 4)} | {
                key: round(value, 4) for key, value in spreads(each).items()
            }
    return result


def _plain(one: Risk) -> dict:
    return {
        "mean": round(one.mean, 4),
        "mean_interval": [round(end, 4) for end in one.mean_interval],
        "worst_decile": round(one.worst_decile, 4),
        "worst_interval": [round(e, 4) for e in one.worst_interval],
        "equal_worst_decile": round(one.equal_worst_decile, 4),
        "equal_interval": [round(end, 4) for end in one.equal_interval],
        "excess_p": round(one.excess_p, 4),
        "always": round(one.always(), 4),
        "by_label": {
            label: [round(float(value), 4) for value in values]
            for label, values in one.by_label.items()
        },
    }
