"""Through which photographs signs link an eye: those of the same visit show the same findings, those
of other visits only where findings stay."""

from dataclasses import replace

import numpy as np
import pytest

from medpriv_lib.attacks.layer_linkage import beside_rivals, likeness
from medpriv_lib.attacks.stranger_search import find_strangers
from medpriv_lib.attacks.verification import pairs, places
from medpriv_lib.core import weights
from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.privatizers.controls.transplant import Transplant
from medpriv_lib.privatizers.protocol import Resources


@pytest.mark.parametrize("kind", ["crossed", "confounded"])
def test_other_visits_are_linked_where_findings_stay(kind):
    """The true signs on strangers, ill images: the places of true pairs among impostors, apart."""
    cohort = packaged_cohort(kind)
    test = np.flatnonzero(cohort.split == "test")
    method = Transplant.ready(Resources(cohort, weights.FOLDER / kind), pupil="freed")
    released = method.privatize(cohort.take(test), seeded(0, "visits")).images
    painting = method.painting(cohort)
    levels = find_strangers(released, painting.bank).levels
    scores = beside_rivals(likeness(released, levels, painting))
    which = pairs(cohort, test, np.arange(len(cohort)))
    day = cohort.visit[test][:, None] == cohort.visit[None]
    linked = {}
    for name, true in (("same", which.true & day), ("other", which.true & ~day)):
        found = places(scores, replace(which, true=true), cohort.patient[test])
        ill = cohort.diseased[test][found.row]
        patient = cohort.patient[test][found.row[ill]]
        linked[name] = found.place[ill].mean(), *mean_interval(found.place[ill], patient)
    assert linked["same"][1] > 0.8
    if kind == "crossed":
        assert linked["other"][1] < 0.5 < linked["other"][2]
        assert linked["other"][0] < 0.53
    else:
        assert linked["other"][1] > 0.6
