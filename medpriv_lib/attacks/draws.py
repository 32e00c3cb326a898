"""Several random draws of one release, attacked one by one: their findings as one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from medpriv_lib.attacks.finding import Finding


def averaged(found: Sequence[Finding]) -> Finding:
    """Return the mean over draws of one attack's findings: measures, curves, rates per patient and
    outcomes.

    The ends of the intervals are averaged too: the interval is that of a single draw over patients,
    and the spread of the draws is reported apart, from `draws`, the measures of each. What one draw
    lacks is left out. Raises `ValueError` for findings of different attacks.
    """
    first = found[0]
    if len({one.attack for one in found}) != 1:
        raise ValueError(
            f"only findings of one attack have a mean, not {sorted({one.attack for one in found})}"
        )
    each = tuple(one.measures for one in found)
    if len(found) == 1:
        return replace(first, draws=each)
    outcomes = [one.hits for one in found if one.hits is not None]
    probes = [one.probe for one in found if one.probe is not None]
    same = len(outcomes) == len(probes) == len(found) and all(
        np.array_equal(probe, probes[0]) for probe in probes
    )
    ends = {
        key: np.mean([one.intervals[key] for one in found], axis=0)
        for key in first.intervals
        if all(key in one.intervals for one in found)
    }
    return replace(
        first,
        measures=_mean(each),
        chance=_mean([one.chance for one in found]),
        intervals={key: (float(low), float(high)) for key, (low, high) in ends.items()},
        per_patient=_mean([one.per_patient for one in found]),
        curves={
            key: np.mean([one.curves[key] for one in found], axis=0).tolist()
            for key in first.curves
            if len({len(one.curves.get(key, ())) for one in found}) == 1
        },
        hits=np.mean(outcomes, axis=0) if same else None,
        by_label=_labels([one.by_label for one in found]),
        label_chance={
            label: _mean([one.label_chance[label] for one in found])
            for label in first.label_chance
            if all(label in one.label_chance for one in found)
        },
        draws=each,
    )


def _mean(each: Sequence[Mapping]) -> dict:
    return {
        key: float(np.mean([one[key] for one in each]))
        for key in each[0]
        if all(key in one for one in each)
    }


def _labels(each: Sequence[Mapping]) -> dict:
    """Return label -> measure -> the mean of value and ends, of what all draws have."""
    return {
        label: {
            key: tuple(np.mean([one[label][key] for one in each], axis=0).tolist())
            for key in measures
            if all(key in one.get(label, {}) for one in each)
        }
        for label, measures in each[0].items()
    }
