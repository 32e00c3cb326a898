"""All attacks on the releases of one row, and the best attacker's figures by label: what a study
calls.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.best import best_figures
from medpriv_lib.attacks.budget import LONG, Budget
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.registry import attacks, run
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.recognition.networks import Recogniser

FLAT = 0.02  # an attacker who gains less from twice the effort has flattened


@dataclass(frozen=True, eq=False)
class Attacked:
    """What all attacks found in one row: the `findings`, and `figures`, label -> what -> the best
    attacker's, as of `best_figures`.
    """

    findings: Sequence[Finding]
    figures: dict[str, dict[str, dict[str, Any]]]

    def plain(self) -> dict[str, Any]:
        """Return JSON values; no patient stands among them."""
        return {
            "figures": self.figures,
            "findings": [one.plain() | {"per_patient": {}, "curves": {}} for one in self.findings],
        }


def attack_release(
    scenes: Sequence[Scene],
    release: Release,
    maker: Privatizer | None,
    *,
    identity: Recogniser | None = None,
    budget: Budget = LONG,
    seed: int = 0,
    name: str = "",
    folder: Path | None = None,
    names: Collection[str] | None = None,
    shipped: bool = True,
) -> Attacked:
    """Return what attackers find in the random draws of one release, `scenes` one per draw.

    `release` is the first draw, for the method's name and parameters; `maker` the method, ready to
    run, None where the attacker has it not; `identity` a recogniser of the patients' originals;
    `name` and `folder` are for the attackers' networks, which are found there again; `names` the
    attacks to run, None for all that ask about a release (an attack on the training of networks is
    asked once per cohort). Raises as `run`.
    """
    team = Attackers(scenes[0].cohort, folder, seed, budget=budget, shipped=shipped)
    setting = Setting(
        scenes,
        team,
        release.method,
        release.parameters,
        None if maker is None else type(maker),
        identity,
        seed,
        name,
        maker=maker,
    )
    if names is None:
        names = [one.name for one in attacks() if one.asked != "cohort"]
    found = run(setting, names)
    return Attacked(found, best_figures(found))


def flattened(once: Attacked, twice: Attacked) -> dict[str, dict[str, Any]]:
    """Return, for each attack that both have, how its main figures moved when its effort was
    doubled, and whether it has flattened: no gain above `FLAT`.

    `once` and `twice` are the same release attacked with a budget and with its `doubled()`.
    """
    result: dict[str, dict[str, Any]] = {}
    before = {one.attack: one for one in once.findings}
    for one in twice.findings:
        first = before.get(one.attack)
        keys = [
            key
            for key in ("rank1", "linkage_auc", "own_auc")
            if first is not None and key in first.measures and key in one.measures
        ]
        if first is None or not keys:
            continue
        moved = {key: one.measures[key] - first.measures[key] for key in keys}
        result[one.attack] = {"gain": moved, "flat": max(moved.values()) <= FLAT}
    return result
