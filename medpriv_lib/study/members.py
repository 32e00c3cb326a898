"""Membership of patients in the federated study's linear layers: LiRA on models of the same kind.

Under masks the coordinator has the sum, and with one step in a round the sum of all sites' steps is
one step over all their patients, with the noise of all. So each model is trained here as by one
site that has all patients: the same sampling, clip, noise and steps, and no messages.
"""

import time
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medpriv_lib.attacks.patient_membership import lira, patient_confidence
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.private.patient_gradients import (
    Mechanism,
    clipped_sum,
    draw_images,
    draw_patients,
    noised,
)

MODELS = 129  # each is attacked with the 128 others as shadows


def member_risk(
    inputs: Float[Tensor, "n e"],
    cohort: Cohort,
    mechanism: Mechanism,
    training: LocalTraining,
    rounds: int,
    name: str,
    models: int = MODELS,
) -> dict[str, Any]:
    """Return what LiRA finds about each patient, of `models` linear layers that each saw a random
    half of the patients.

    `inputs` are what the layer reads of the cohort's images (`Probe.read`). `mechanism` is what a
    step does to all patients together, the noise in the sum included; `name`
    seeds the draws. Errors as of `lira`.
    """
    started = time.process_time()
    labels = torch.from_numpy(cohort.diseased.astype(np.int64))
    _, index = np.unique(cohort.patient, return_inverse=True)
    members = [torch.from_numpy(np.flatnonzero(index == k)) for k in range(int(index.max()) + 1)]
    rng = np.random.default_rng([13, len(members)])
    inside = np.argsort(rng.random((models, len(members))), axis=1) < len(members) // 2
    said = []
    for model, there in enumerate(inside):
        draw = seeded(0, "member", name, model)
        mine = [members[k] for k in np.flatnonzero(there)]
        said.append(_logits(inputs, labels, mine, mechanism, training, rounds, draw))
    told = patient_confidence(np.stack(said), cohort.diseased, cohort.patient)
    found = lira(told, inside, rng, least=min(models - 1, 64))
    risk, measures = found.risk, found.finding.measures
    return {
        "models": models,
        "patients": len(members),
        "noise": mechanism.noise,
        "auc": round(measures["auc"], 4),
        "auc_interval": [round(one, 4) for one in found.finding.intervals["auc"]],
        "tpr_0.1": round(measures["tpr_0.1"], 4),
        "tpr_1": round(measures["tpr_1"], 4),
        "right": round(risk.mean, 4),
        "worst_decile": round(risk.worst_decile, 4),
        "worst_interval": [round(one, 4) for one in risk.worst_interval],
        "equal_worst_decile": round(risk.equal_worst_decile, 4),
        "cpu": round(time.process_time() - started, 1),
    }


def _logits(
    inputs: Float[Tensor, "n e"],
    labels: Tensor,
    members: list[Tensor],
    mechanism: Mechanism,
    training: LocalTraining,
    rounds: int,
    draw: torch.Generator,
) -> Float[np.ndarray, " n"]:
    """Train one linear layer from zeros on these patients' images, and return how ill it calls each
    image of the cohort: logit of disease minus logit of health.
    """
    weight = torch.zeros(2, inputs.shape[1] + 1)  # the last column is the bias
    x = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    wanted = torch.nn.functional.one_hot(labels, 2).float()
    of_class = torch.tensor(training.class_weights or (1.0, 1.0))[labels]
    scale = mechanism.noise * mechanism.clip if mechanism.noise else 0.0
    for number in range(1, rounds + 1):
        drawn = draw_patients(len(members), mechanism.rate, draw)
        total = {"weight": torch.zeros_like(weight)}
        if len(drawn):
            rows, share = draw_images([members[k] for k in drawn], mechanism.most, draw)
            off = torch.softmax(x[rows] @ weight.T, dim=2) - wanted[rows]
            off = off * (share * of_class[rows])[:, :, None]
            total, _ = clipped_sum(
                {"weight": torch.einsum("kmc,kme->kce", off, x[rows])}, mechanism.clip
            )
        step = noised(total, scale, draw)["weight"] / (mechanism.rate * len(members))
        weight -= training.of_round(number, rounds).rate * step
    out = (x @ weight.T).double().numpy()
    return out[:, 1] - out[:, 0]
