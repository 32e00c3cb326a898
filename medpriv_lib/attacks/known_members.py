"""K-Same with K - 1 known members: the mean of K images less the known ones is the K-th.

Exact in floating point, and within K / 2 grey levels where the mean was rounded, since the error of
at most 1/2 is multiplied by K.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.attacks.copying import pixels
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.inversion import Judge, error, whole
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import byte_rank, distances
from medpriv_lib.core.intervals import mean_interval, rate_per_patient
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.protocol import AveragesFrom


def subtract_known(
    mean: np.ndarray, known: UInt8[np.ndarray, "n m h w"]
) -> Float[np.ndarray, "n h w"]:
    """Return the missing member of each mean: (m + 1) times the mean (N, H, W) less the sum of the
    m known ones.
    """
    count = known.shape[1] + 1
    return count * np.asarray(mean, dtype=np.float64) - known.sum(axis=1, dtype=np.int64)


def known_members(
    mean: np.ndarray,
    known: UInt8[np.ndarray, "n m h w"],
    originals: UInt8[np.ndarray, "n h w"],
    patient: Int64[np.ndarray, " n"],
    name: Judge,
) -> Finding:
    """Reveal the K-th member of a K-Same mean and let the recogniser name it.

    Knowledge: the exact images of K - 1 members of the group, that there are K, and a recogniser of
    the patients. `mean` (N, H, W) as released, uint8, or float64 before rounding; `known` (N, K -
    1, H, W). "largest_error" is in grey levels: at most K / 2 where the mean was rounded, and
    nothing in float64; "bound" is that K / 2.
    """
    estimate = subtract_known(mean, known)
    hit = name(whole(estimate)) == patient
    count = known.shape[1] + 1
    measures = {
        "rank1": float(hit.mean()),
        "largest_error": float(np.abs(estimate - originals).max()),
        "error": error(estimate, originals),
        "bound": count / 2 if np.asarray(mean).dtype == np.uint8 else 0.0,
    }
    return Finding(
        "known members",
        knowledge_of(known_members),
        measures,
        {"rank1": mean_interval(hit, patient)},
        n=len(patient),
        patients=len(np.unique(patient)),
        per_patient=rate_per_patient(hit, patient),
        kind="naming",
        target="member",
    )


def members_of(
    scene: Scene, k: int, averages: AveragesFrom
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, "n k"]]:
    """Return which released images are means of exactly K images, and of which rows of the cohort:
    (n,), (n, K).

    Where the method averages training images ("train") they are the nearest image of each
    contributor with the source's label among these; where it averages the images that it is given
    ("given"), those of the same round. Only images that these rows reproduce to the last grey level
    are returned, so that a wrong guess is no member. The source comes last where it is one. Raises
    `NotApplicable` where no image is reproduced: other groups, or a gallery that is not the
    cohort's.
    """
    cohort = scene.cohort
    counted = np.flatnonzero((scene.contributors >= 0).sum(axis=1) == k)
    own = np.union1d(scene.source, scene.known_source)
    pools = (
        [np.flatnonzero(cohort.split == "train")] if averages == "train" else [scene.source, own]
    )
    rows: list[int] = []
    members: list[np.ndarray] = []
    for pool in pools:
        units = _units(cohort, pool)
        for row in np.setdiff1d(counted, rows):
            one = _members(scene, int(row), units, averages)
            if one is not None and np.array_equal(
                np.rint(cohort.images[one].sum(axis=0) / k).astype(np.uint8), scene.released[row]
            ):
                rows.append(int(row))
                members.append(one)
    if not rows:
        raise NotApplicable("no released image is the mean of K images that are at hand")
    order = np.argsort(rows)
    return np.array(rows, dtype=np.int64)[order], np.array(members, dtype=np.int64)[order]


@dataclass(frozen=True, eq=False)
class Hidden:
    """The means that are attacked: `rows` (n,) of the released images, `members` (n, K) rows of the
    cohort, and `place` (n,) which member is the unknown one.
    """

    rows: Int64[np.ndarray, " n"]
    members: Int64[np.ndarray, "n k"]
    place: Int64[np.ndarray, " n"]


def hidden(
    rows: Int64[np.ndarray, " n"],
    members: Int64[np.ndarray, "n k"],
    scene: Scene,
    rng: np.random.Generator,
) -> Hidden:
    """Return which member of each mean is unknown: the source's own image where that is in the
    mean, else one drawn at random, whose patient it is that is revealed.
    """
    last = members.shape[1] - 1
    drawn = rng.integers(members.shape[1], size=len(rows))
    return Hidden(rows, members, np.where(members[:, -1] == scene.source[rows], last, drawn))


def reveal(scene: Scene, one: Hidden, name: Judge, rounded: bool) -> Finding:
    """Reveal the unknown member of each mean: of the released grey levels, or as if these had not
    been `rounded`.
    """
    n = np.arange(len(one.rows))
    taken = one.members[n, one.place]
    left = np.ones(one.members.shape, dtype=bool)
    left[n, one.place] = False
    images, count = scene.cohort.images, one.members.shape[1]
    others = images[one.members[left].reshape(len(n), -1)]
    exact = images[one.members].sum(axis=1, dtype=np.int64) / count
    mean = scene.released[one.rows] if rounded else exact
    found = known_members(mean, others, images[taken], scene.cohort.patient[taken], name)
    share = float((taken == scene.source[one.rows]).mean())
    return replace(
        found,
        note=f"{len(n)} of {len(scene.source)} released images; in {share:.2f} of them the unknown "
        "one is the source",
    )


@attack(name="known members", kind="naming", target="member", place=170, knows=known_members)
def revealed(setting: Setting) -> Finding:
    """Subtract K - 1 known members from the released means."""
    return reveal(setting.scene, _hidden_of(setting), setting.named, rounded=True)


@attack(
    name="known members before rounding",
    kind="bound",
    target="member",
    place=180,
    knows=known_members,
)
def revealed_before_rounding(setting: Setting) -> Finding:
    """Subtract K - 1 known members from the means as they were before rounding."""
    return reveal(setting.scene, _hidden_of(setting), setting.named, rounded=False)


def groups_of(setting: Setting) -> tuple[int, AveragesFrom]:
    """Return the K that the method claims and whose images it averages.

    Raises `NotApplicable` for methods that average no K patients' images.
    """
    method = setting.known_method
    k, averages = method.claims_k(setting.parameters), method.averages_from(setting.parameters)
    if k is None or k < 2 or averages is None:
        raise NotApplicable("the method does not average the images of K patients")
    return k, averages


def _hidden_of(setting: Setting) -> Hidden:
    """Return the means under attack, the unknown members drawn once for both attacks."""
    k, averages = groups_of(setting)
    _ = setting.recogniser
    return setting.once(
        "hidden members",
        lambda: hidden(
            *members_of(setting.scene, k, averages), setting.scene, setting.stream("members")
        ),
    )


def _members(
    scene: Scene, row: int, units: dict[tuple[int, bool], np.ndarray], averages: AveragesFrom
) -> np.ndarray | None:
    """Return the rows that one released image may be the mean of, None where some are not at
    hand.
    """
    source = int(scene.source[row])
    label = bool(scene.cohort.diseased[source])
    mine = [units[p, label] for p in _there(scene.contributors[row]) if (p, label) in units]
    if len(mine) < len(_there(scene.contributors[row])):
        return None
    return _nearest(scene.cohort, mine, source) if averages == "train" else _round(mine, source)


def _there(contributors: np.ndarray) -> list[int]:
    return contributors[contributors >= 0].tolist()


def _units(cohort: Cohort, rows: np.ndarray) -> dict[tuple[int, bool], np.ndarray]:
    """Return the rows of each patient and label, in the order of their pixel bytes."""
    rank = byte_rank(cohort.images[rows], np.arange(len(rows)))
    order = rows[np.argsort(rank)]
    units: dict[tuple[int, bool], list[int]] = {}
    for row in order:
        units.setdefault((int(cohort.patient[row]), bool(cohort.diseased[row])), []).append(
            int(row)
        )
    return {key: np.array(value) for key, value in units.items()}


def _nearest(cohort: Cohort, units: list[np.ndarray], source: int) -> np.ndarray:
    """Return the row of each unit that is nearest to the source."""
    everything = np.concatenate(units)
    gap = distances(pixels(cohort.images[[source]]), pixels(cohort.images[everything]))[0]
    ends = np.cumsum([len(unit) for unit in units])
    return np.array(
        [unit[gap[end - len(unit) : end].argmin()] for unit, end in zip(units, ends, strict=True)]
    )


def _round(units: list[np.ndarray], source: int) -> np.ndarray | None:
    """Return the rows of the round in which the source comes first, the source last."""
    own = [place for place, unit in enumerate(units) if source in unit]
    if not own:
        return None
    turn = int(np.flatnonzero(units[own[0]] == source)[0])
    ordered = [unit for place, unit in enumerate(units) if place != own[0]] + [units[own[0]]]
    return np.array([unit[turn % len(unit)] for unit in ordered])
