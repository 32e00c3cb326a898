"""Membership of patients in a small network of three sites: LiRA with networks as shadows.

`python -m medpriv_lib.study.shadow_networks --out FOLDER` writes `membership-network.json` there,
network by network, and goes on from the file where it was stopped.

Every network sees a random half of the patients, dealt to three sites that average their weights.
All begin with the same weights, as the attacker is whoever gave these to the sites: the
coordinator, or each site. Two cases: the training of the federated study on smaller images, and
its positive control, few images trained on far too long, where the attack must succeed.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from medpriv_lib.attacks.patient_membership import lira, patient_confidence
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.intervals import area
from medpriv_lib.core.provenance import provenance
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.federation.average import average
from medpriv_lib.federation.local import LocalTraining, fit_site
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.sites import Site, deal
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.study.command import into_folder
from medpriv_lib.study.federated import SITES, shrunk

FILE = "membership-network.json"
COHORT = "crossed"
MODELS = 65  # each is attacked with the 64 others as shadows
CONTROL_MODELS = 33  # of the control, which is found with fewer
PIXELS = 16  # the smallest images that the network reads


@dataclass(frozen=True)
class Case:
    """How the networks of a case are trained: `rounds` of `training` at each site, on at most
    `most` images of a patient (0: all); `models` of them, each attacked with the others as shadows.
    """

    rounds: int
    training: LocalTraining
    most: int = 0
    models: int = MODELS


CASES = {
    "federated": Case(16, LocalTraining(), most=8),
    "overfitted": Case(
        8, LocalTraining(epochs=6, decay=0.0, strength=0.0), most=2, models=CONTROL_MODELS
    ),
}


def run(
    folder: Path,
    say: Callable[[str], None],
    cohort: Cohort | None = None,
    cases: dict[str, Case] = CASES,
) -> dict[str, Any]:
    """Train the networks that are not in the file yet, attack those that are complete, return all.

    A file of other images or settings is begun anew. Errors as of `lira`.
    """
    cohort = shrunk(packaged_cohort(COHORT), PIXELS) if cohort is None else cohort
    config: dict[str, Any] = {"sites": SITES, "pixels": PIXELS}
    made = provenance(cohort, cohort, config | {name: asdict(one) for name, one in cases.items()})
    made |= {"command": "python -m medpriv_lib.study.shadow_networks"}
    path, content = folder / FILE, {"provenance": made, "cases": {}}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["provenance"] == json.loads(json.dumps(made)):
            content = found
    for name, case in cases.items():
        part = content["cases"].setdefault(name, {"told": [], "auc": [], "seconds": []})
        mine, inside = images_of(cohort, case), halves(cohort, case.models)
        for number in range(len(part["told"]), case.models):
            started = time.process_time()
            told, auc = confidence(mine, inside[number], case, name, number)
            part["told"].append([round(float(one), 3) for one in told])
            part["auc"].append([round(one, 4) for one in auc])
            part["seconds"].append(round(time.process_time() - started, 2))
            write_json(path, content)
            say(f"{name}: {number + 1} of {case.models} networks")
        part["found"] = attacked(np.array(part["told"]), inside)
        write_json(path, content)
    return content


def images_of(cohort: Cohort, case: Case) -> Cohort:
    """Return the images that a case trains on, those of all patients: the first `most` of each."""
    order = np.argsort(cohort.patient, kind="stable")
    place = np.empty(len(cohort), np.int64)
    _, first, count = np.unique(cohort.patient[order], return_index=True, return_counts=True)
    place[order] = np.arange(len(cohort)) - np.repeat(first, count)
    kept = cohort.take(place < (case.most or len(cohort)))
    return replace(kept, split=np.full(len(kept), "train"))


def halves(cohort: Cohort, models: int) -> Bool[np.ndarray, "m p"]:
    """Return which patients (numbers ascending) each network sees: a random half."""
    patients = len(np.unique(cohort.patient))
    rng = np.random.default_rng([29, patients])
    return np.argsort(rng.random((models, patients)), axis=1) < patients // 2


def confidence(
    cohort: Cohort, inside: Bool[np.ndarray, " p"], case: Case, name: str, number: int
) -> tuple[Float[np.ndarray, " p"], tuple[float, float]]:
    """Train network `number` on these patients; return its confidence in each patient's labels, and
    its AUC on the images of those inside and of those outside.
    """
    there = np.isin(cohort.patient, np.unique(cohort.patient)[inside])
    sites = deal(cohort.take(there), SITES, "even", seeded(number, "shadow", name, "deal"))
    network = trained(sites, case, int(cohort.images.shape[1]), f"shadow {name} {number}")
    says = logits(network, cohort.images).double().numpy()
    ill = says[:, 1] - says[:, 0]
    told = patient_confidence(ill[None], cohort.diseased, cohort.patient)[0]
    one, other = (area(ill[rows], cohort.diseased[rows]) for rows in (there, ~there))
    return told, (float(one), float(other))


def trained(sites: tuple[Site, ...], case: Case, size: int, name: str) -> Recogniser:
    """Return the network after the sites' rounds; the first weights are the same for each `name`,
    all other draws are not.
    """
    plan = Plan(case.rounds, size, pooling="max", training=case.training)
    weights = plan.first_weights(seeded(0, "shadow", "first weights"))
    with torch.random.fork_rng(devices=[]):
        network = plan.network()
    for number in range(1, case.rounds + 1):
        settings, updates = case.training.of_round(number, case.rounds), []
        for site in sites:
            network.load_state_dict(weights)
            updates.append(fit_site(network, site, settings, seeded(0, name, site.name, number)))
        weights = average(updates)
    network.load_state_dict(weights)
    return network.eval()


def attacked(told: Float[np.ndarray, "m p"], inside: Bool[np.ndarray, "m p"]) -> dict[str, Any]:
    """Return what LiRA finds about each patient; n counts the pairs of network and patient."""
    found = lira(told, inside, np.random.default_rng(31), least=min(len(told) - 1, 64))
    finding, risk = found.finding, found.risk
    return {
        "models": len(told),
        "patients": finding.patients,
        "n": finding.n,
        "outside": int((~inside).sum()),
        "auc": round(finding.measures["auc"], 4),
        "auc_interval": [round(one, 4) for one in finding.intervals["auc"]],
        "tpr_0.1": round(finding.measures["tpr_0.1"], 4),
        "tpr_1": round(finding.measures["tpr_1"], 4),
        "right": round(risk.mean, 4),
        "worst_decile": round(risk.worst_decile, 4),
        "worst_interval": [round(one, 4) for one in risk.worst_interval],
        "equal_worst_decile": round(risk.equal_worst_decile, 4),
    }


def main(argv: list[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder("medpriv_lib.study.shadow_networks", run, argv)


if __name__ == "__main__":
    main()
