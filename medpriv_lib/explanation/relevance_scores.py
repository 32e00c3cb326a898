"""Does relevance fall on the signs of the disease? Scores of maps where the truth is known, and
chance beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import nn

from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.explanation.deep_taylor import deep_taylor, explainable
from medpriv_lib.measures.cells import mean_of
from medpriv_lib.measures.measure import Cells, Column, Exam, Ground, Measure, Place

Maps = Float[np.ndarray, "n h w"]
Masks = Bool[np.ndarray, "n h w"]
Score = Float[np.ndarray, " n"]


def relevance_mass(maps: Maps, masks: Masks) -> Score:
    """Return the share of the positive relevance that lies inside the mask, 0..1; chance is the
    mask's area share.

    nan where the mask is empty or nothing is positive. Source: Arras, Osman, Samek 2022
    (Information Fusion 81).
    """
    maps, masks = _positive(maps, masks)
    total = maps.sum(1)
    return _ratio((maps * masks).sum(1), total, (total > 0) & masks.any(1))


def relevance_rank(maps: Maps, masks: Masks) -> Score:
    """Return the share of the K most relevant pixels that lie inside the mask of K pixels, 0..1;
    chance as above.

    Pixels tied at the K-th place count by the share of them inside: the mean over all orders. nan
    where the mask is empty or nothing is positive. Source: Arras, Osman, Samek 2022.
    """
    maps, masks = _positive(maps, masks)
    size = masks.sum(1)
    ordered = -np.sort(-maps, axis=1)
    last = ordered[np.arange(len(maps)), np.maximum(size - 1, 0)][:, None]
    above, tied = maps > last, maps == last
    places = size - above.sum(1)
    expected = (above & masks).sum(1) + places * (tied & masks).sum(1) / np.maximum(tied.sum(1), 1)
    return _ratio(expected, size, (size > 0) & (maps.sum(1) > 0))


def pointing_game(maps: Maps, masks: Masks) -> Score:
    """Return whether the most relevant pixel lies inside the mask, 0 or 1 (ties: the share of
    them); chance as above.

    Without the tolerance of the original, so that chance is the mask's area share. nan as above.
    Source: Zhang et al. 2018 (IJCV 126).
    """
    maps, masks = _positive(maps, masks)
    top = maps == maps.max(1, keepdims=True)
    return _ratio((top & masks).sum(1), top.sum(1), masks.any(1) & (maps.sum(1) > 0))


def area_share(masks: Masks) -> Score:
    """Return the share of the image that the mask covers: what any of these scores is by chance.
    nan where empty.
    """
    share = masks.reshape(len(masks), -1).mean(1)
    return np.where(share > 0, share, np.nan)


def score_relevance(
    network: nn.Module,
    images: UInt8[np.ndarray, "n h w"],
    masks: Masks,
    target: int | None = None,
    known: Bool[np.ndarray, " n"] | None = None,
) -> dict[str, Score]:
    """Return the scores of the Deep Taylor maps of released images against the source images'
    evidence masks.

    `target` None explains the predicted class; `known` says what `explainable` would, where that is
    known already. Keys: `relevance_mass`, `relevance_rank`, `relevance_pointing`, `relevance_area`
    (chance) and `relevance_defined`, 1 where the class's logit is > 0 so that there is a map. All
    (N,) in 0..1; nan where there is no mask or no map. The area is nan in the same rows, so that
    means compare the same images.
    """
    if images.shape != masks.shape:
        raise ValueError(
            f"images are {images.shape} and masks {masks.shape}; one mask per image is needed"
        )
    x = to_tensor(images)
    evident = masks.any(axis=(1, 2))
    known = explainable(network, x, target).cpu().numpy() if known is None else known
    rows = np.flatnonzero(known & evident)
    maps = np.zeros(images.shape, dtype=np.float32)
    if len(rows):
        maps[rows] = (
            deep_taylor(network, x[torch.from_numpy(rows)], target).sum(dim=1).cpu().numpy()
        )
    scores = {
        "relevance_mass": relevance_mass(maps, masks),
        "relevance_rank": relevance_rank(maps, masks),
        "relevance_pointing": pointing_game(maps, masks),
    }
    has_map = np.isfinite(scores["relevance_mass"])
    scores["relevance_area"] = np.where(has_map, area_share(masks), np.nan)
    scores["relevance_defined"] = np.where(evident, has_map.astype(float), np.nan)
    return scores


def _positive(maps: Maps, masks: Masks) -> tuple[np.ndarray, np.ndarray]:
    if maps.shape != masks.shape or maps.ndim != 3:
        raise ValueError(f"maps {maps.shape} and masks {masks.shape} must both be (N, H, W)")
    if masks.dtype != bool:
        raise ValueError(f"masks must be bool, not {masks.dtype}")
    if not np.isfinite(maps).all():
        raise ValueError("maps hold nan or infinite values; look at the network's weights")
    n = len(maps)
    return np.maximum(maps.reshape(n, -1), 0).astype(np.float64), masks.reshape(n, -1)


def _ratio(part: np.ndarray, whole: np.ndarray, valid: np.ndarray) -> Score:
    return np.where(valid, part / np.where(valid, whole, 1), np.nan)


class RelevanceOnSigns(Measure):
    """The relevance columns: Deep Taylor maps of releases against the signs of the sources."""

    name = "relevance"
    columns = (
        Column("relevance_mass", "mass", spread="interval", place=Place.EXPLANATION),
        Column("relevance_rank", "rank", spread="interval", place=Place.EXPLANATION),
        Column("relevance_pointing", "point", spread="interval", place=Place.EXPLANATION),
        Column("relevance_area", "area", place=Place.RELEVANCE_BESIDE),
        Column("relevance_defined", place=Place.RELEVANCE_BESIDE),
    )

    @classmethod
    def legend(cls, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return what the columns mean."""
        return "mass, rank, point: relevance on the signs (chance: area)"

    def __init__(self, ground: Ground) -> None:
        """Take the masks of the test images. Raises `NotApplicable` where none shows signs."""
        super().__init__(ground)
        masks, self.evident = ground.test.evidence, ground.evident
        if masks is None or not self.evident.any():
            raise NotApplicable("no test image has visible signs whose place is known")
        self.masks, self.relevant = masks[self.evident], Memory()
        self.patient = ground.test.patient[self.evident]

    def cells(self, exam: Exam) -> Cells:
        """Return the scores of the first draw, of those images that have a map."""
        images = exam.drawn[0].images[self.evident]
        names = [column.name for column in self.columns]

        def read(rows: np.ndarray) -> np.ndarray:
            known = self.ground.reader.logits(images[rows]).amax(1).numpy() > 0
            judge, masks = self.ground.judges.disease, self.masks[rows]
            scores = score_relevance(judge, images[rows], masks, known=known)
            return np.stack([scores[name] for name in names], axis=1)

        scores = self.relevant.recall(keys_of(images, range(len(images))), read)
        cells: Cells = {}
        for column, values in zip(self.columns, scores.T, strict=True):
            summary = mean_of([values], self.patient, column.name)
            cells |= {name: summary[name] for name in (column.name, *column.spreads)}
        return cells
