"""Several releases of the same images: what they tell together to somebody who knows each group."""

from collections.abc import Callable

import numpy as np

from medpriv_lib.attacks.intersection import intersect_groups
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.study.rows import AVERAGED, GROUPS


def together(train: Cohort, test: Cohort, vgan: PPRLVGAN, seed: int, draws: int = 10) -> list[dict]:
    """Return what several releases of the same images tell to somebody who knows each one's group.

    K-Same-Select with every K of the study, in both forms, and `draws` draws of the averaged sets.
    What the cohort does not allow is left out.
    """
    sets: dict[str, Callable[[], list[np.ndarray]]] = {
        f"K-Same-Select, {form} form, K = {', '.join(map(str, GROUPS))}": lambda form=form: [
            KSameSelect(k, form).fit(train).privatize(test).contributors[: len(test)]
            for k in GROUPS
        ]
        for form in ("query", "release")
    }
    sets |= {
        f"averages of {AVERAGED}, {policy} identities, {draws} draws": lambda policy=policy: [
            Averaged(vgan, AVERAGED, policy).identities(
                test, seeded(seed, "together", policy, draw)
            )
            for draw in range(draws)
        ]
        for policy in ("random", "same")
    }
    found = []
    for name, groups in sets.items():
        try:
            one = intersect_groups(groups(), test.patient, test.patients).plain() | {
                "per_patient": {}
            }
        except ValueError:
            continue
        found.append({"releases": name, "finding": one})
    return found
