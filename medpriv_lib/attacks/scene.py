"""The scene of an attack: what was released, and what the attacker has."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.anonymity import groups_of_equal

ALL, HALVES = "all", ("half-0", "half-1")
PARTS = (ALL, *HALVES)


@dataclass(frozen=True, eq=False)
class Scene:
    """Released images under attack, and the attacker's own images with what the method made of
    them.

    `cohort` all originals, the sources of the released images among them; `released` uint8 (N, H,
    W), or (N, H, W, 3) as the cohort's images are, and `source` (N,), rows of `cohort`; `known`
    uint8 (M, H, W), what the method made of other originals, rows `known_source` (M,) of `cohort`;
    `contributors` (N, K) as in a `Release`, `known_contributors` (M, L) those of the known images
    or None where the attacker does not know them. Raises `ValueError` where they do not fit
    together or a source is also known.
    """

    cohort: Cohort
    released: UInt8[np.ndarray, "n h w"]
    source: Int64[np.ndarray, " n"]
    known: UInt8[np.ndarray, "m h w"]
    known_source: Int64[np.ndarray, " m"]
    contributors: Int64[np.ndarray, "n k"]
    known_contributors: Int64[np.ndarray, "m l"] | None = None

    def __post_init__(self) -> None:
        """Check everything once, before hours of training."""
        size = self.cohort.images.shape[1:]
        for images, rows, what in (
            (self.released, self.source, "released"),
            (self.known, self.known_source, "known"),
        ):
            if images.shape[1:] != size or images.dtype != np.uint8 or len(images) != len(rows):
                raise ValueError(
                    f"{what} images must be uint8 {('N', *size)} with a source each, not "
                    f"{images.dtype} {images.shape} with {len(rows)} sources"
                )
            if len(rows) and not 0 <= rows.min() <= rows.max() < len(self.cohort):
                raise ValueError(
                    f"{what} images stand for row {rows.max()} of a cohort of "
                    f"{len(self.cohort)}; give the cohort that was privatised"
                )
        if self.known_contributors is not None and len(self.known_contributors) != len(self.known):
            raise ValueError(
                f"{len(self.known)} known images need as many rows of contributors, not "
                f"{len(self.known_contributors)}"
            )
        if len(self.source) == 0:
            raise ValueError("the release holds no image; there is nothing to attack")
        if np.isin(self.source, self.known_source).any():
            raise ValueError("an image under attack may not be among the attacker's own")

    @property
    def patient(self) -> Int64[np.ndarray, " n"]:
        """Whom each released image is to hide."""
        return self.cohort.patient[self.source]

    @property
    def others(self) -> Int64[np.ndarray, " r"]:
        """The rows of `cohort` that are no source of a released image under attack."""
        return np.setdiff1d(np.arange(len(self.cohort)), self.source)

    def drawn(
        self, released: UInt8[np.ndarray, "n h w"], contributors: Int64[np.ndarray, "n k"]
    ) -> "Scene":
        """Return the scene with another random draw of the same sources."""
        return replace(self, released=released, contributors=contributors)

    def originals(self, part: str, half: Int64[np.ndarray, " p"]) -> Int64[np.ndarray, " r"]:
        """Return the rows of `cohort` whose originals the attacker of a part learns from.

        "all": everything but the sources under attack; "half-0" and "half-1": all images of the
        patients in that half.
        """
        if part == ALL:
            return self.others
        return np.flatnonzero(half[self.cohort.patient] == HALVES.index(part))

    def lessons(
        self, part: str, half: Int64[np.ndarray, " p"]
    ) -> tuple[UInt8[np.ndarray, "m h w"], Int64[np.ndarray, " m"]]:
        """Return the released images that the attacker of a part learns from, and their rows.

        "all": the known ones; a half: everything released or known of its patients, none of whom it
        will attack.
        """
        if part == ALL:
            return self.known, self.known_source
        images = np.concatenate([self.known, self.released])
        rows = np.concatenate([self.known_source, self.source])
        mine = half[self.cohort.patient[rows]] == HALVES.index(part)
        return images[mine], rows[mine]

    def attacked(self, part: str, half: Int64[np.ndarray, " p"]) -> Int64[np.ndarray, " a"]:
        """Return which released images the attacker of a part is tried on: of a half, those of the
        other half.
        """
        if part == ALL:
            return np.arange(len(self.source))
        return np.flatnonzero(half[self.patient] != HALVES.index(part))


def halves(cohort: Cohort, seed: int) -> Int64[np.ndarray, " p"]:
    """Return 0 or 1 for each patient, at random, patients with and without the disease dealt out
    apart.

    Raises `NotApplicable` for fewer than four patients: a half needs two to tell apart.
    """
    there, diseased = np.zeros(cohort.patients, dtype=bool), np.zeros(cohort.patients, dtype=bool)
    there[cohort.patient] = True
    diseased[cohort.patient[cohort.diseased]] = True
    if there.sum() < 4:
        raise NotApplicable(
            f"an attack needs at least four patients, two in each half, not {there.sum()}"
        )
    half = np.zeros(cohort.patients, dtype=np.int64)
    rng, turn = np.random.default_rng(seed), 0
    for members in (there & diseased, there & ~diseased):
        for patient in rng.permutation(np.flatnonzero(members)):
            half[patient] = turn
            turn = 1 - turn
    return half


def dealt(
    cohort: Cohort,
    released: UInt8[np.ndarray, "n h w"],
    source: Int64[np.ndarray, " n"],
    contributors: Int64[np.ndarray, "n k"],
    rng: np.random.Generator,
) -> Scene:
    """Return a scene made of a release alone: about every other image of each patient becomes known
    to the attacker.

    For methods that the attacker cannot run: a leak has told whom half of each patient's released
    images stand for. Equal images go to one side together: were some of them told, under the names
    of others, then the rest would be known not to be theirs, and an attacker who names the most
    similar image would be sent to somebody else on purpose. What the leak told is struck out of the
    release: no image is under attack whose source was told with another copy.
    """
    equal = groups_of_equal(released)
    order = rng.permutation(len(source))
    # a group of equal images stands with the first of its patients, so that the rounds of one
    # K-Same group, which stand for the same patients, are dealt in turn
    whose = np.full(int(equal.max(initial=-1)) + 1, cohort.patients, dtype=np.int64)
    np.minimum.at(whose, equal, cohort.patient[source])
    groups = equal[order][np.sort(np.unique(equal[order], return_index=True)[1])]
    groups = groups[np.argsort(whose[groups], kind="stable")]
    new = np.flatnonzero(np.diff(whose[groups], prepend=-1))
    place = np.arange(len(groups)) - np.repeat(new, np.diff(np.append(new, len(groups))))
    told: Bool[np.ndarray, " n"] = np.isin(equal, groups[place % 2 == 1])
    attacked = ~told & ~np.isin(source, source[told])
    if not attacked.any():  # every source was told with some copy: then nothing of it is told
        attacked = ~told
        told &= ~np.isin(source, source[attacked])
    return Scene(
        cohort,
        released[attacked],
        source[attacked],
        released[told],
        source[told],
        contributors[attacked],
        contributors[told],
    )
