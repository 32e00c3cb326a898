"""Make a packaged cohort as one file: draw it, find the eyes, cut, split.

python data_scripts/make_cohort.py --kind confounded --out medpriv_lib/data/cohorts/confounded.npz
       [--difficulty person_spread=0.5,weak_share=0.3] [--workers 16] [--folder FOLDER]

About six minutes of processor time, so one minute or less on 16 cores. With --folder the drawn
images stay, and a killed run is completed.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

from medpriv_lib.core.intervals import area  # noqa: E402
from medpriv_lib.data.packaged import KINDS  # noqa: E402
from medpriv_lib.data.redraw import redraw  # noqa: E402
from medpriv_lib.data.synthetic import cohort as first  # noqa: E402
from medpriv_lib.data.synthetic.appearance import darkest  # noqa: E402
from medpriv_lib.data.synthetic.difficulty import changed  # noqa: E402
from medpriv_lib.data.synthetic.visits import SEED  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--difficulty", default="", help="name=value,... on top of VISITS")
    parser.add_argument("--patients", type=int, default=first.PATIENTS)
    parser.add_argument("--images", type=int, default=first.IMAGES)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=None, help="processes (default: all cores)")
    parser.add_argument("--folder", type=Path, default=None, help="keeps the drawn images")
    options = parser.parse_args()
    start = time.perf_counter()
    try:
        cohort, report = redraw(
            options.kind,
            changed(options.difficulty),
            options.patients,
            options.images,
            options.size,
            options.seed,
            options.workers,
            options.folder,
        )
        options.out.parent.mkdir(parents=True, exist_ok=True)
        cohort.save(options.out)
    except (ValueError, OSError) as error:
        print(f"make_cohort: error: {error}", file=sys.stderr)
        return 2
    ill, val, evidence = cohort.diseased, cohort.of("val"), cohort.evidence
    assert evidence is not None  # every synthetic eye has some
    both = val.diseased.any() and not val.diseased.all()
    alone = f"{area(darkest(val.images), val.diseased):.3f}" if both else "without both labels"
    print(
        f"{options.out}: {len(cohort)} images of {cohort.patients} patients, {ill.sum()} with "
        f"glaucoma, {(~evidence[ill].any(axis=(1, 2))).mean():.1%} of these with no pixel "
        f"of evidence, {len(report['left_out'])} lost, hash {cohort.hash()}, darkest level alone "
        f"{alone} (val), "
        f"{time.perf_counter() - start:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
