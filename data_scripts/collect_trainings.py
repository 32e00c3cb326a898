"""Put several trainings of the disentangled network on one cohort beside each other.

    python data_scripts/collect_trainings.py --out chapters/results/disentangled-trainings.json \
        FOLDER FOLDER FOLDER

Each folder belongs to one training: `disentangled-closed.json`, the card that
`train_disentangled.py` wrote; `table.json`, of `medpriv study` with these weights; and
`attacks.json`, of the attackers on the row of synthetic identities. The trainings must be of one
cohort and differ in their seed only.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.core.files import write_json  # noqa: E402

CARD, TABLE, ATTACKS = "disentangled-closed.json", "table.json", "attacks.json"
EXPERIMENT, ATTACKED = "disentangled", "synthetic identities"
MEASURES = (
    "own_signs_auc",
    "evidence_kept",
    "evidence_own_minus_other",
    "expert_auc",
    "expert_f1",
    "expert_healthy_ill",
    "expert_severity",
    "identity_accuracy",
    "eye_accuracy",
    "intelligibility_found",
    "intelligibility_kid_x1000",
)


def training(folder: Path) -> dict[str, Any]:
    """Return what is known of one training."""
    card = read(folder / CARD)
    table = read(folder / TABLE)
    attacked = [
        row
        for row in rows_of_attacks(read(folder / ATTACKS))
        if (row["experiment"], row["set"]) == (EXPERIMENT, ATTACKED)
    ]
    if len(attacked) != 1:
        raise ValueError(
            f"{folder / ATTACKS}: the row {EXPERIMENT} / {ATTACKED} is there {len(attacked)} "
            "times instead of once; attack it with these weights"
        )
    if (used := table["provenance"]["data_hash"]) != card["data_hash"]:
        raise ValueError(
            f"{folder / TABLE}: of cohort {used}, but the weights are of {card['data_hash']}; "
            "run the study on the cohort of the weights"
        )
    config = dict(card["config"]["training"])
    keys = [key for one in MEASURES for key in (one, f"{one}_low", f"{one}_high")]
    return {
        "seed": config.pop("seed"),
        "config": config,
        "data_hash": card["data_hash"],
        "metrics": card["metrics"],
        "curve": card["curve"]["rounds"],
        "rows": {
            row["set"]: {key: row.get(key) for key in keys}
            for row in table["rows"]
            if row["experiment"] == EXPERIMENT and not row["note"]
        },
        "attacks": attacked[0]["figures"],
    }


def rows_of_attacks(content: dict) -> list[dict]:
    """Return the attacked rows, whichever command wrote the file."""
    if "cohorts" not in content:
        return list(content["methods"])
    return [row for one in content["cohorts"].values() for row in one["rows"]]


def read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; every training needs {CARD}, {TABLE}, {ATTACKS}")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def collected(
    trainings: Sequence[dict[str, Any]],
    by: str = "seed",
    shared: Sequence[str] = ("config", "data_hash"),
) -> dict[str, Any]:
    """Return the trainings as one table: what they share once, then each with its own.

    Raises `ValueError` where they differ in what is `shared`, or two have the same value of `by`.
    """
    first = trainings[0]
    for one in trainings[1:]:
        for key in shared:
            if one[key] != first[key]:
                raise ValueError(f"{by} {one[by]}: another {key} than {by} {first[by]}")
    values = [one[by] for one in trainings]
    if len(set(values)) < len(values):
        raise ValueError(f"{by} {values}: one is there twice; a training counts once")
    own = [{key: one[key] for key in one if key not in shared} for one in trainings]
    return {key: first[key] for key in shared} | {"trainings": own}


def command(
    said: str | None, metavar: str, collect: Callable[[Sequence[Path]], dict[str, Any]]
) -> int:
    """Collect the files or folders of the command line into the file of --out; `said` is the help.

    Returns 2, with the reason on stderr, for what does not belong together.
    """
    parser = argparse.ArgumentParser(
        description=said, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar=metavar)
    parser.add_argument("--out", required=True, help="the JSON file")
    options = parser.parse_args()
    try:
        write_json(Path(options.out), collect(options.paths))
    except ValueError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    return 0


def main() -> int:
    return command(__doc__, "FOLDER", lambda paths: collected([training(one) for one in paths]))


if __name__ == "__main__":
    raise SystemExit(main())
