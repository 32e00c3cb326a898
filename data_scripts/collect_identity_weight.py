"""Put trainings of the disentangled network that differ in the weight of the identity head beside
each other.

    python data_scripts/collect_identity_weight.py --out chapters/results/identity-weight.json \
        CARD CARD ...

Each CARD is the JSON that `train_disentangled.py --set Training.identity=WEIGHT` wrote beside its
weights. The trainings must be of one cohort, one architecture and one seed, and differ in this
weight only.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.core.files import write_json  # noqa: E402

WEIGHT = "identity"
SHARED = ("architecture", "config", "data_hash")


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


def collected(trainings: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the trainings in the order of their weights. Raises `ValueError` where more than the
    weight differs, or where a weight is there twice.
    """
    first, *rest = trainings = sorted(trainings, key=lambda one: one[WEIGHT])
    for one in rest:
        for key in SHARED:
            if one[key] != first[key]:
                raise ValueError(f"weight {one[WEIGHT]}: another {key} than {first[WEIGHT]}")
    weights = [one[WEIGHT] for one in trainings]
    if len(set(weights)) < len(weights):
        raise ValueError(f"weights {weights}: one is there twice")
    points = [{key: one[key] for key in (WEIGHT, "metrics")} for one in trainings]
    return {key: first[key] for key in SHARED} | {"trainings": points}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cards", nargs="+", type=Path, metavar="CARD")
    parser.add_argument("--out", required=True, help="the JSON file")
    options = parser.parse_args()
    try:
        write_json(Path(options.out), collected([training(one) for one in options.cards]))
    except ValueError as error:
        print(f"collect_identity_weight: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
