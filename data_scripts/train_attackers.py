"""Train the attackers' networks of originals on the package's cohort and write them to the
package's weights.

python data_scripts/train_attackers.py [--keep FOLDER] [--out medpriv_lib/weights/confounded]

Two minutes on one core. An attack on a release of the package's cohort then begins with the
networks of the releases.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import numpy as np  # noqa: E402

from medpriv_lib.attacks.attackers import SHIPPED, Attackers  # noqa: E402
from medpriv_lib.attacks.scene import Scene  # noqa: E402
from medpriv_lib.core.weights import DEFAULT  # noqa: E402
from medpriv_lib.data.packaged import default_cohort  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", help="folder that keeps what is finished, for going on")
    parser.add_argument("--out", default=str(DEFAULT))
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    cohort = default_cohort()
    test, rest = np.flatnonzero(cohort.split == "test"), np.flatnonzero(cohort.split != "test")
    nobody = np.empty((len(test), 0), dtype=np.int64)
    scene = Scene(cohort, cohort.images[test], test, cohort.images[rest], rest, nobody)
    attackers = Attackers(
        cohort,
        None if options.keep is None else Path(options.keep),
        shipped=False,
        advance=lambda what: print(what, flush=True),
        command="python data_scripts/train_attackers.py",
    )
    print(attackers.ship(scene, Path(options.out) / SHIPPED))


if __name__ == "__main__":
    main()
