"""The expert: taught on people outside, its threshold from others, kept and read as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cohorts_with_visits import confounded
from small_cohorts import cohort_of

from medpriv_lib.recognition.expert import (
    DEVELOPMENT_NAME,
    NAME,
    Expert,
    best_threshold,
)
from medpriv_lib.recognition.expert_training import (
    CameraLearner,
    Teaching,
    by_family,
    fit_expert,
    healthy_called_ill,
    joined_cohorts,
    reading,
)
from medpriv_lib.recognition.learner import Settings
from medpriv_lib.recognition.wide import Shape, Wide

SMALL = Shape((8, 8, 16, 16), (3, 3, 3, 3), "max", 16)
BRIEF = Teaching(
    Settings(epochs=6, batch=32, rate=4e-3, smoothing=0.02, strength=0.2, dropout=0.0),
    (0, 1),
    SMALL,
)


def invented(people=60, each=4, seed=0, size=16):
    """People whose disease is a bright spot in the middle; twins without it."""
    rng = np.random.default_rng([seed, 7])
    n = people * each
    patient = np.repeat(np.arange(people), each)
    twin = rng.integers(60, 140, (n, size, size), dtype=np.uint8)
    ill = rng.random(n) < 0.5
    images = twin.copy()
    images[ill, 6:10, 6:10] += 100
    names = np.array([f"invented-{seed}-{p}" for p in range(people)])
    signs = images != twin
    return cohort_of(images, patient, ill, eye="L", names=names, evidence=signs, twin=twin)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expert")
    expert = fit_expert(
        invented(), invented(seed=1), folder, teaching=BRIEF, device="cpu", progress=False
    )
    return expert, folder


def test_it_reads_strangers_and_not_their_twins(taught):
    found = reading(taught[0], invented(seed=2))
    assert found["auc"] > 0.97
    assert found["f1"] > 0.9
    assert found["healthy_ill"] < 0.1
    assert 0.4 < found["twin_auc"] < 0.6
    assert found["twin_f1"] < 0.2
    assert len(found["auc_each"]) == 2
    assert found["auc_low"] <= found["auc"] <= found["auc_high"]
    assert set(by_family(taught[0], {"a": invented(10, seed=3)})) == {"a"}


def test_a_file_gives_the_same_scores(taught):
    expert, folder = taught
    again, images = Expert.load(folder / NAME), invented(5, seed=4).images
    np.testing.assert_array_equal(again.score(images), expert.score(images))
    assert again.threshold == expert.threshold
    assert again.card["config"]["networks"] == 2
    assert again.card["config"]["shape"]["pooling"] == "max"
    with pytest.raises(ValueError, match="of kind"):
        Expert.load(folder / NAME, development=True)
    assert not (folder / f"{NAME}-in-training").exists()


def test_the_score_is_the_mean_and_is_read_once(taught):
    expert, images = replace(taught[0]), invented(5, seed=5).images
    np.testing.assert_allclose(expert.score(images), expert.each(images).mean(axis=0))
    before = expert.score(images)
    for network in expert.networks:
        network.train()  # a second reading would fail or differ
    np.testing.assert_array_equal(expert.score(images), before)
    assert (expert.ill(images) == (before >= expert.threshold)).all()
    assert expert.score(images[:0]).shape == (0,)
    for network in expert.networks:
        network.eval()


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path):
    people, others = invented(12), invented(12, seed=1)
    settings = replace(BRIEF.settings, epochs=3)
    teaching = replace(BRIEF, settings=settings, seeds=(4,), checkpoint_seconds=0)
    told = {"teaching": teaching, "device": "cpu", "development": True}
    whole = fit_expert(people, others, tmp_path / "whole", progress=False, **told)

    def stop(epoch, epochs, row):
        if epoch == 2:
            raise KeyboardInterrupt

    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        fit_expert(people, others, folder, progress=stop, **told)
    assert (folder / f"{DEVELOPMENT_NAME}-in-training" / "4" / "checkpoint.safetensors").is_file()
    again = fit_expert(people, others, folder, progress=False, **told)
    images = others.images[:6]
    np.testing.assert_array_equal(again.score(images), whole.score(images))
    assert again.threshold == whole.threshold


def test_the_same_people_cannot_teach_and_give_the_threshold(tmp_path):
    people = invented(10)
    with pytest.raises(ValueError, match="10 people"):
        fit_expert(people, people, tmp_path, teaching=BRIEF, device="cpu")


def f1_by_hand(scores, ill, threshold, prevalence):
    weight = np.where(ill, prevalence / ill.sum(), (1 - prevalence) / (~ill).sum())
    called = scores >= threshold
    hit = weight[called & ill].sum()
    return 2 * hit / (weight[called].sum() + prevalence)


@pytest.mark.parametrize("prevalence", [None, 0.237, 0.5])
def test_no_threshold_has_a_higher_f1(prevalence):
    rng = np.random.default_rng(0)
    ill = rng.random(80) < 0.5
    scores = np.round(rng.normal(ill * 1.2, 1), 1)  # with ties
    share = ill.mean() if prevalence is None else prevalence
    found = best_threshold(scores, ill, prevalence)
    best = max(f1_by_hand(scores, ill, t, share) for t in np.unique(scores))
    assert f1_by_hand(scores, ill, found, share) == pytest.approx(best)
    with pytest.raises(ValueError, match="both labels"):
        best_threshold(scores, np.ones(80, dtype=bool))


def test_a_rarer_disease_wants_a_higher_threshold():
    rng = np.random.default_rng(1)
    ill = np.arange(2000) < 1000
    scores = rng.normal(ill * 1.5, 1)
    assert best_threshold(scores, ill, 0.05) > best_threshold(scores, ill, 0.5) + 0.3


def test_healthy_called_ill_at_a_sensitivity_by_hand():
    score = np.array([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0, 8.5, 0.5, 6.5, -1])
    ill = np.arange(14) < 10
    # eight of ten ill are found from 2 on; two of four healthy are above that
    assert healthy_called_ill(score, ill, 0.8) == pytest.approx(0.5)


def test_cohorts_are_put_together_with_their_people_apart():
    one, two = invented(3), confounded(patients=2, each=4, size=16)
    both = joined_cohorts([one, two])
    assert both.patients == 5
    assert both.patient[len(one) :].min() == 3
    assert both.visit is None  # one of them has no visits
    assert both.twin.shape == both.images.shape
    assert len(set(both.patient_names.tolist())) == 5
    with pytest.raises(ValueError, match="no cohort"):
        joined_cohorts([])


def test_distortions_keep_the_levels_and_are_drawn_again_from_the_seed():
    learner = CameraLearner.__new__(CameraLearner)
    learner.settings = Settings()
    x = torch.rand(16, 1, 32, 32) * 2 - 1
    torch.manual_seed(3)
    one = learner.distorted(x, torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    two = learner.distorted(x, torch.Generator().manual_seed(0))
    assert torch.equal(one, two)
    assert torch.isfinite(one).all()
    assert one.abs().max() < 1.4
    learner.settings = Settings(strength=0.0)
    assert torch.equal(learner.distorted(x, torch.Generator()), x)


def test_an_expert_without_a_network_is_refused():
    with pytest.raises(ValueError, match="at least one network"):
        Expert((), 0.0)
    assert Wide(2, 16, 1, SMALL).head.out_features == 2
