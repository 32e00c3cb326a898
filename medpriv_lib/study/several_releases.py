"""Several releases of the same images: what they tell together to somebody who knows each group."""

from collections.abc import Callable
from functools import partial

import numpy as np

from medpriv_lib.attacks.finding import knowledge_of, missing
from medpriv_lib.attacks.intersection import intersect_groups
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.averaging import AVERAGED, Averaged
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.protocol import Resources

Groups = list[np.ndarray]
KS = sorted({one.settings["k"] for one in KSameSelect.compared})


def told_by_several(cohort: Cohort, resources: Resources, seed: int, draws: int = 10) -> list[dict]:
    """Return what several releases of the test images tell to somebody who knows each one's group.

    K-Same-Select with every K of the study, in both forms, and `draws` draws of the averaged sets.
    What the cohort does not allow is a finding without measures that says why.
    """
    test = cohort.of("test")
    sets: dict[str, Callable[[], Groups]] = {
        f"K-Same-Select, {form} form, K = {', '.join(map(str, KS))}": partial(
            _selected, resources, test, form
        )
        for form in ("query", "release")
    }
    sets |= {
        f"averages of {AVERAGED}, {policy} identities, {draws} draws": partial(
            _averaged, resources, test, policy, seed, draws
        )
        for policy in ("random", "same")
    }
    found = []
    for name, groups in sets.items():
        try:
            one = intersect_groups(groups(), test.patient, test.patients)
        except NotApplicable as error:
            knowledge = knowledge_of(intersect_groups)
            one = missing("intersection of groups", knowledge, "intersection", "source", error)
        found.append({"releases": name, "finding": one.plain() | {"per_patient": {}}})
    return found


def _selected(resources: Resources, test: Cohort, form: str) -> Groups:
    train = resources.train("K-Same-Select")
    return [KSameSelect(k, form).fit(train).privatize(test).contributors[: len(test)] for k in KS]


def _averaged(resources: Resources, test: Cohort, policy: str, seed: int, draws: int) -> Groups:
    method = Averaged.ready(resources, k=AVERAGED, policy=policy)
    return [
        method.identities(test, seeded(seed, "together", policy, draw)) for draw in range(draws)
    ]
