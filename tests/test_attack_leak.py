"""A leak that nobody sees is found by the attacker who is trained on it."""

import numpy as np
import pytest
import torch

from medpriv_lib.data.default import default_cohort
from medpriv_lib.evaluation.attacks.battery import linkage_naive, linkage_retrained
from medpriv_lib.evaluation.attacks.scene import HALVES, Scene
from medpriv_lib.study_attackers import Attackers
from medpriv_lib.study_weights import load_weights


@pytest.mark.slow
def test_a_planted_leak_is_found_by_the_retrained_attacker_only():
    """PPRL-VGAN's images with 5 % of the original blended in: the naive verifier overlooks them."""
    cohort = default_cohort()
    _, vgan, _ = load_weights(None, cohort)
    made = vgan.privatize(cohort, torch.Generator().manual_seed(0)).images
    leaking = np.rint(0.95 * made + 0.05 * cohort.images).astype(np.uint8)
    test, rest = np.flatnonzero(cohort.split == "test"), np.flatnonzero(cohort.split != "test")
    nobody = np.empty((len(test), 0), np.int64)
    attackers, scene = Attackers(cohort), Scene(cohort, leaking[test], test, leaking[rest], rest, nobody)
    verifiers = {part: attackers.verifier(scene, "leak", part) for part in HALVES}
    retrained = linkage_retrained(scene, verifiers, attackers.half)
    unaware = linkage_naive(scene, verifiers, attackers.half)
    assert retrained.measures["linkage_auc"] >= 0.8
    assert unaware.measures["linkage_auc"] <= 0.65
