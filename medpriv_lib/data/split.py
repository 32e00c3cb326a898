"""Divide a cohort 65/15/20 into training, validation and test images."""

import numpy as np

SHARES = {"train": 0.65, "val": 0.15, "test": 0.20}


def split_sizes(n: int) -> dict[str, int]:
    """Return how many of n images go where: 65 % and 15 % rounded, the rest to the test (1,795:
    1,167/269/359).
    """
    train, val = round(SHARES["train"] * n), round(SHARES["val"] * n)
    return {"train": train, "val": val, "test": n - train - val}


def split_images(patient: np.ndarray, diseased: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Split per image, as the paper: exact sizes, each (patient, label) in proportion, returns (N,)
    of split names.

    The images are lined up with equal (patient, label) side by side, in random order otherwise, and
    dealt out along that line at even spacing; so each stratum gets its share to within one or two
    images and the totals are exact. Then a patient with two or more images who got no training
    image swaps one with a patient who has several. (scikit-learn's stratified splitters refuse
    strata of one image and miss the exact sizes.)
    """
    n = len(patient)
    strata = np.unique(np.stack([patient, diseased]), axis=1, return_inverse=True)[1].ravel()
    order = np.lexsort((rng.random(n), rng.permutation(strata.max() + 1)[strata]))
    sizes = split_sizes(n)
    # each split's images sit at the middles of equal intervals of the line; sorting these positions
    # deals them out
    places = np.concatenate([(np.arange(size) + 0.5) / max(size, 1) for size in sizes.values()])
    names = np.repeat(list(sizes), list(sizes.values()))
    split = np.empty(n, dtype="<U5")
    split[order] = names[np.argsort(places, kind="stable")]
    by_patient = np.argsort(patient, kind="stable")
    for rows in np.split(by_patient, np.flatnonzero(np.diff(patient[by_patient])) + 1):
        if len(rows) >= 2 and not (split[rows] == "train").any():
            _swap(split, patient, diseased, rng.permutation(rows), rng)
    return split


def _swap(
    split: np.ndarray,
    patient: np.ndarray,
    diseased: np.ndarray,
    rows: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Give one of `rows` to training, and a training image of a patient who keeps another one to
    its place.
    """
    train = split == "train"
    many = train & (np.bincount(patient, weights=train)[patient] >= 2)
    donors = rng.permutation(np.flatnonzero(many))
    for row in rows:
        same = donors[diseased[donors] == diseased[row]]
        if len(same):
            split[row], split[same[0]] = "train", split[row]
            return
    if len(donors):
        split[rows[0]], split[donors[0]] = "train", split[rows[0]]


def split_groups(group: np.ndarray, diseased: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Split so that no group (a patient, or an eye) is in two splits; sizes and labels as near
    65/15/20 as groups allow.

    `group` (N,) int. Large groups are placed first, each where images of its labels are missing
    most. Raises `ValueError` for fewer than three groups.
    """
    groups, index = np.unique(group, return_inverse=True)
    if len(groups) < 3:
        raise ValueError(
            f"{len(groups)} patients or eyes cannot fill three splits; split by image, or add "
            "patients"
        )
    have = np.stack(
        [np.bincount(index, weights=~diseased), np.bincount(index, weights=diseased)], axis=1
    )  # (G, 2)
    shares = np.array(list(SHARES.values()))
    wanted = shares[:, None] * have.sum(axis=0)  # (3, 2)
    shuffled = rng.permutation(len(groups))
    order = shuffled[np.argsort(-have[shuffled].sum(axis=1), kind="stable")]
    place, filled, members = (
        np.empty(len(groups), dtype=int),
        np.zeros((3, 2)),
        np.zeros(3, dtype=int),
    )
    for position, g in enumerate(order):
        # the squared shortfall, relative to what each split should hold, that would remain with g
        # there
        scale = np.maximum(wanted, 1e-9)
        now = ((wanted - filled) / scale) ** 2
        then = ((wanted - filled - have[g]) / scale) ** 2
        gain = ((now - then) * (have.sum(axis=0) > 0)).sum(axis=1)
        empty = members == 0
        if empty.sum() >= len(order) - position:  # as many groups left as empty splits: fill these
            gain[~empty] = -np.inf
        place[g] = int(np.argmax(gain))
        filled[place[g]] += have[g]
        members[place[g]] += 1
    return np.array(list(SHARES))[place][index]
