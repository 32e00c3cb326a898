"""One round of three sites through Flower's messages in one process, beside the plain loop.

Both train the same sites on the same images with the same draws and end at the same weights, which
is checked; what differs is the messages. The figures are medians of CPU seconds, taken in turns,
and the ratio is how much faster ours is: below 1, for messages cost something. A second row has
what a process per message imports. Half a minute on one core.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch

from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.federation.average import average
from medpriv_lib.federation.conduct import Rounds
from medpriv_lib.federation.local import LocalTraining, Weights, fit_site
from medpriv_lib.federation.sites import Site, deal, split_by_patient
from medpriv_lib.pipeline.federate import federate, plan_of
from medpriv_lib.study.federated import shrunk

REPEATS = 3


def plain(sites: tuple[Site, ...]) -> Weights:
    """Return the weights after one round, without messages."""
    plan = plan_of(sites, Rounds(1), LocalTraining())
    weights, updates = plan.first_weights(seeded(0, "first weights")), []
    for site in sites:
        network = plan.network()
        network.load_state_dict(weights)
        settings = plan.training.of_round(1, 1)
        updates.append(fit_site(network, site, settings, seeded(0, site.name, 1)))
    return average(updates)


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    torch.set_num_threads(1)
    cohort = split_by_patient(shrunk(packaged_cohort("crossed")), seeded(0, "split"))
    sites = deal(cohort, 3, "even", seeded(0, "deal"))
    works: dict[str, Callable[[], Weights]] = {
        "ours": lambda: federate(sites, rounds=Rounds(1, validate=False)).network.state_dict(),
        "peer": lambda: plain(sites),
    }
    found = {name: work() for name, work in works.items()}  # imports and first calls
    assert all(torch.equal(found["ours"][name], one) for name, one in found["peer"].items())
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, work in works.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    ours, peer = median(seconds["ours"]), median(seconds["peer"])
    images = sum(len(site.train) for site in sites)
    return [
        {
            "name": f"a federated round, 3 sites, {images} images of 32x32, beside the plain loop",
            "ours": ours,
            "peer": peer,
            "ratio": peer / ours,
            "unit": "CPU s",
        },
        importing(),
    ]


def importing() -> dict:
    """Return what a site's process imports for a message of keys or shares, beside what it imports
    for one to train: Flower starts a process for each message.
    """
    code = "import time; import {}; print(time.process_time())"
    seconds: dict[str, list[float]] = {"entry": [], "apps": []}
    for _ in range(REPEATS):
        for name, each in seconds.items():
            words = [sys.executable, "-c", code.format(f"medpriv_lib.federation.{name}")]
            said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            each.append(float(said))
    ours, peer = median(seconds["entry"]), median(seconds["apps"])
    return {
        "name": "what a message of keys imports, beside a message to train",
        "ours": ours,
        "peer": peer,
        "ratio": peer / ours,
        "unit": "CPU s",
    }


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<72} {row['ours']:8.3f} {row['unit']}   peer {row['peer']:8.3f}  "
            f"ratio {row['ratio']:.2f}"
        )
