"""Intervals: against a slow bootstrap, and against what is known of the normal case."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from medpriv_lib.core.intervals import bootstrap, f1_interval, mean_interval, rate_per_patient


def slow_interval(arrays, patient, statistic, draws, generator):
    """Draw patients, copy their images as often as they were drawn, and compute the statistic on
    the images."""
    names = np.unique(patient)
    values = []
    for times in generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws):
        rows = np.concatenate(
            [
                np.flatnonzero(patient == name)
                for name, t in zip(names, times, strict=True)
                for _ in range(t)
            ]
        )
        values.append(statistic(*(array[rows] for array in arrays)))
    return np.quantile(values, [0.025, 0.975])


@pytest.fixture
def toy():
    rng = np.random.default_rng(4)
    patient = rng.choice([2, 3, 5, 8, 13, 21, 34], size=90)
    actual = rng.random(90) < 0.4
    predicted = actual ^ (rng.random(90) < 0.2)
    return predicted, actual, patient


def test_mean_interval_equals_the_slow_twin(toy):
    predicted, actual, patient = toy
    right = predicted == actual
    fast = mean_interval(right, patient, draws=200, generator=np.random.default_rng(1))
    slow = slow_interval([right], patient, np.mean, 200, np.random.default_rng(1))
    assert fast == pytest.approx(slow, abs=1e-12)
    assert fast[0] < right.mean() < fast[1]


def test_f1_interval_equals_sklearn_on_resampled_images(toy):
    predicted, actual, patient = toy
    fast = f1_interval(predicted, actual, patient, draws=200, generator=np.random.default_rng(1))
    slow = slow_interval([actual, predicted], patient, f1_score, 200, np.random.default_rng(1))
    assert fast == pytest.approx(slow, abs=1e-12)


def test_one_image_per_patient_gives_the_binomial_width():
    # n = 400 independent hits at p = .3: the standard error is .0229 and the interval 2 * 1.96 of
    # it, .0898. The bootstrap of 4,000 draws knows its quantiles to about 5 %; the rate itself
    # moves the width by under 5 %.
    rng = np.random.default_rng(0)
    low, high = mean_interval(rng.random(400) < 0.3, np.arange(400), draws=4000)
    assert high - low == pytest.approx(0.0898, rel=0.12)


def test_images_of_one_patient_that_agree_widen_the_interval():
    # 20 patients, 20 identical images each: the width is that of 20 images, sqrt(20) = 4.5 times
    # that of 400
    rng = np.random.default_rng(0)
    hit = np.repeat(rng.random(20) < 0.4, 20)
    patient = np.repeat(np.arange(20), 20)
    low, high = mean_interval(hit, patient)
    low_wrong, high_wrong = mean_interval(hit, np.arange(400))
    assert 3.5 < (high - low) / (high_wrong - low_wrong) < 5.5


def test_coverage_is_near_95_percent():
    # 200 cohorts of 40 patients with 5 images whose common rate varies by patient; the truth is .5.
    # With coverage .95 (a little less for a percentile bootstrap of 40 clusters) 200 trials stay
    # within .88 .. .99 but once in 10,000.
    rng = np.random.default_rng(7)
    covered = 0
    patient = np.repeat(np.arange(40), 5)
    for _ in range(200):
        hit = rng.random(200) < np.repeat(rng.beta(2, 2, 40), 5)
        low, high = mean_interval(hit, patient, draws=300, generator=rng)
        covered += low <= 0.5 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_same_interval_every_time_without_a_generator(toy):
    predicted, actual, patient = toy
    assert f1_interval(predicted, actual, patient) == f1_interval(predicted, actual, patient)


def test_f1_of_nobody_is_nan():
    nobody = np.zeros(5, dtype=bool)
    assert np.isnan(f1_interval(nobody, nobody, np.arange(5))).all()


@pytest.mark.parametrize(("n", "patients", "draws"), [(0, 0, 10), (3, 2, 10), (3, 3, 0)])
def test_nothing_to_resample_is_an_error(n, patients, draws):
    with pytest.raises(ValueError, match="at least one"):
        bootstrap(np.zeros(n), np.arange(patients), lambda total: total[:, 0], draws=draws)


def test_the_rate_per_patient_is_counted_by_hand():
    got = rate_per_patient(np.array([True, False, True, True]), np.array([4, 4, 1, 4]))
    assert got == {1: 1.0, 4: pytest.approx(2 / 3)}
    assert list(got) == [1, 4]
    assert rate_per_patient(np.array([0.5, 0.25]), np.array([2, 2])) == {2: 0.375}
