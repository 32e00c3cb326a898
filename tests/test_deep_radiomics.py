"""The pipeline as one object: a declaration names a technology for each arrow, and runs."""

from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import cohort_of

from medpriv_lib.core.intervals import area
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.pipeline.deep_radiomics import SLOTS, DeepRadiomics, Prepared, describe
from medpriv_lib.pipeline.slots.infer import INFERRING
from medpriv_lib.pipeline.slots.technology import Context, Model, Table
from medpriv_lib.pipeline.slots.train import split_by_patient
from medpriv_lib.study.pipeline.attacked import Court

PEOPLE, EACH, WIDTH = 40, 4, 6


def prepared(seed=0):
    """Return vectors of forty patients: a vector of their own each, plus the disease, plus noise."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(PEOPLE), EACH)
    ill = patient % 2 == 0
    vectors = rng.normal(size=(PEOPLE, WIDTH))[patient] + 0.1 * rng.normal(size=(160, WIDTH))
    vectors[:, 0] += 2.0 * ill
    split = np.tile(["train", "train", "val", "test"], PEOPLE)
    cohort = cohort_of(np.zeros((160, 4, 4)), patient, ill, split=split)
    return Prepared(
        cohort, "radiomics", vectors, np.arange(PEOPLE) // 2 % 5, lambda x: vectors[: len(x)]
    )


def cheap(epsilon, delta, rate, steps):
    """A price that no accountant was asked for."""
    return 1.0, 2.9


def test_every_slot_has_a_plain_technology_and_promises():
    for stage, there in SLOTS.items():
        assert getattr(DeepRadiomics(), stage) in there
        assert all(one.promise.hides and one.chapter for one in there.values())
    with pytest.raises(ValueError, match="train cannot be 'magic'; choose from pooled"):
        DeepRadiomics(train="magic")
    with pytest.raises(ValueError, match="epsilon must be above 0"):
        DeepRadiomics(epsilon=0)


def test_the_plain_pipeline_asks_only_about_patients_that_no_model_saw():
    work = prepared()
    found = DeepRadiomics().run(work, seed=0)
    assert (found.images, found.patients) == (120, PEOPLE)  # no photograph of the attacker's
    value, low, high = found.auc
    assert low <= value <= high
    assert value > 0.8
    assert found.sent["infer"] == 120 * WIDTH * 8
    for fold, seen in enumerate(found.seen["release"]):
        assert not (work.fold[seen[0].what["patient"]] == fold).any()
        assert (work.fold[found.seen["infer"][fold][0].what["patient"]] == fold).all()


@pytest.mark.parametrize("train", ["federated", "masked", "ckks"])
def test_three_ways_to_add_give_one_model(train):
    work = prepared()
    one = DeepRadiomics(train=train).run(work, seed=0, parts=1)
    seen = one.seen["train"][0]
    model = next(part for part in seen if part.kind == "model").what["score"]
    plain = DeepRadiomics(train="federated").run(work, seed=0, parts=1)
    other = next(part for part in plain.seen["train"][0] if part.kind == "model").what["score"]
    assert np.abs(model(work.vectors) - other(work.vectors)).max() < 1e-2
    sums = next(part for part in seen if part.kind == "sums").what
    assert len(sums["rounds"][0][1]) == (3 if train == "federated" else 1)
    assert one.sent["train"] > 0


@pytest.mark.parametrize("train", ["private", "each", "shares", "split-private", "pate"])
def test_private_trainings_say_what_they_cost(train):
    found = DeepRadiomics(train=train).run(prepared(), seed=0, parts=1, price=cheap)
    notes = found.notes["train"][0]
    assert notes["epsilon"] == 2.9


def test_two_hospitals_train_on_the_patients_whom_both_have():
    given = DeepRadiomics(train="vertical").run(prepared(), seed=0, parts=1)
    notes, seen = given.notes["train"][0], given.seen["train"][0]
    assert notes["labels read from the derivative"] == 1
    assert notes["common patients"] == len(np.unique(seen[0].what["patient"])) == 32 - 2 * 6
    assert set(seen[1].what["trained"]) == set(seen[0].what["patient"])
    assert given.sent["train"] > notes["intersection_bytes"] > 0
    assert given.auc[0] > 0.8


ATTACKED = {
    "plain": ("identifiers read", 1.0),
    "facts": ("row found by facts", 1.0),
    "pseudonyms": ("identifiers read", 0.0),
    "intersection": ("who is on the list", 0.5),
    "k-anonymous": ("row found by facts", 1 / 5),
    "shared": ("patients named", 1 / PEOPLE),
}


@pytest.mark.parametrize("collect", SLOTS["collect"])
def test_what_is_collected_is_attacked_beside_rows_with_names(collect):
    work = prepared()
    found = DeepRadiomics(collect=collect).run(work, seed=0, parts=1)
    assert found.auc[0] > 0.7
    assert found.sent["collect"] > 0
    name, most = ATTACKED[collect]
    told = {one.attack: one for one in Court(work, None).attack(found.seen["collect"])}
    assert told[name].value <= most + (0.15 if collect == "shared" else 1e-9)  # 5 of 32 by chance
    if collect in ("plain", "facts"):
        assert told[name].value == most
    if collect == "intersection":
        notes = found.notes["collect"][0]
        assert notes["of the list, read with the asker's secret"] == 1  # the control
        assert notes["common patients"] == 32 - 2 * 6
    if collect in ("plain", "pseudonyms", "k-anonymous"):
        assert told["patients named"].value > 0.9  # what the vectors say, no name protects


def test_sums_in_shares_give_the_discriminant_of_the_open_table():
    work = prepared()
    found = DeepRadiomics(collect="shared").run(work, seed=0, parts=1)
    model = next(one for one in found.seen["collect"][0] if one.kind == "model").what["score"]
    inside = (work.fold[work.cohort.patient] != 0) & (work.cohort.split != "test")
    x, whose = work.vectors[inside], work.cohort.patient[inside]
    mean = np.stack([x[whose == one].mean(axis=0) for one in np.unique(whose)])
    square = np.stack([(x[whose == one] ** 2).mean(axis=0) for one in np.unique(whose)])
    ill = np.unique(whose) % 2 == 0
    middle = [mean[ill].mean(axis=0), mean[~ill].mean(axis=0)]
    within = [
        (square[ill].mean(axis=0) - middle[0] ** 2),
        square[~ill].mean(axis=0) - middle[1] ** 2,
    ]
    variance = ill.mean() * within[0] + (1 - ill.mean()) * within[1]
    weights = (middle[0] - middle[1]) / variance
    want = (x - (middle[0] + middle[1]) / 2) @ weights + np.log(ill.mean() / (1 - ill.mean()))
    assert np.abs(model(x) - want).max() < 1e-3


@pytest.mark.parametrize("release", ["local", "histograms"])
def test_what_leaves_is_noised(release):
    found = DeepRadiomics(release=release).run(prepared(), seed=0, parts=1, price=cheap)
    assert found.notes["release"][0] == {"epsilon": 2.9, "noise": 1.0}


@pytest.mark.parametrize("infer", ["ckks", "shared", "ckks-shared", "enclave", "enclave-oblivious"])
def test_inference_in_earnest_equals_that_in_the_clear(infer):
    found = DeepRadiomics(infer=infer, few=2).run(prepared(), seed=0, parts=1)
    notes = found.notes["infer"][0]
    assert notes["images"] == 2
    assert notes["error"] < 1e-4
    if infer == "enclave":
        assert notes["decision read from the trace, AUC"] == pytest.approx(
            found.auc[0], abs=0.01
        )  # sums in another order part some ties
    if infer == "enclave-oblivious":
        assert np.ptp(found.seen["infer"][0][0].what["values"]) == 0


def test_ckks_scores_linear_models_alone():
    table = Table(np.zeros((2, 3)), np.array([True, False]), np.arange(2), np.arange(2))
    with pytest.raises(NotApplicable, match="linear models"):
        INFERRING["ckks"].work(Model(lambda x: x[:, 0]), table, table, None)


def test_hospitals_share_no_patient():
    import torch

    work = prepared()
    table = work.table(np.arange(160))
    context = Context(
        torch.Generator().manual_seed(0), 3, 0.01, table, work.cohort, np.arange(160), work.scale
    )
    parts = split_by_patient(table, context)
    owned = [set(part.patient.tolist()) for part in parts]
    assert sum(map(len, owned)) == PEOPLE == len(set().union(*owned))


def test_unknown_features():
    with pytest.raises(ValueError, match="radiomics or deep"):
        describe(np.zeros((1, 64, 64), np.uint8), "shallow")


def test_scores_are_ranks_of_a_fold():
    work = prepared()
    moved = replace(work, vectors=work.vectors * 1.0)
    one, other = (DeepRadiomics().run(w, seed=0).auc[0] for w in (work, moved))
    assert one == other
    alone = DeepRadiomics().run(work, seed=0, parts=1)
    assert 0.5 < alone.auc[0] <= 1
    assert area(np.arange(4.0), np.array([False, False, True, True])) == 1
