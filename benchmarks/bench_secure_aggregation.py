"""Masks for 1,000,000 weights among 10 sites, beside what plain averaging does.

Ours and the peers take turns on one thread; the figures are medians of CPU seconds. The peers do
less: plain averaging hides nothing, and the masks of Flower's older workflow follow from a seed of
32 bits, which can be tried out. About ten seconds on one core.
"""

import secrets
import time
from statistics import median

import numpy as np
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen

from medpriv_lib.federation.secure_aggregation import masks
from medpriv_lib.study.secure_aggregation import bytes_of, timed_plain, timed_round

SITES, WEIGHTS, LOST, REPEATS = 10, 1_000_000, 2, 3


def _one_mask() -> float:
    numbers, key = np.zeros(WEIGHTS, np.uint64), secrets.token_bytes(32)
    start = time.process_time()
    masks.apply(numbers, key, 1)
    return time.process_time() - start


def _older_mask() -> float:
    numbers, seed = np.zeros(WEIGHTS, np.int64), secrets.token_bytes(32)
    start = time.process_time()
    numbers += pseudo_rand_gen(seed, 2**32, [(WEIGHTS,)])[0]
    return time.process_time() - start


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    rounds, lossy, plain, ours, older = [], [], [], [], []
    for _ in range(REPEATS):
        rounds.append(timed_round(SITES, WEIGHTS, 0))
        plain.append(timed_plain(SITES, WEIGHTS))
        lossy.append(timed_round(SITES, WEIGHTS, LOST))
        ours.append(_one_mask())
        older.append(_older_mask())

    def middle(parts: list[dict[str, float]], *names: str) -> float:
        return median(sum(one[name] for name in names) for one in parts)

    what, beside = f"{WEIGHTS:,} weights, {SITES} sites", "beside a plain average"
    coordinator = ("collect", "open")
    at_site = middle(rounds, "share", "mask", "reveal")
    at_coordinator, with_losses = (middle(one, *coordinator) for one in (rounds, lossy))
    averaged = middle(plain, "plain coordinator")
    sent = bytes_of(SITES, WEIGHTS + 1)["sent"] / 1e6
    found = [
        (f"one site's masks, {what}, {beside} (bytes of float32)", at_site)
        + (middle(plain, "plain site"), "CPU s"),
        (f"the coordinator's sum, {what}, {beside}", at_coordinator, averaged, "CPU s"),
        (f"the same with {LOST} sites lost", with_losses, averaged, "CPU s"),
        (f"what one site sends, {what}, {beside}", sent, 4 * WEIGHTS / 1e6, "MB"),
        (f"one mask of {WEIGHTS:,} numbers beside Flower's older workflow (seed of 32 bits)",)
        + (median(ours), median(older), "CPU s"),
    ]
    return [
        {"name": name, "ours": mine, "peer": peer, "ratio": peer / mine, "unit": unit}
        for name, mine, peer, unit in found
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<84} {row['ours']:8.4f} {row['unit']:<5}  peer {row['peer']:8.4f}  "
            f"ratio {row['ratio']:.3f}"
        )
