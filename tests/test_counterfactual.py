"""Counterfactuals of drawn eyes: what is measured, by edits whose result is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_cohorts import patterned_cohort, signed_cohort

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.explanation.counterfactual import counterfactuals
from medpriv_lib.explanation.edits import (
    beyond_reconstruction,
    by_another,
    by_gradient,
    by_inpainting,
    by_medical_vector,
    by_signs,
    donor_rows,
    laid_over,
    lifted,
    reconstructed,
    unchanged,
)
from medpriv_lib.privatizers.disentangled.model import Model, vectors_of
from medpriv_lib.privatizers.disentangled.networks import Architecture
from medpriv_lib.privatizers.disentangled.settings import Training
from medpriv_lib.privatizers.disentangled.training import train as train_networks
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

PATCH = (4, 9, 5, 11)


@pytest.fixture(scope="module")
def cohort():
    return signed_cohort(8, 6, PATCH, np.arange(8) < 4)


def dark(images):
    """The disease of these cohorts: a dark square. A judge that sees nothing else."""
    top, bottom, left, right = PATCH
    return images[:, top:bottom, left:right].mean(axis=(1, 2)) < 95


def darkest(images):
    """A recogniser that looks at one pixel, and can be fooled by it."""
    return images[:, PATCH[0], PATCH[2]] < 95


def perfect(images, wanted, generator):
    made = images.astype(int)
    top, bottom, left, right = PATCH
    made[:, top:bottom, left:right] += np.where(wanted, -60, 60)[:, None, None]
    return made.clip(0, 255).astype(np.uint8)


def shortcut(images, wanted, generator):
    """Change the one pixel that the recogniser looks at."""
    made = images.copy()
    made[:, PATCH[0], PATCH[2]] = np.where(wanted, 0, 255)
    return made


def run(cohort, edit, direction="removal", names=None):
    return counterfactuals(cohort, edit, dark, darkest, direction, seeded(0), names)


@pytest.mark.parametrize("direction", ["removal", "addition"])
def test_the_right_edit_has_no_error_and_flips_the_expert(cohort, direction):
    found = run(cohort, perfect, direction, lambda images: np.zeros(len(images), np.int64))
    assert len(found.row) == cohort.diseased.sum()
    assert found.errors["inside"] < 1
    assert found.errors["outside"] == 0
    assert found.errors["unchanged_inside"] == pytest.approx(60, abs=1)
    assert found.errors["unchanged_outside"] == 0
    assert found.shares["expert_of_truth"] == 1
    assert found.shares["expert"] == 1
    assert found.shares["same_eye"] == found.shares["same_eye_of_truth"] == 0.25  # one of four
    assert found.wanted == (direction == "addition")
    sign = -1 if found.wanted else 1
    assert (np.sign(found.difference[found.mask]) == sign).mean() > 0.99
    assert (found.difference[~found.mask] == 0).all()
    low, high = found.intervals["same_eye"]
    assert low <= 0.25 <= high


def test_doing_nothing_flips_nobody(cohort):
    found = run(cohort, unchanged)
    assert found.shares["expert"] == found.shares["recogniser"] == 0
    assert np.array_equal(found.inside, found.unchanged_inside)
    assert np.isnan(found.shares["expert_where_recogniser"])
    assert found.same_eye is None
    assert "same_eye" not in found.shares


def test_fooling_the_recogniser_does_not_fool_the_expert(cohort):
    found = run(cohort, shortcut)
    assert found.shares["recogniser"] > 0.9
    assert found.shares["expert"] == 0
    assert found.shares["expert_where_recogniser"] == 0


def test_errors_are_those_of_a_loop(cohort):
    noise = np.random.default_rng(0).integers(-20, 20, cohort.images.shape[1:])

    def noisy(images, wanted, generator):
        return (images.astype(int) + noise).clip(0, 255).astype(np.uint8)

    found = run(cohort, noisy)
    for i, row in enumerate(np.flatnonzero(cohort.diseased)):
        difference = found.made[i].astype(float) - cohort.twin[row]
        inside = difference[cohort.evidence[row]]
        outside = difference[~cohort.evidence[row]]
        assert found.inside[i] == pytest.approx(np.sqrt((inside**2).mean()))
        assert found.outside[i] == pytest.approx(np.sqrt((outside**2).mean()))


def test_images_that_were_misread_cannot_flip(cohort):
    found = counterfactuals(
        cohort, perfect, lambda images: np.zeros(len(images), bool), dark, "removal", seeded(0)
    )
    assert not found.expert_could.any()
    assert np.isnan(found.shares["expert"])
    assert found.shares["recogniser"] == 1


def test_what_has_no_truth_is_refused(cohort):
    with pytest.raises(NotApplicable, match="only drawn grey eyes"):
        run(patterned_cohort(4, 6), unchanged)
    with pytest.raises(NotApplicable, match="visible signs"):
        run(signed_cohort(3, 6, PATCH, np.zeros(3, bool)), unchanged)
    with pytest.raises(ValueError, match="an edit returns"):
        run(cohort, lambda images, wanted, generator: images[:, ::2])


def exact_reader(images):
    """Read the square's signs exactly where there are any: half of level 5, laid over the eye."""
    alpha = np.zeros(images.shape, np.float32)
    top, bottom, left, right = PATCH
    alpha[dark(images), top:bottom, left:right] = 0.5
    return SimpleNamespace(alpha=alpha, v=np.full(images.shape, 5, np.float32))


