"""The risk of each patient from what one attack found."""

import numpy as np

from medpriv_lib.attacks.finding import Finding
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.measures.per_patient import Risk, risk


def risk_of(finding: Finding | None, cohort: Cohort) -> Risk | None:
    """Return the risk per patient of one finding, or None where it does not hold its outcomes.

    `cohort` is that of the scene: the outcomes belong to its rows `finding.rows`, the sources of
    released images or, for an attacker who looks for a patient, the originals looked for.
    """
    if finding is None or finding.hits is None or finding.rows is None:
        return None
    return risk(
        finding.hits,
        cohort.patient[finding.rows],
        cohort.diseased[finding.rows],
        np.random.default_rng(0),
    )
