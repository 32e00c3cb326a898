"""Releases per second: sign transfer and disentangled networks beside PPRL-VGAN.

All three release the same images of the crossed cohort with the weights that ship, in turns, on one
thread. Processor seconds are counted, so that a busy machine changes nothing but the caches.
"""

import time
from statistics import median

import numpy as np
import torch

from medpriv_lib.core import weights
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.privatizers.disentangled.disentangled import Disentangled
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.sign_transfer.sign_transfer import SignTransfer
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN

REPEATS, IMAGES = 5, 96


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    torch.set_num_threads(1)
    cohort = packaged_cohort("crossed")
    few = cohort.of("test").take(np.arange(IMAGES))
    resources = Resources(cohort, weights.FOLDER / "crossed")
    methods = {
        "sign transfer": SignTransfer.ready(resources),
        "disentangled, synthetic identity": Disentangled.ready(resources, identity="synthetic"),
        "PPRL-VGAN": PPRLVGAN.of(resources),
    }
    speed: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(REPEATS + 1):
        for name, method in methods.items():
            start = time.process_time()
            method.privatize(few, seeded(0, "speed", repeat))
            if repeat:
                speed[name].append(IMAGES / (time.process_time() - start))
    peer = median(speed.pop("PPRL-VGAN"))
    return [
        {
            "name": f"Releases by {name}, beside PPRL-VGAN's, per processor second",
            "ours": median(found),
            "peer": peer,
            "ratio": median(found) / peer,
            "unit": "images/s",
        }
        for name, found in speed.items()
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<72} {row['ours']:8.1f} {row['unit']}   peer {row['peer']:8.1f}  ratio "
            f"{row['ratio']:.2f}"
        )
