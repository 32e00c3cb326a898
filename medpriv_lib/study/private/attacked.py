"""What attackers find out about who was in: LiRA and the canary, with and without noise."""

import math
import time

import numpy as np
from jaxtyping import Float

from medpriv_lib.attacks.canary import canary_bound
from medpriv_lib.attacks.patient_membership import lira, patient_confidence
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private.accountant import Charge, agreed
from medpriv_lib.federation.private.logistic import Settings, private_logistic, scores
from medpriv_lib.federation.private.patient_gradients import Mechanism
from medpriv_lib.study.private.cells import COHORT_WEIGHTS, RATE, STEPS, noise_of
from medpriv_lib.study.private.people import People

MODELS = 129  # each is attacked with the 128 others as shadows
RUNS = 1000  # of the canary's models, with and without each
DELTA = 1 / 92  # that of the cohort's cells, so that the noise is theirs
FEW, CANARY_PATIENTS = 3, 40  # images and patients beside the canary
OVERFITTED_STEPS, OVERFITTED_RATE = 600, 0.1
CASES: dict[str, float | None] = {"overfitted": None, "none": None, "clipped": None}
CASES |= {"8": 8.0, "3": 3.0, "1": 1.0}
CANARY_CASES = ("none", "8", "3", "1")


def settings_of(case: str) -> Settings:
    """Return how the models of a case are trained."""
    epsilon = CASES[case]
    if epsilon is not None:
        noise = noise_of(epsilon, DELTA, RATE, STEPS)
        return Settings(Mechanism(RATE, 1.0, noise), STEPS, 0.02, COHORT_WEIGHTS)
    if case == "overfitted":
        unbounded = Mechanism(1.0, math.inf)
        return Settings(unbounded, OVERFITTED_STEPS, OVERFITTED_RATE, COHORT_WEIGHTS)
    clip = 1.0 if case == "clipped" else math.inf
    return Settings(Mechanism(RATE, clip), STEPS, 0.02, COHORT_WEIGHTS)


def membership(case: str, people: People, vectors: Float[np.ndarray, "n f"]) -> dict:
    """Return what LiRA finds about each patient of models on random halves of the patients."""
    started = time.process_time()
    patients = len(np.unique(people.patient))
    rng = np.random.default_rng([4, patients])
    inside = np.argsort(rng.random((MODELS, patients)), axis=1) < patients // 2
    settings = settings_of(case)
    generator = seeded(0, "lira", case)
    models = private_logistic(vectors, people.diseased, people.patient, settings, generator, inside)
    told = patient_confidence(scores(models, vectors), people.diseased, people.patient)
    found = lira(told, inside, rng)
    risk = found.risk
    return {
        "finding": found.finding.plain() | {"per_patient": {}},
        "models": MODELS,
        "delta": DELTA,
        "noise": settings.mechanism.noise,
        "right": risk.mean,
        "worst_decile": risk.worst_decile,
        "worst_interval": list(risk.worst_interval),
        "equal_worst_decile": risk.equal_worst_decile,
        "equal_interval": list(risk.equal_interval),
        "excess_p": risk.excess_p,
        "cpu": round(time.process_time() - started, 1),
    }


def canary(case: str, people: People, vectors: Float[np.ndarray, "n f"]) -> dict:
    """Return the lower bound on epsilon beside what the accountants promise.

    The canary is ill in all of three images that lie 3 spreads out along the direction in which the
    patients differ least.
    """
    started = time.process_time()
    few = np.unique(people.patient)[:CANARY_PATIENTS]
    rows = np.concatenate([np.flatnonzero(people.patient == one)[:FEW] for one in few])
    _, _, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    odd = 3 * np.sign(axes[-1])
    x = np.vstack([vectors[rows], np.tile(odd, (FEW, 1))])
    ill = np.append(people.diseased[rows], [True] * FEW)
    who = np.append(people.patient[rows], [people.patient.max() + 1] * FEW)
    inside = np.ones((2 * RUNS, CANARY_PATIENTS + 1), bool)
    inside[RUNS:, -1] = False
    settings = settings_of(case)
    models = private_logistic(x, ill, who, settings, seeded(0, "canary", case), inside)
    told = scores(models, odd[None])[:, 0]
    found = canary_bound(told[:RUNS], told[RUNS:], DELTA)
    noise = settings.mechanism.noise
    promised = agreed([Charge(noise, RATE, STEPS)], DELTA) if noise else None
    return {
        "bound": found.epsilon,
        "promised": promised,
        "tpr": found.tpr,
        "fpr": found.fpr,
        "runs": found.runs,
        "most": found.most,
        "delta": DELTA,
        "noise": noise,
        "cpu": round(time.process_time() - started, 1),
    }
