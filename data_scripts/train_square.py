"""Train the square-activation network for encrypted inference with CKKS on the package's cohort.

python data_scripts/train_square.py [--out medpriv_lib/weights]

A minute on one core.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import torch  # noqa: E402

from medpriv_lib.core import weights  # noqa: E402
from medpriv_lib.data.packaged import default_cohort  # noqa: E402
from medpriv_lib.encrypted.ckks import KIND, fit_square, shrunk  # noqa: E402

EPOCHS, SEED = 40, 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default=str(weights.FOLDER))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cohort, start = default_cohort(), time.process_time()
    network = fit_square(cohort.of("train"), SEED, EPOCHS)
    test = cohort.of("test")
    with torch.no_grad():
        logits = network(shrunk(test.images))
    margin = logits[:, 1] - logits[:, 0]
    ill = torch.from_numpy(test.diseased)
    wins = (margin[ill][:, None] > margin[~ill][None]).double().mean()
    metrics = {
        "test_auc": round(float(wins), 4),
        "test_accuracy": round(float(((margin > 0) == ill).double().mean()), 4),
    }
    print(metrics, f"{time.process_time() - start:.0f} CPU s")
    card = {
        "kind": KIND,
        "data_hash": cohort.hash(),
        "config": {"epochs": EPOCHS},
        "seed": SEED,
        "command": "python data_scripts/train_square.py",
        "metrics": metrics,
        "curve": {},
    }
    print(weights.save(Path(options.out) / KIND, network.state_dict(), card))


if __name__ == "__main__":
    main()