def half_dark(cohort):
    """The cohort with signs that the reader reads exactly: half of the twin, half of level 5."""
    below = cohort.twin.astype(float)
    images = np.where(cohort.evidence, np.rint(below * 0.5 + 2.5), below).astype(np.uint8)
    return replace(cohort, images=np.where(cohort.diseased[:, None, None], images, cohort.twin))


def test_signs_are_lifted_off_and_laid_over(cohort):
    cohort = half_dark(cohort)
    edit = by_signs(exact_reader, cohort)
    removed = run(cohort, edit)
    assert removed.errors["outside"] == 0
    assert removed.errors["inside"] <= 1 < removed.errors["unchanged_inside"]
    added = run(cohort, edit, "addition")
    assert added.shares["expert"] == 1
    assert added.errors["outside"] == 0
    assert added.errors["inside"] <= 1  # everybody has the same signs here
    healthy = cohort.take(~cohort.diseased)
    with pytest.raises(NotApplicable, match="no donor is diseased"):
        run(cohort, by_signs(exact_reader, healthy), "addition")


def test_lifting_undoes_laying_over_pixel_by_pixel():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3, 8, 8), dtype=np.uint8)
    signs = SimpleNamespace(alpha=rng.random((3, 8, 8)) * 0.7, v=rng.uniform(0, 255, (3, 8, 8)))
    made = laid_over(x, signs, 1.1)
    back = lifted(made, signs, 1.1)
    for i in np.ndindex(x.shape):
        alpha = min(1.1 * signs.alpha[i], 1)
        assert made[i] == np.rint((1 - alpha) * x[i] + alpha * signs.v[i])
        assert abs(int(back[i]) - int(x[i])) <= 0.5 / (1 - alpha) + 0.5
    opaque = SimpleNamespace(alpha=np.ones((3, 8, 8)), v=np.full((3, 8, 8), 50.0))
    assert np.isfinite(lifted(x, opaque).astype(float)).all()


def test_painting_anew_removes_and_adds_nothing(cohort):
    found = run(cohort, by_inpainting(exact_reader))
    assert found.shares["expert"] == 1
    assert found.errors["outside"] == 0
    with pytest.raises(NotApplicable, match="adds none"):
        run(cohort, by_inpainting(exact_reader), "addition")


def test_another_person_is_another_eye(cohort):
    found = run(cohort, by_another(cohort))
    healthy = {image.tobytes() for image in cohort.images[~cohort.diseased]}
    assert all(image.tobytes() in healthy for image in found.made)
    assert found.shares["expert"] == found.shares["expert_of_truth"] == 1
    assert found.errors["outside"] > 1


def test_an_adversarial_edit_moves_no_pixel_far_and_flips_its_network(cohort):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Recogniser(2, cohort.images.shape[1]).eval()
    before = logits(network, cohort.images)
    wanted = before.argmax(1).numpy() == 0
    made = by_gradient(network, steps=8, most=4.0)(cohort.images, wanted, seeded(0))
    assert np.abs(made.astype(int) - cohort.images).max() <= 4
    after, sign = logits(network, made), np.where(wanted, 1, -1)
    gained = sign * ((after - before)[:, 1] - (after - before)[:, 0]).numpy()
    assert (gained > 0).all()


@pytest.fixture(scope="module")
def model(cohort):
    train = cohort.of("train")
    config = Training(rounds=4, batch=8, frozen_recognisers=0, precision="no", alone=0.5, ramp=0.2)
    architecture = Architecture.of(train, width=8, medical=3, identity=6, other=4)
    networks = train_networks(train, architecture, config).averaged()
    from medpriv_lib.privatizers.disentangled.identities import Synthesis

    return Model.of(networks, train, "closed", None, Synthesis(code=3, rounds=5, batch=8))


def test_only_the_medical_vector_is_changed(cohort, model):
    edit = by_medical_vector(model)
    ill = cohort.take(cohort.diseased).images[:3]
    wanted = np.array([False, True, False])
    made = edit(ill, wanted, seeded(0))
    vectors = vectors_of(model.networks, ill)
    shown = model.show(vectors._replace(medical=model.medical_mean[[0, 1, 0]]))
    assert np.abs(made - ((shown[:, 0] + 1) * 127.5).numpy()).max() <= 0.51
    plain = reconstructed(model)(ill, wanted, seeded(0))
    beyond = beyond_reconstruction(model, edit)(ill, wanted, seeded(0))
    expected = np.clip(ill.astype(int) + made.astype(int) - plain, 0, 255)
    assert np.array_equal(beyond, expected)
    nothing = beyond_reconstruction(model, reconstructed(model))(ill, wanted, seeded(0))
    assert np.array_equal(nothing, ill)


def test_a_donor_has_the_wanted_label(cohort, model):
    wanted = np.arange(40) % 3 == 0
    rows = donor_rows(cohort, wanted, seeded(0))
    assert np.array_equal(cohort.diseased[rows], wanted)
    assert len(set(rows)) > 15
    ill = cohort.take(cohort.diseased).images[:5]
    edit = by_medical_vector(model, cohort)
    assert edit(ill, np.zeros(5, bool), seeded(0)).shape == ill.shape
    with pytest.raises(NotApplicable, match="no donor is healthy"):
        by_medical_vector(model, cohort.take(cohort.diseased))(ill, np.zeros(5, bool), seeded(0))
