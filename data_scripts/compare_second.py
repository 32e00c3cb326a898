"""Compare releases of the second cohorts with other photographs, in the four ways of the capstone's
held attacker, and write what the best of them links.

python data_scripts/compare_second.py --out chapters/results/compared-second.json

No network is trained, so this is a lower bound for attackers who know the method. Of each row one
release is drawn, its seed made from --seed; the originals are the positive control.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import numpy as np  # noqa: E402

from medpriv_lib.core import weights  # noqa: E402
from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.core.randomness import seeded  # noqa: E402
from medpriv_lib.data.second import KINDS, second_cohort  # noqa: E402
from medpriv_lib.privatizers.protocol import Resources  # noqa: E402
from medpriv_lib.study.capstone.judge import attacked  # noqa: E402
from medpriv_lib.study.capstone.task import Task  # noqa: E402
from medpriv_lib.study.rows import methods  # noqa: E402

COMPARED = ("baseline", "sign-transfer")
STRANGER = ("control", "stranger")


def main() -> None:
    """Write the file anew after each row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    content: dict = {
        "provenance": {
            "command": "data_scripts/compare_second.py",
            "seed": options.seed,
            "draws": 1,
            "versions": weights.versions(),
        },
        "cohorts": {},
    }
    for kind in KINDS:
        cohort = second_cohort(kind)
        rows = tuple(np.flatnonzero(cohort.split == part) for part in ("test", "train"))
        task, resources = Task(cohort, *rows), Resources(cohort, None, {})
        found: list[dict] = []
        content["cohorts"][kind] = {
            "data_hash": cohort.hash(),
            "n": len(rows[0]),
            "patients": len(np.unique(cohort.patient[rows[0]])),
            "rows": found,
        }
        for row in methods(second=True):
            if row.experiment not in COMPARED and row.name != STRANGER:
                continue
            shown, known = (
                row.release(
                    resources,
                    cohort.take(part),
                    seeded(options.seed, "compare", row.experiment, row.set, number),
                ).images
                for number, part in enumerate(rows)
            )
            line = attacked(task, shown, known)
            linked = (line.value, line.low, line.high)
            found.append(
                {
                    "experiment": row.experiment,
                    "set": row.set,
                    "linked": [round(float(v), 2) for v in linked if v is not None],
                    "by": line.said,
                }
            )
            write_json(options.out, content)
            print(kind, row.set, line, flush=True)


if __name__ == "__main__":
    main()
