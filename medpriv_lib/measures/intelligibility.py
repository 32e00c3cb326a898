"""Can a person still read the released image? Three numbers, each with its floor beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.measures.cells import mean_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure, Part, Place

Images = UInt8[np.ndarray, "n h w"]

TOLERANCE = 3 / 64  # of the side: the iris is in the middle of a prepared image
SUBSET = 100
DISTINCT = 0.9
LOOKED_AT = 32  # localising takes ten times as long as judging: so many images of a row
EYES = 0.5  # where the localiser finds fewer of the originals, these are no eyes
SMALLEST = 32  # px: the least side that the localiser takes


class Located(Protocol):
    """Where an iris was found, in pixels."""

    @property
    def iris_x(self) -> float:
        """Column of its centre."""

    @property
    def iris_y(self) -> float:
        """Row of its centre."""


def found(
    images: Images, locate: Callable[[np.ndarray], Located | None], tolerance: float = TOLERANCE
) -> Bool[np.ndarray, " n"]:
    """Say in which images the localiser finds an iris whose centre is where preparation put it: in
    the middle.

    `locate` is `data.localize.locate`, or anything that returns an object with `iris_x` and
    `iris_y` in px, or None. `tolerance` is a share of the side: 3 px at 64x64. For images that are
    not eyes the score means nothing.
    """
    if images.ndim != 3:
        raise ValueError(f"images must be (N, H, W), not {images.shape}")
    _, height, width = images.shape
    hits = np.zeros(len(images), dtype=bool)
    for row, image in enumerate(images):
        eye = locate(image)
        if eye is not None:
            off = np.hypot(eye.iris_x - (width - 1) / 2, eye.iris_y - (height - 1) / 2)
            hits[row] = off <= tolerance * min(height, width)
    return hits


def sharpness(released: Images, original: Images) -> Float[np.ndarray, " n"]:
    """Return the variance of the Laplacian of each released image over that of its original.

    1: as sharp; 0: flat; above 1: noise or artefacts were added. nan where the original is flat.
    """
    if released.shape != original.shape:
        raise ValueError(
            f"released images {released.shape} and originals {original.shape} differ in shape"
        )
    new, old = (
        np.array([cv2.Laplacian(image, cv2.CV_64F).var() for image in part])
        for part in (released, original)
    )
    return np.where(old > 0, new / np.where(old > 0, old, 1), np.nan)


def kid(
    real: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "m d"],
    generator: torch.Generator,
    subset_size: int = SUBSET,
    subsets: int = 100,
) -> tuple[float, float]:
    """Return the kernel inception distance of two sets of embeddings, mean and standard deviation
    over subsets.

    0 in expectation where both sets come from one distribution (it may be slightly negative);
    unbiased in the sizes. The embeddings are those of our own disease judge, not of Inception,
    which has never seen an eye: values compare within one judge only, so read it beside the
    distance between training and test originals. (nan, nan) where a set has fewer than
    `subset_size` images. Source: Bińkowski et al. 2018; two subsets by torchmetrics.
    """
    if real.ndim != 2 or other.ndim != 2 or real.shape[1] != other.shape[1]:
        raise ValueError(
            f"embeddings must be (N, D) of one width, not {real.shape} and {other.shape}"
        )
    if min(len(real), len(other)) < subset_size:
        return float("nan"), float("nan")
    from torchmetrics.image.kid import poly_mmd  # takes three seconds to import

    sets = [
        torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)) for part in (real, other)
    ]
    # torchmetrics' own loop draws from torch's global generator, which other threads draw from, too
    draws = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
    scores = []
    for _ in range(subsets):
        one, two = (part[torch.randperm(len(part), generator=draws)[:subset_size]] for part in sets)
        scores.append(poly_mmd(one, two))
    found = torch.stack(scores)
    return float(found.mean()), float(found.std(unbiased=False))


def are_copies(released: Images, known: Images, distinct: float = DISTINCT) -> bool:
    """Say whether a release is largely made of copies, of each other or of `known` originals.

    Then its distance from real images says nothing: copies of real images are at distance 0 and
    help nobody. True where fewer than `distinct` of the images differ from each other, or more than
    1 - `distinct` are in `known`.
    """
    keys = [image.tobytes() for image in released]
    originals = {image.tobytes() for image in known}
    copied = sum(key in originals for key in keys)
    return (
        len(keys) == 0
        or len(set(keys)) < distinct * len(keys)
        or copied > (1 - distinct) * len(keys)
    )


class Intelligibility(Measure):
    """The intelligibility columns: eyes found, sharpness, and the distance from training images."""

    name = "intelligibility"
    columns = (
        Column("intelligibility_found", "found", spread="interval", place=Place.EXPLANATION),
        Column("intelligibility_sharpness", "sharp", spread="interval", place=Place.EXPLANATION),
        Column("intelligibility_kid_x1000", "KID", percent=False, place=Place.DISTANCE),
        Column("intelligibility_kid_floor_x1000", percent=False, place=Place.DISTANCE),
    )

    def __init__(self, ground: Ground) -> None:
        """Look for eyes in the originals, and take the distance of test from training images."""
        super().__init__(ground)
        test = ground.test
        self.looked_at, self.eyes = ground.spread_out(LOOKED_AT), Memory()
        self.are_eyes = bool(
            min(test.images.shape[1:3]) >= SMALLEST and self._found(test.images).mean() >= EYES
        )
        self.real = ground.reader.points(ground.train.images)
        self.floor = self._distance(test.images, "floor")

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean, and what test originals score."""
        floors = (row["intelligibility_kid_floor_x1000"] for row in rows)
        floor = next((one for one in floors if one is not None), None)
        beside = "" if floor is None else f"; test originals {floor:.1f}"
        return (
            "found: eyes that the localiser finds; sharp: sharpness; KID: distance to training "
            f"images x 1000{beside}"
        )

    def parts(self) -> Sequence[Part]:
        """Measure the three apart, and put the floor of the distance beside it."""
        return self.cells, self._eyes_found, self._beside, self._kid

    def sizes(self) -> dict[str, int]:
        """Return in how many images eyes are looked for."""
        return {"eyes_looked_at": len(self.looked_at)}

    def cells(self, exam: Exam) -> Cells:
        """Return how sharp the release is."""
        test = self.ground.test
        sharp = sharpness(exam.drawn[0].images, test.images)
        return {**mean_of([sharp], test.patient, "intelligibility_sharpness")}

    def _eyes_found(self, exam: Exam) -> Cells:
        if not self.are_eyes:
            raise NotApplicable(
                f"the localiser finds no eyes in the originals, or they are under {SMALLEST} pixels"
            )
        if exam.labels == "predicted":
            raise NotApplicable(
                "whose label it is does not change whether an eye is found: see true labels"
            )
        hits = self._found(exam.drawn[0].images).astype(float)
        patient = self.ground.test.patient[self.looked_at]
        return {**mean_of([hits], patient, "intelligibility_found")}

    def _beside(self, exam: Exam) -> Cells:
        return {"intelligibility_kid_floor_x1000": self.floor}

    def _kid(self, exam: Exam) -> Cells:
        images = exam.drawn[0].images
        if are_copies(images, self.ground.train.images):
            raise NotApplicable(
                "the released images are largely copies: their distance from real ones says nothing"
            )
        distance = self._distance(images, exam.experiment, exam.set)
        if distance is None:
            raise NotApplicable(f"fewer than {SUBSET} images have no distance from others")
        return {"intelligibility_kid_x1000": distance}

    def _found(self, images: Images) -> Bool[np.ndarray, " n"]:
        images = images[self.looked_at]
        return self.eyes.recall(keys_of(images), lambda rows: found(images[rows], locate))

    def _distance(self, images: Images, *names: str) -> float | None:
        points = self.ground.reader.points(images)
        mean, _ = kid(self.real, points, self.generator("kid", *names))
        return None if np.isnan(mean) else 1000 * mean
