"""Put trainings of the disentangled network that differ in the weight of the identity head beside
each other.

    python data_scripts/collect_identity_weight.py --out chapters/results/identity-weight.json \
        CARD CARD ...

Each CARD is the JSON that `train_disentangled.py --set Training.identity=WEIGHT` wrote beside its
weights. The trainings must be of one cohort, one architecture and one seed, and differ in this
weight only.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collect_trainings import collected, command

WEIGHT = "identity"


def training(path: Path) -> dict[str, Any]:
    """Return what the card says of one training."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; name the cards of finished trainings")
    card = json.loads(path.read_text(encoding="utf-8"))
    try:
        config = dict(card["config"]["training"])
        shared = {"architecture": card["architecture"], "data_hash": card["data_hash"]}
        return {WEIGHT: config.pop(WEIGHT), "metrics": card["metrics"], "config": config} | shared
    except KeyError as error:
        raise ValueError(f"{path}: no {error} in it; it is no card of these networks") from error


def main() -> int:
    def collect(paths: Sequence[Path]) -> dict[str, Any]:
        trainings = sorted((training(path) for path in paths), key=lambda one: one[WEIGHT])
        return collected(trainings, WEIGHT, ("architecture", "config", "data_hash"))

    return command(__doc__, "CARD", collect)


if __name__ == "__main__":
    raise SystemExit(main())
