"""Averaged sets: the right images in the mean, each identity once, and the own one among them."""

import dataclasses

import numpy as np
import pytest
import torch
from small_cohorts import noise_cohort

from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.privatizers.replacement import Pools, draw_identities


@pytest.fixture
def cohort():
    patient = np.arange(48) % 12
    return noise_cohort(patient, patient % 3 == 0, size=4)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class ToyVGAN:
    """The surface of PPRLVGAN: an image is the code (one number) plus a face that belongs to the
    identity."""

    def __init__(self, train):
        self.pools = Pools.of(train)
        self.faces = torch.from_numpy(
            np.random.default_rng(1).uniform(-0.5, 0.5, (train.patients, 1, 4, 4))
        ).float()

    def encode(self, images, generator):
        return torch.rand(len(images), 1, generator=generator) * 0.4

    def decode(self, z, identity):
        return self.faces[identity] + z[:, :, None, None]

    def draw_identities(self, cohort, generator, count, policy, replace=True):
        return draw_identities(self.pools, cohort, generator, count, policy, replace)


def slow_average(vgan, cohort, k, policy, generator):
    """One image after the other, from the identities that were drawn."""
    drawn = Averaged(vgan, k, policy).identities(cohort, generator)
    z = vgan.encode(cohort.images, generator)
    images = []
    for i in range(len(cohort)):
        faces = [vgan.decode(z[i : i + 1], torch.tensor([c]))[0, 0].double() for c in drawn[i]]
        images.append(torch.stack(faces).mean(dim=0).add(1).mul(127.5))
    return torch.stack(images).numpy(), drawn


@pytest.mark.parametrize("policy", ["random", "same"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_agrees_with_the_slow_twin(cohort, k, policy):
    vgan = ToyVGAN(cohort)
    release = Averaged(vgan, k, policy).fit(cohort).privatize(cohort, seeded())
    expected, drawn = slow_average(vgan, cohort, k, policy, seeded())
    assert np.abs(release.images - expected).max() <= 0.5 + 1e-3  # rounded once, after the mean
    np.testing.assert_array_equal(release.contributors, drawn)
    assert release.parameters == {"k": k, "policy": policy}
    assert isinstance(Averaged(vgan), Privatizer)


def test_six_images_one_with_the_original_identity_and_no_identity_twice(cohort):
    release = Averaged(ToyVGAN(cohort)).privatize(cohort, seeded())
    assert release.contributors.shape == (48, 6)
    np.testing.assert_array_equal(release.contributors[:, 0], cohort.patient)
    assert all(len(set(row.tolist())) == 6 for row in release.contributors)


def test_same_policy_takes_patients_of_the_label_only(cohort):
    release = Averaged(ToyVGAN(cohort), 4, "same").privatize(cohort, seeded())
    assert (release.contributors % 3 == 0).all(axis=1)[cohort.diseased].all()
    assert not (release.contributors % 3 == 0).any(axis=1)[~cohort.diseased].any()


def test_a_pool_smaller_than_k_minus_1_is_drawn_from_with_replacement(cohort):
    # four diseased patients: three others for five places
    release = Averaged(ToyVGAN(cohort), 6, "same").privatize(cohort, seeded())
    assert (release.contributors[cohort.diseased] % 3 == 0).all()
    assert (release.contributors[:, 1:] != cohort.patient[:, None]).all()
    assert all(len(set(row.tolist())) == 6 for row in release.contributors[~cohort.diseased])


def test_every_other_patient_is_drawn_equally_often(cohort):
    one = cohort.take(np.zeros(4000, dtype=int))
    drawn = Averaged(ToyVGAN(cohort), 6).identities(one, seeded())[:, 1:]
    # each of 11 others is among 5 with probability 5/11: binomial(4000, 5/11), standard deviation
    # 31.5. The bound is 4.5 of them: of 11 patients one lies outside in fewer than 1 of 10,000
    # seeds
    counts = np.bincount(drawn.ravel(), minlength=12)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 4000 * 5 / 11).max() < 4.5 * 31.5


def test_repeats_with_its_seed_and_only_then(cohort):
    method = Averaged(ToyVGAN(cohort))
    first, again, other = (method.privatize(cohort, seeded(s)).images for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_predicted_labels_change_the_pool(cohort):
    flipped = dataclasses.replace(cohort, diseased=~cohort.diseased)
    drawn = Averaged(ToyVGAN(cohort), 3, "same").identities(flipped, seeded())
    assert ((drawn[:, 1:] % 3 == 0).all(axis=1) == flipped.diseased).all()


def test_empty_pool_is_an_error(cohort):
    cohort = dataclasses.replace(cohort, diseased=cohort.patient == 0)
    with pytest.raises(
        ValueError, match=r"leaves 0 replacement identities for image 0 \(patient p0, diseased\)"
    ):
        Averaged(ToyVGAN(cohort), 6, "same").privatize(cohort, seeded())


def test_a_patient_without_an_identity_code_is_an_error(cohort):
    vgan = ToyVGAN(cohort.take(cohort.patient != 5))
    with pytest.raises(
        ValueError, match="image 5: .* but p5 has no image in the generator's training"
    ):
        Averaged(vgan).privatize(cohort, seeded())
    stranger = dataclasses.replace(
        cohort.take(np.arange(3)),
        patient_names=np.array(["p0", "p1", "new"] + [f"x{i}" for i in range(9)]),
    )
    with pytest.raises(ValueError, match="image 2: .* but new has no image"):
        Averaged(vgan).privatize(stranger, seeded())


@pytest.mark.parametrize("k", [1, 0, -2, 2.0, None])
def test_k_below_2_is_refused(cohort, k):
    with pytest.raises(ValueError, match="k must be"):
        Averaged(ToyVGAN(cohort), k)


def test_unknown_policy_is_refused(cohort):
    with pytest.raises(ValueError, match="random or same, not 'different'"):
        Averaged(ToyVGAN(cohort), 6, "different")
