"""Controls: each does what makes it a control, and nothing more."""

import dataclasses

import numpy as np
import pytest
import torch
from small_cohorts import noise_cohort

from medpriv_lib.privatizers.controls import ClassMean, PriorSample, RealOther


def make(n=60, patients=6):
    split = np.array(["train", "train", "test"])[np.arange(n) // patients % 3]
    return noise_cohort(np.arange(n) % patients, size=8, split=split)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class ToyVGAN:
    """The surface of PPRLVGAN: the decoder writes the identity and z into the image, so that both
    can be read back."""

    latent = 4

    def encode(self, images):
        raise AssertionError("a sample from the prior never looks at the source")

    def decode(self, z, identity):
        picture = torch.zeros(len(z), 1, 8, 8)
        picture[:, 0, 0, 0] = identity / 127.5 - 1
        picture[:, 0, 1, :4] = z / 8
        return picture

    def draw_identities(self, cohort, generator, count, policy):
        assert policy in ("random", "same", "different")
        return (
            torch.as_tensor(cohort.patient)[:, None]
            + 1
            + torch.randint(5, (len(cohort), count), generator=generator)
        ) % 6


def test_real_other_shows_a_training_image_of_another_patient_with_the_same_label():
    cohort = make()
    train, test = cohort.of("train"), cohort.of("test")
    release = RealOther().fit(train).privatize(test, seeded())
    for i, image in enumerate(release.images):
        row = np.flatnonzero((train.images == image).all(axis=(1, 2)))
        assert len(row) == 1
        assert train.diseased[row[0]] == test.diseased[i]
        assert train.patient[row[0]] == release.contributors[i, 0] != test.patient[i]
    assert release.contributors.shape == (len(test), 1)


def test_real_other_draws_every_other_patient_equally_often():
    cohort = make()
    one = cohort.take(np.zeros(3000, dtype=int))  # patient 0, whose label patients 2 and 4 share
    drawn = RealOther().fit(cohort).privatize(one, seeded()).contributors[:, 0]
    # binomial(3000, 1/2) has standard deviation 27; four of them either side fail once in 15,000
    # seeds
    assert set(drawn) == {2, 4}
    assert abs((drawn == 2).sum() - 1500) < 4 * 27.4


def test_real_other_repeats_with_its_seed_and_only_then():
    cohort = make()
    method = RealOther().fit(cohort)
    first, again, other = (method.privatize(cohort, seeded(s)).images for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_real_other_without_another_patient_of_the_label_is_an_error():
    cohort = make(patients=2)
    with pytest.raises(
        ValueError, match=r"leaves 0 replacement identities for image 0 \(patient p0, diseased\)"
    ):
        RealOther().fit(cohort).privatize(cohort, seeded())


def test_class_mean_depends_on_the_label_alone():
    cohort = make()
    train, test = cohort.of("train"), cohort.of("test")
    release = ClassMean().fit(train).privatize(test)
    for label in (False, True):
        expected = np.rint(
            train.images[train.diseased == label].astype(np.float64).mean(axis=0)
        ).astype(np.uint8)
        assert (release.images[test.diseased == label] == expected).all()
    np.testing.assert_array_equal(
        release.contributors[test.diseased], np.tile([0, 2, 4], (test.diseased.sum(), 1))
    )


def test_class_mean_pads_contributors_where_the_classes_differ_in_patients():
    cohort = make()
    cohort = dataclasses.replace(cohort, diseased=cohort.patient == 0)
    release = ClassMean().fit(cohort).privatize(cohort)
    np.testing.assert_array_equal(release.contributors[0], [0, -1, -1, -1, -1])
    np.testing.assert_array_equal(release.contributors[1], [1, 2, 3, 4, 5])


def test_class_mean_of_a_label_that_nobody_has_is_an_error():
    cohort = make()
    healthy = cohort.take(~cohort.diseased)
    with pytest.raises(ValueError, match="no training image is diseased"):
        ClassMean().fit(healthy).privatize(cohort)


def test_prior_sample_names_its_identity_and_draws_z_from_the_prior():
    cohort = make(n=3000)
    release = PriorSample(ToyVGAN(), "same").fit(cohort).privatize(cohort, seeded())
    np.testing.assert_array_equal(release.images[:, 0, 0], release.contributors[:, 0])
    assert (release.contributors[:, 0] != cohort.patient).all()
    z = (release.images[:, 1, :4] / 127.5 - 1) * 8
    # 12,000 draws: the mean has standard error .009, the spread .006; the bounds are over 4 of them
    # plus 8-bit rounding
    assert abs(z.mean()) < 0.05
    assert abs(z.std() - 1) < 0.05
    assert release.parameters == {"policy": "same"}


def test_prior_sample_repeats_with_its_seed():
    cohort = make()
    method = PriorSample(ToyVGAN())
    first, again, other = (method.privatize(cohort, seeded(s)).images for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_label_using_controls_follow_a_predicted_label():
    cohort = make()
    flipped = dataclasses.replace(cohort, diseased=~cohort.diseased)
    train_label = {
        tuple(image.ravel()): label
        for image, label in zip(cohort.images, cohort.diseased, strict=True)
    }
    shown = RealOther().fit(cohort).privatize(flipped, seeded()).images
    assert [train_label[tuple(image.ravel())] for image in shown] == flipped.diseased.tolist()
    means = ClassMean().fit(cohort)
    np.testing.assert_array_equal(
        means.privatize(flipped).images[0], means.privatize(cohort).images[1]
    )


@pytest.mark.parametrize("method", [RealOther(), ClassMean()])
def test_before_fit_there_is_nothing_to_show(method):
    with pytest.raises(ValueError, match="call fit"):
        method.privatize(make(), seeded())
