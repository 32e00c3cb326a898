"""What stands beside the federated rows: attackers' figures, and LiRA on linear layers."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from small_cohorts import noise_cohort, patterned_cohort

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.private.patient_gradients import Mechanism
from medpriv_lib.study import federated
from medpriv_lib.study.beside import NOT_MEASURED, Found, beside
from medpriv_lib.study.federated_rows import MASKED, OPEN, saw_of
from medpriv_lib.study.members import _logits, member_risk

TRAINING = LocalTraining(rate=0.5, class_weights=(1.0, 2.0))
ALL = Mechanism(1.0, math.inf)


def row(arm, saw, dealt="even"):
    return {"arm": arm, "dealt": dealt, "saw": saw, "cpu": 2.0, "left_per_site": 10}


LINE = {"first": 0.15, "n": 40, "low": 0.05, "high": 0.275, "ssim": 0.19, "mean_eye_ssim": 0.39}
MEMBER = {"auc": 0.6, "auc_interval": [0.5, 0.7], "patients": 115}
MEMBER |= {"worst_decile": 0.7, "equal_worst_decile": 0.6}


def test_figures_stand_beside_the_rows_that_they_are_of_and_no_others():
    found = Found({"max pooling": LINE}, {"probe federated": MEMBER})
    rows = [row("federated", OPEN), row("secure", MASKED), row("pooled", "all images", "")]
    rows += [row("probe secure", MASKED), row("probe epsilon 3", MASKED)]
    table = {one["row"]: one for one in beside(rows, found)}
    assert table["federated even"]["eye first"] == "15% of 40 (5 to 28)"
    assert table["federated even"]["SSIM"] == "0.19 (mean eye 0.39)"
    assert table["federated even"]["member, AUC"] == NOT_MEASURED
    assert table["secure even"]["eye first"] == NOT_MEASURED  # no line of sums in this file
    assert table["pooled"]["eye first"] == ""  # there is nothing to invert
    assert table["probe secure even"]["eye first"] == NOT_MEASURED
    assert table["probe secure even"]["member, AUC"] == "0.60 (0.50 to 0.70), 115 patients"
    assert table["probe secure even"]["worst tenth"] == "0.70 (0.60 if all alike)"
    assert table["probe epsilon 3 even"]["member, AUC"] == NOT_MEASURED
    nobody = beside(rows[1:2], Found({"sum of 3 sites": LINE | {"first": 0.0, "n": 12}}, {}))
    assert nobody[0]["eye first"] == "0% of 12 (at most 22)"
    assert Found.read(Path("/nowhere")) == Found({}, {})


def test_what_was_seen_is_said_of_old_rows_too():
    run = {"arm": "federated", "site": ""}
    assert saw_of(run) == OPEN
    assert saw_of(run | {"saw": MASKED}) == MASKED
    assert saw_of({"arm": "probe alone", "site": "site-1", "saw": "its weights"}) == "nothing"
    assert saw_of({"arm": "probe pooled", "site": ""}) == "all images"


def test_a_linear_layer_without_noise_is_plain_descent_on_the_mean_of_patients():
    x = torch.randn(6, 3, generator=seeded(0, "x"))
    y = torch.tensor([0, 1, 1, 0, 1, 0])
    members = [torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([3, 4, 5])]
    found = _logits(x, y, members, ALL, TRAINING, 4, seeded(0, "draw"))
    w, b = torch.zeros(2, 3), torch.zeros(2)
    for number in range(1, 5):
        w_, b_ = w.clone().requires_grad_(), b.clone().requires_grad_()
        weights = torch.tensor([1.0, 2.0])
        losses = [
            torch.nn.functional.cross_entropy(x[m] @ w_.T + b_, y[m], weights, reduction="none")
            for m in members
        ]
        (sum(one.mean() for one in losses) / 3).backward()
        rate = TRAINING.of_round(number, 4).rate
        w, b = w - rate * w_.grad, b - rate * b_.grad
    out = (x @ w.T + b).double().numpy()
    np.testing.assert_allclose(found, out[:, 1] - out[:, 0], atol=1e-5)


def test_who_was_learnt_by_heart_is_found_and_noise_hides_them():
    cohort = noise_cohort(np.repeat(np.arange(12), 2), np.tile([True, False], 12))
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(24, 40))).float()
    strong = LocalTraining(rate=3.0, class_weights=(1.0, 1.0))
    plain = member_risk(x, cohort, ALL, strong, 8, "plain", models=40)
    noisy = member_risk(x, cohort, Mechanism(1.0, 0.1, 60.0), strong, 8, "noisy", models=40)
    assert plain["auc"] > 0.9
    assert noisy["auc"] < 0.7
    assert (plain["patients"], plain["models"], noisy["noise"]) == (12, 40, 60.0)
    assert plain["right"] > noisy["right"]


def test_a_cohort_of_ones_own_has_network_rows_and_a_summary_without_images(tmp_path):
    own = patterned_cohort(40, 3)
    course = federated.Course(1, 16, LocalTraining(batch=64, strength=0.0))
    arms = (federated.ARMS[0], federated.ARMS[6], federated.ARMS[-1])
    found = federated.measure(
        tmp_path, lambda text: None, seeds=1, arms=arms, own=own, course=course
    )
    assert [one["arm"] for one in found["rows"]] == ["pooled", "secure"]
    assert found["rows"][1]["saw"] == MASKED
    assert "membership" not in found
    kept = json.loads((tmp_path / federated.ROWS).read_text())
    assert set(kept) == {"provenance", "rows"}
    assert "scores" not in str(kept)
