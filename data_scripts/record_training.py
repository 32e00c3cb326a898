r"""Keep what one more training of PPRL-VGAN comes to: settings, curve, and its rows of the table.

    python data_scripts/record_training.py runs/seed-1 --cohort confounded \
        --out chapters/results/confounded/pprl-vgan-seed-1.json

The folder holds `pprl-vgan.safetensors` and its card, as `train_weights.py` wrote them. The judges
are those that ship (`--judges` names others); the weights themselves are not kept.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from train_disentangled import cohort_of  # noqa: E402

from medpriv_lib.core import weights as store  # noqa: E402
from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.pipeline.weights import VGAN  # noqa: E402
from medpriv_lib.privatizers.protocol import Resources  # noqa: E402
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN  # noqa: E402
from medpriv_lib.recognition.judges import Judges  # noqa: E402
from medpriv_lib.study.compare import compare  # noqa: E402
from medpriv_lib.study.rows import Method  # noqa: E402
from medpriv_lib.study.run import more_judges  # noqa: E402

WHAT = (
    "PPRL-VGAN trained once more: settings, validation curve, and the rows of the table that it "
    "makes, scored by the judges of the weights that ship. The weights are not kept."
)


def painted(row: Method) -> bool:
    """Say whether a row of the table is made by the generator."""
    return row.cls is PPRLVGAN or row.set.startswith(("average of", "prior sample"))


def record(
    folder: Path, cohort: Cohort, judges: Path | None, draws: int, seed: int
) -> dict[str, Any]:
    """Return what is kept of the training in a folder."""
    card = store.read_card(folder / VGAN)
    vgan = PPRLVGAN.of(Resources(cohort, folder))
    asked = Judges.load(judges, cohort)
    expert, eye_judge = more_judges(cohort, judges)
    study = compare(
        cohort,
        asked,
        vgan,
        draws,
        seed,
        weights=judges,
        expert=expert,
        eye_judge=eye_judge,
        wanted=painted,
    )
    made = {key: card[key] for key in ("seed", "config", "data_hash", "versions", "curve")}
    used = {"judges": asked.card["sha256"], VGAN: card["sha256"]}
    return {
        "what": WHAT,
        "training": made,
        "provenance": study.provenance | {"weights": used},
        "rows": [row for row in study.rows if row.get("n") is not None],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="holds pprl-vgan.safetensors and its card")
    parser.add_argument(
        "--cohort", required=True, help="a file made by `medpriv prepare`, or a cohort that ships"
    )
    parser.add_argument("--judges", type=Path, help="folder of weights (default: the package's)")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the draws, as in the table")
    parser.add_argument("--out", required=True, type=Path, help="the JSON file")
    options = parser.parse_args()
    try:
        found = record(
            options.folder, cohort_of(options.cohort), options.judges, options.draws, options.seed
        )
        write_json(options.out, found)
    except (ValueError, OSError) as error:
        print(f"record_training: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
