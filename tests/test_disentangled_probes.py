"""Probes on a toy where the factors can be separated exactly, and on one where they cannot."""

import numpy as np
import pytest
import torch

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.disentangled.networks import Vectors
from medpriv_lib.privatizers.disentangled.probes import Known, probe, probes

PATIENTS, EACH, SIZE = 12, 40, 10
QUICK = {"steps": 120, "decays": (1e-3,)}


def two_factors(confounded, seed=0):
    """Return images x = label u + patient's vector + noise, with patient, label and which teach.

    Each patient has both labels, or, confounded, one.
    """
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(PATIENTS), EACH)
    label = patient % 2 == 0 if confounded else rng.random(len(patient)) < 0.5
    directions = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0]
    of_patient = rng.normal(size=(PATIENTS, 4)) * 3
    x = np.outer(label * 2.0 - 1, directions[0]) + of_patient[patient] @ directions[1:5]
    x += rng.normal(0, 0.2, x.shape)
    return x, patient, label, np.arange(len(patient)) % 4 != 0


def disentangled(x, patient, label, teach):
    """Return (medical, identity) by least squares on the teaching images: x is regressed on label
    and patient, the label's effect is medical, what is orthogonal to it and varies between patients
    is identity."""
    known = np.eye(PATIENTS)[patient[teach]]
    design = np.concatenate([label[teach, None] * 2.0 - 1, known], axis=1)
    effects = np.linalg.lstsq(design, x[teach], rcond=None)[0]
    of_label, of_patient = effects[0], effects[1:] - effects[1:].mean(0)
    # the medical reader ignores every direction of the patients' effects
    basis = np.linalg.svd(of_patient)[2][:4]
    reader = of_label - basis.T @ (basis @ of_label)
    medical = x @ reader[:, None]
    unit = of_label / np.linalg.norm(of_label)
    identity = (x - np.outer(x @ unit, unit)) @ basis.T
    return medical, identity


def probed(confounded):
    x, patient, label, teach = two_factors(confounded)
    medical, identity = disentangled(x, patient, label, teach)
    vectors = Vectors(
        torch.tensor(medical).float(), torch.tensor(identity).float(), torch.zeros(len(x), 0)
    )
    learned, asked = (
        Known(vectors.rows(torch.from_numpy(rows)), patient[rows], label[rows])
        for rows in (teach, ~teach)
    )
    return {(one.part, one.target, one.kind): one for one in probes(learned, asked, **QUICK)}


def test_separated_factors_are_read_from_their_own_vector_alone():
    found = probed(confounded=False)
    for kind in ("linear", "network"):
        assert found["medical", "label", kind].accuracy > 0.95
        assert found["identity", "patient", kind].accuracy > 0.95
        assert found["medical", "patient", kind].times_chance < 3
        assert found["medical", "patient", kind].chance == pytest.approx(1 / PATIENTS)
        label = found["identity", "label", kind]
        assert label.low <= 0.5 <= label.high
    assert {part for part, _, _ in found} == {"medical", "identity"}  # an empty vector is no vector


def test_a_patient_with_one_label_is_never_disentangled():
    found = probed(confounded=True)
    assert found["identity", "label", "network"].low > 0.9


def test_mixed_vectors_are_found_out():
    """The whole image in every vector: both factors are read from each."""
    x, patient, label, teach = two_factors(False)
    whole = torch.tensor(x).float()
    vectors = Vectors(whole, whole, whole)
    learned, asked = (
        Known(vectors.rows(torch.from_numpy(rows)), patient[rows], label[rows])
        for rows in (teach, ~teach)
    )
    for one in probes(learned, asked, **QUICK):
        assert one.low > 0.9, one


def test_noise_gives_chance_and_strangers_are_left_out():
    rng = np.random.default_rng(0)
    noise = torch.tensor(rng.normal(size=(400, 6))).float()
    patient, label = np.repeat(np.arange(10), 40), rng.random(400) < 0.3
    vectors = Vectors(noise, noise, noise[:, :0])
    teach = np.arange(400) % 2 == 0
    learned = Known(vectors.rows(torch.from_numpy(teach)), patient[teach], label[teach])
    asked = Known(vectors.rows(torch.from_numpy(~teach)), patient[~teach], label[~teach])
    for one in probes(learned, asked, **QUICK):
        assert one.low <= one.chance + 0.02
        assert one.high < 3 * one.chance
    strangers = Known(asked.vectors, asked.patient + 100, asked.label)
    assert {one.target for one in probes(learned, strangers, **QUICK)} == {"label"}


def test_the_decay_is_chosen_on_learned_images_only():
    """With many entries and few images a probe needs decay; the choice must not look at the asked
    images, so asking others does not change what is said of one."""
    rng = np.random.default_rng(1)
    x = torch.tensor(rng.normal(size=(260, 60))).float()
    y = rng.integers(0, 2, 260)
    x[:, 0] += torch.tensor(4.0 * y).float()
    both = probe(x[:160], y[:160], x[160:], y[160:], steps=100)
    some = probe(x[:160], y[:160], x[160:165], y[160:165], steps=100)
    assert np.array_equal(both[:5], some)
    bare = probe(x[:160], y[:160], x[160:], y[160:], steps=100, decays=(0.0,))
    assert both.mean() > max(0.85, bare.mean())


def test_classes_that_nobody_taught_are_refused():
    x = torch.randn(6, 2)
    with pytest.raises(NotApplicable, match="classes that it learned"):
        probe(x, np.array([0, 0, 1, 1, 2, 2]), x, np.array([0, 1, 2, 3, 0, 0]), steps=1)
    with pytest.raises(NotApplicable):
        probe(x, np.zeros(6, np.int64), x, np.zeros(6, np.int64), steps=1)
