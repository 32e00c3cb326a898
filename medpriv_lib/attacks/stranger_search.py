"""Search a public bank for the stranger behind each released image, and for the pupil's size.

Most of the image is the stranger, so of the bank's images the ones that correlate most are
candidates. What decides is how many levels a candidate differs from the release, at most one per
pixel: pixels under a layer differ by more than that, whoever the stranger is, and shall not vote.
The size of the pupil is then halved in on: it is one number for the whole picture, so it is found
to about a thousandth of the iris radius, ten times as fine as it is read from an eye.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.privatizers.strangers import Strangers

CANDIDATES = 4
STEPS = (0.01, 0.005, 0.0025, 0.00125, 0.0006, 0.0003)  # of the pupil's size, in iris radii
SMALLEST, LARGEST = 0.15, 0.8
LEVEL = 1.0  # more than that a pixel cannot differ


@dataclass(frozen=True, eq=False)
class FoundStrangers:
    """The strangers of N released images: `person` (N,) their numbers in the bank, `ratio` (N,)
    pupil over iris, and `levels` (N, S, S) how they look without anything laid over, float32.
    """

    person: Int64[np.ndarray, " n"]
    ratio: Float[np.ndarray, " n"]
    levels: Float[np.ndarray, "n s s"]


def find_strangers(images: UInt8[np.ndarray, "n s s"], bank: Strangers) -> FoundStrangers:
    """Return the strangers of a bank that released images were painted on.

    Raises `ValueError` for images that have not the bank's size.
    """
    if images.shape[1:] != bank.images.shape[1:]:
        raise ValueError(
            f"the bank's strangers are {bank.images.shape[1:]}, the images {images.shape[1:]}"
        )
    likeness = _centred(images) @ _centred(bank.images).T
    count = min(CANDIDATES, likeness.shape[1])
    likely = bank.person[np.argsort(-likeness, axis=1, kind="stable")[:, :count]]
    search = _Search(images, bank, likely[:, 0], pupil_ratios(images))
    read = search.ratio.copy()
    for person in likely.T:
        search.attempt(person, read)
    for step in STEPS:
        for ratio in (search.ratio - step, search.ratio + step):
            search.attempt(search.person, ratio)
    return FoundStrangers(search.person, search.ratio, search.levels)


class _Search:
    """What fits each image best so far."""

    def __init__(
        self,
        images: UInt8[np.ndarray, "n s s"],
        bank: Strangers,
        person: Int64[np.ndarray, " n"],
        ratio: Float[np.ndarray, " n"],
    ) -> None:
        self.images, self.bank = images.astype(np.float32), bank
        self.person, self.ratio = person.copy(), ratio.astype(np.float32)
        self.levels = np.zeros(images.shape, dtype=np.float32)
        self.away = np.full(len(images), np.inf, dtype=np.float32)

    def attempt(self, person: Int64[np.ndarray, " n"], ratio: Float[np.ndarray, " n"]) -> None:
        """Keep these strangers with these pupils wherever they fit better."""
        ratio = np.clip(ratio, SMALLEST, LARGEST).astype(np.float32)
        shown = self.bank.shown(person, ratio)
        away = np.minimum(np.abs(self.images - shown), LEVEL).mean(axis=(1, 2))
        nearer = away < self.away
        self.person = np.where(nearer, person, self.person)
        self.ratio = np.where(nearer, ratio, self.ratio)
        self.levels[nearer], self.away = shown[nearer], np.minimum(away, self.away)


def _centred(images: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, "n d"]:
    """Return the images as rows of mean 0 and length 1, float32; a flat one is 0."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
