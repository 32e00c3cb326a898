"""What attacks found as rows of a file: findings, the table's cells, risks per patient, spreads of
draws and seeds.
"""

from collections.abc import Sequence

import numpy as np

from medpriv_lib.attacks.best import best, best_figures, columns
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.risk import risk_of
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.measures.per_patient import Risk, spreads

MAIN = {"naming": "rank1", "linking": "linkage_auc"}  # the measure whose spread is reported


def summary(found: Sequence[Finding], scene: Scene) -> dict:
    """Return findings as JSON values, the best attacker's figures by label, the table's cells, and
    the risk per patient from the best naming attack.
    """
    rows = []
    for one in found:
        plain = one.plain()
        winners = (best(found, "rank1"), best(found, "linkage_auc"))
        keep = one in winners or one.kind == "membership"
        plain["per_patient"] = plain["per_patient"] if keep else {}
        plain["curves"] = {
            key: [round(v, 3) for v in values]
            for key, values in plain["curves"].items()
            if len(values) <= 200
        }
        rows.append(plain)
    figures = best_figures(found)
    result = {"findings": rows, "figures": figures, "columns": columns(figures)}
    for measure, key in (("rank1", "risk"), ("linkage_auc", "linkage_risk")):
        winner = best(found, measure)
        spread = risk_of(winner, scene.cohort)
        if winner is not None and spread is not None:
            result[key] = _plain(spread) | {"attack": winner.attack}
    return result


def rates_in(found: Sequence[Finding]) -> dict:
    """Return, for each attack that was run on every draw, its main measure and what it reaches in
    each.
    """
    result = {}
    for one in found:
        measure = MAIN.get(one.kind, "")
        rates = [draw.get(measure) for draw in one.draws]
        if measure and one.target == "source" and rates and None not in rates:
            result[one.attack] = {
                "measure": measure,
                "rates": [round(float(rate), 6) for rate in rates if rate is not None],
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
