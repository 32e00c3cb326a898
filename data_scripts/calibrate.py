"""Show how hard synthetic cohorts with visits are, on their validation images only.

python data_scripts/calibrate.py --folder runs/calibration --device cuda --workers 16
       --difficulty "" person_spread=0.5 person_spread=0.5,weak_share=0.3

For each difficulty (what differs from VISITS; "" is VISITS itself): the cohort is drawn, the two
recognisers are trained, and what they reach on the validation images is printed (aims: identity
about 90 %, disease about 93 %, F1 about 88 %), beside what two trivial judges reach: the majority
label of the patient, and the darkest level in the pupil. Then what the images look like (5, 50 and
95 % quantiles, training and validation images) beside five sets of real eyes. Test images are
never looked at. Cohorts, checkpoints and results are kept in the folder: a killed run is completed
by the same command. A cohort takes about six minutes of processor time.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import numpy as np  # noqa: E402

from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.files import atomic_write  # noqa: E402
from medpriv_lib.core.intervals import area  # noqa: E402
from medpriv_lib.data.packaged import KINDS  # noqa: E402
from medpriv_lib.data.redraw import redraw  # noqa: E402
from medpriv_lib.data.synthetic import cohort as first  # noqa: E402
from medpriv_lib.data.synthetic.appearance import (  # noqa: E402
    NAMES,
    REAL,
    darkest,
    quantiles,
)
from medpriv_lib.data.synthetic.difficulty import changed  # noqa: E402
from medpriv_lib.measures.scores import positive_f1  # noqa: E402
from medpriv_lib.recognition.train import fit_recogniser, logits  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--difficulty", nargs="+", default=[""], help="name=value,... each")
    parser.add_argument("--kind", choices=KINDS, default="confounded")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--device", default=None)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each recogniser")
    parser.add_argument("--epochs", type=int, default=None, help="default: the library's")
    parser.add_argument("--patients", type=int, default=first.PATIENTS)
    parser.add_argument("--images", type=int, default=first.IMAGES)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for text in options.difficulty:
        try:
            cohort = _cohort(text, options)
        except ValueError as error:
            print(f"calibrate: error: {error}", file=sys.stderr)
            return 2
        _judged(text, cohort, options)
        _looked_at(cohort)
    return 0


def _place(text: str, options: argparse.Namespace) -> Path:
    size = "" if options.images == first.IMAGES else f"-{options.patients}-{options.images}"
    return options.folder / f"{options.kind}{size}-{text or 'second'}"


def _cohort(text: str, options: argparse.Namespace) -> Cohort:
    path = _place(text, options).with_name(_place(text, options).name + ".npz")
    if not path.is_file():
        difficulty = changed(text)
        cohort, _ = redraw(
            options.kind,
            difficulty,
            options.patients,
            options.images,
            workers=options.workers,
        )
        cohort.save(path)
    return Cohort.load(path)


def _judged(text: str, cohort: Cohort, options: argparse.Namespace) -> None:
    """Print what the recognisers and the trivial judges reach on the validation images."""
    train, val = cohort.of("train"), cohort.of("val")
    start, found = time.perf_counter(), []
    for seed in range(1, options.seeds + 1):
        answers = {}
        for target in ("identity", "disease"):
            network, _ = fit_recogniser(
                train,
                val,
                target,
                seed=seed,
                epochs=options.epochs,
                device=options.device,
                resume=_place(text, options) / f"{target}-{seed}",
            )
            answers[target] = logits(network, val.images, 256).numpy()
        named = answers["identity"].argmax(axis=1) == val.patient
        score = answers["disease"][:, 1] - answers["disease"][:, 0]
        called = score > 0
        assert val.evidence is not None  # every synthetic eye has some
        seen = ~val.diseased | val.evidence.any(axis=(1, 2))
        found.append(
            {
                "identity": float(named.mean()),
                "disease": float((called == val.diseased).mean()),
                "f1": positive_f1(called, val.diseased),
                "auc": area(score, val.diseased),
                "auc where it can be seen": area(score[seen], val.diseased[seen]),
            }
        )
    row = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    ill = np.bincount(train.patient, train.diseased, cohort.patients)
    all_of = np.bincount(train.patient, minlength=cohort.patients)
    majority = (2 * ill > all_of)[val.patient]
    row |= {
        "majority of the patient": float((majority == val.diseased).mean()),
        "always healthy": float((~val.diseased).mean()),
        "darkest level, auc": area(darkest(val.images), val.diseased),
        "nothing visible": float((~seen).sum() / val.diseased.sum()),
    }
    print(f"\n{options.kind}, difficulty {text or 'VISITS'}, hash {cohort.hash()}")
    for key, value in row.items():
        print(f"  {key:28s} {100 * value:5.1f}")
    print(f"  ({time.perf_counter() - start:.0f} s, {len(val)} validation images)", flush=True)
    path = _place(text, options).with_name(_place(text, options).name + ".json")
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(row | {"hash": cohort.hash()}, indent=1))


def _looked_at(cohort: Cohort) -> None:
    rows = {"this cohort": quantiles(cohort.images[cohort.split != "test"])} | REAL
    print("  " + " " * 14 + "".join(f"{name:>19s}" for name in rows))
    for name in NAMES:
        cells = ("/".join(f"{value:.3g}" for value in row[name]) for row in rows.values())
        print(f"  {name:14s}" + "".join(f"{cell:>19s}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
