"""Several releases of the same images: what they tell together to somebody who knows each group."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from medpriv_lib.attacks.finding import knowledge_of, missing
from medpriv_lib.attacks.intersection import intersect_groups
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.study.rows import AVERAGED, GROUPS


def together(train: Cohort, test: Cohort, vgan: PPRLVGAN, seed: int, draws: int = 10) -> list[dict]:
    """Return what several releases of the same images tell to somebody who knows each one's group.

    K-Same-Select with every K of the study, in both forms, and `draws` draws of the averaged sets.
    What the cohort does not allow says why.
    """

    def of_groups(form: str) -> list[np.ndarray]:
        made = (KSameSelect(k, form).fit(train).privatize(test) for k in GROUPS)
        return [release.contributors[: len(test)] for release in made]

    def of_averages(policy: str) -> list[np.ndarray]:
        method = Averaged(vgan, AVERAGED, policy)
        return [
            method.identities(test, seeded(seed, "together", policy, draw)) for draw in range(draws)
        ]

    sets: dict[str, Callable[[], list[np.ndarray]]] = {
        f"K-Same-Select, {form} form, K = {', '.join(map(str, GROUPS))}": partial(of_groups, form)
        for form in ("query", "release")
    }
    sets |= {
        f"averages of {AVERAGED}, {policy} identities, {draws} draws": partial(of_averages, policy)
        for policy in ("random", "same")
    }
    found: list[dict[str, Any]] = []
    for name, groups in sets.items():
        try:
            one = intersect_groups(groups(), test.patient, test.patients)
        except NotApplicable as reason:
            know = knowledge_of(intersect_groups)
            one = missing("intersection of groups", know, "intersection", "source", reason)
        found.append({"releases": name, "finding": one.plain() | {"per_patient": {}}})
    return found
