"""Choose the size of sign transfer's pupil on validation images, and say what other trainings of
the network reach on test images with the size that was chosen.

python data_scripts/choose_pupil.py --development FILE \
    --out chapters/results/sign-transfer-pupil.json FILES

`--development` is the expert who fills no table (`data_scripts/train_expert.py` trains both); FILES
are further trainings of sign transfer (`data_scripts/train_sign_transfer.py`). Validation is judged
by the development expert, the test images by the expert of the tables. The rule of the choice:
among the sizes whose e lies within a tenth of 1 in both cohorts, the one whose releases keep the
severity of the ill best (mean of both cohorts).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.intervals import area
from medpriv_lib.core.provenance import versions
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import KINDS, packaged_cohort
from medpriv_lib.measures.expert_reading import rank_correlation
from medpriv_lib.measures.kinds_of_signs import kinds, pupil_edges
from medpriv_lib.measures.own_signs import of_other_patients, own_versus_other
from medpriv_lib.privatizers.sign_transfer.sign_transfer import FLOOR, LOW_FLOOR, SignTransfer
from medpriv_lib.recognition.expert import Expert

SIZES = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55)
OTHERS = ({"pupil": "kept"}, {"pupil": "freed"}, {"pupil": "quantised"})
NEAR = 0.1


def figures(method: SignTransfer, cohort: Cohort, expert: Expert, seed: int = 0) -> dict[str, Any]:
    """Return what arrives of the signs, and how the expert reads the releases."""
    assert cohort.twin is not None
    assert cohort.evidence is not None
    ill = cohort.diseased
    true = (cohort.images.astype(np.float64) - cohort.twin) * cohort.evidence
    sick = np.flatnonzero(true.any(axis=(1, 2)) & ill)
    released = method.privatize(cohort, seeded(seed)).images
    of_twins = method.privatize(without_disease(cohort), seeded(seed)).images
    change, maps = released[sick].astype(np.float64) - of_twins[sick], true[sick]
    other = of_other_patients(cohort.patient[sick])
    score, before = expert.score(released), expert.score(cohort.images)
    called, was = score >= expert.threshold, before >= expert.threshold
    found = {
        "e": (change * maps).sum() / (maps**2).sum(),
        **{
            f"e_{kind}": (change * maps * where).sum() / (maps**2 * where).sum()
            for kind, where in kinds(maps, pupil_edges(cohort.twin[sick])).items()
        },
        "own": own_versus_other(change, maps, other).mean(),
        "auc": area(score, ill),
        "f1": f1_score(ill, called),
        "f1_originals": f1_score(ill, was),
        "severity": rank_correlation(score[ill], before[ill]),
        "healthy_called_ill": called[~ill].mean(),
        "healthy_called_ill_originals": was[~ill].mean(),
    }
    return {name: round(float(value), 4) for name, value in found.items()} | {
        "n": len(cohort),
        "ill": int(ill.sum()),
        "with_signs": len(sick),
    }


def without_disease(cohort: Cohort) -> Cohort:
    """Return the same photographs without the disease: its renderer's twins."""
    assert cohort.twin is not None
    twins = cohort.take(np.arange(len(cohort)))
    object.__setattr__(twins, "images", cohort.twin)
    return twins


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trainings", nargs="*", metavar="FILES", help="other trainings")
    parser.add_argument("--development", required=True, help="the expert who fills no table")
    parser.add_argument("--out", required=True, help="JSON file")
    options = parser.parse_args()
    shipped = weights.shipped("sign-transfer")
    development = Expert.load(options.development, development=True)
    settings: list[dict[str, Any]] = [{**one, "floor": LOW_FLOOR} for one in OTHERS]
    settings += [{"pupil": "fixed", "size": size, "floor": FLOOR} for size in SIZES]
    cohorts = {kind: packaged_cohort(kind) for kind in KINDS}
    tried = []
    for one in settings:
        method = SignTransfer.load(shipped, **one)
        for kind, cohort in cohorts.items():
            row = figures(method, cohort.of("val"), development)
            tried.append({"cohort": kind, **one, **row})
            print(tried[-1], flush=True)
    size = chosen(tried)
    expert, test = Expert.load(), []
    for number, path in enumerate([shipped, *options.trainings]):
        for floor in (LOW_FLOOR, FLOOR):
            method = SignTransfer.load(path, pupil="fixed", size=size, floor=floor)
            for kind, cohort in cohorts.items():
                row = figures(method, cohort.of("test"), expert)
                name = "shipped" if number == 0 else Path(path).stem
                test.append({"training": name, "cohort": kind, "floor": floor, **row})
                print(test[-1], flush=True)
    content = {
        "made_by": "data_scripts/choose_pupil.py",
        "seed": 0,
        "versions": versions(),
        "hashes": {kind: cohort.hash() for kind, cohort in cohorts.items()},
        "validation": tried,
        "chosen": size,
        "test": test,
    }
    write_json(Path(options.out), content)


def chosen(tried: list[dict[str, Any]]) -> float:
    """Return the size that the rule of this file's docstring chooses."""
    kept: dict[float, float] = {}
    for size in SIZES:
        rows = [row for row in tried if row.get("size") == size]
        if all(abs(row["e"] - 1) <= NEAR for row in rows):
            kept[size] = float(np.mean([row["severity"] for row in rows]))
    return max(kept, key=lambda size: kept[size])


if __name__ == "__main__":
    main()
