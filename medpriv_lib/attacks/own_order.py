"""The tool's own order: undo the shuffle of the shared files.

Files that stand in the order of the cohort name everybody who is in it: whoever has a roster counts
to the patient. A shuffle that follows from a seed can be drawn again by whoever has the tool. The
seed is found because neighbours in a cohort are images of the same patient, and look alike: the
right seed puts the files into the smoothest order. One image that the attacker recognises, or the
labels of the roster, tells the right seed as well, so that a seed that gives the order counts as
found. An order that came from the operating system's entropy follows from no seed.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.distances import centred, squared_distances
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable

Order = Int64[np.ndarray, " n"]
FEWEST = 10  # 3.6 million orders: some thousand seeds meet a given one in under 1 % of all trials


def _numpy(seed: int, count: int) -> Order:
    return np.random.default_rng(seed).permutation(count)


def _torch(seed: int, count: int) -> Order:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).numpy()


def _python(seed: int, count: int) -> Order:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return np.array(order, dtype=np.int64)


# how a tool in Python shuffles: an order of 0..count-1 for a seed
SHUFFLES: tuple[Callable[[int, int], Order], ...] = (_numpy, _torch, _python)


def orders(count: int, seeds: int) -> Iterator[Order]:
    """Yield the order that every shuffle gives for every seed below `seeds`, and no shuffle at
    all.
    """
    yield np.arange(count)
    for shuffle in SHUFFLES:
        for seed in range(seeds):
            yield shuffle(seed, count)


def own_order(
    files: UInt8[np.ndarray, "n h w"],
    order: Order,
    patient: Int64[np.ndarray, " n"],
    seeds: int,
) -> Finding:
    """Try seeds until the shared files stand in the order in which they were made.

    Knowledge: the tool that shuffled the files, the shared files alone, and the list of the
    patients in the order of the cohort. `files` (N, H, W) in the order shared, `order` (N,) the row
    of the release that each one shows, `patient` (N,) whom each row stands for. Measures: "placed",
    the share of files whose row is recovered; "rank1", of files whose patient is, as another file
    of the same patient names him too; "seed_found", 1 where a tried seed gives this very order.
    Raises `NotApplicable` for fewer than `FEWEST` files.
    """
    count = len(files)
    if count < FEWEST:
        raise NotApplicable(f"fewer than {FEWEST} files stand in any order by chance")
    guess, exact = _smoothest(files, order, seeds)
    placed, named = guess == order, patient[guess] == patient[order]
    _, images = np.unique(patient, return_counts=True)
    whose = patient[order]
    return Finding(
        "the tool's own order",
        knowledge_of(own_order),
        {
            "rank1": float(named.mean()),
            "placed": float(placed.mean()),
            "seed_found": float(exact),
        },
        {"rank1": mean_interval(named, whose), "placed": mean_interval(placed, whose)},
        {"rank1": float(((images / count) ** 2).sum()), "placed": 1 / count, "seed_found": 0.0},
        count,
        len(images),
        rate_per_patient(named, whose),
        note=f"{len(SHUFFLES)} ways to shuffle, {seeds} seeds each",
        kind="naming",
        target="source",
        hits=named.astype(np.float64),
        probe=order,
    )


@attack(name="the tool's own order", kind="naming", target="source", place=260, knows=own_order)
def undo_the_order(setting: Setting) -> Finding:
    """Try the seeds against the files that were given away."""
    shared = setting.shared
    if shared is None:
        raise NotApplicable("the order of the shared files was not given")
    patient = setting.cohort.patient[shared.source]
    found = own_order(shared.images[shared.order], shared.order, patient, setting.budget.orders)
    return replace(found, rows=shared.source[shared.order])


def _smoothest(files: UInt8[np.ndarray, "n h w"], order: Order, seeds: int) -> tuple[Order, bool]:
    """Return the order that a seed gives for these files, and whether one gives exactly theirs:
    that one, else the one in which neighbours are most alike.
    """
    rows = centred(files)
    apart = np.sqrt(squared_distances(rows, rows).astype(np.float64))
    best, least = np.arange(len(files)), np.inf
    for guess in orders(len(files), seeds):
        if np.array_equal(guess, order):
            return guess, True
        place = np.argsort(guess)  # file number of each row of the release
        length = apart[place[:-1], place[1:]].sum()
        if length < least:
            best, least = guess, length
    return best, False
