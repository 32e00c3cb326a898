"""What radiomics is used for, and what it gives away: the measures, with slow twins."""

import numpy as np
import pytest
from scipy.stats import norm

from medpriv_lib.core.intervals import auc_interval
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.measures.radiomics.extract import radiomics
from medpriv_lib.measures.radiomics.region import eye_regions
from medpriv_lib.measures.radiomics.reliability import intraclass_correlation
from medpriv_lib.measures.radiomics.unseen import scores_of_unseen
from medpriv_lib.recognition.crossfit import folds


def icc_slowly(values, subject):
    """ICC(1, 1) of one feature, term by term."""
    groups = [values[subject == s] for s in sorted(set(subject.tolist()))]
    n, k, grand = len(values), len(groups), values.mean()
    between = sum(len(g) * (g.mean() - grand) ** 2 for g in groups) / (k - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - k)
    m = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
    return (between - within) / (between + (m - 1) * within)


def test_icc_one_term_at_a_time():
    rng = np.random.default_rng(0)
    subject = rng.permutation(np.repeat(np.arange(12), rng.integers(1, 7, 12)))
    values = rng.normal(size=(len(subject), 3)) + rng.normal(size=(12, 3))[subject] + 1000
    slow = [icc_slowly(column, subject) for column in values.T]
    np.testing.assert_allclose(intraclass_correlation(values, subject), slow, rtol=1e-9)


def test_icc_of_shrout_and_fleiss():
    """Their table 2, six targets by four judges: ICC(1, 1) = .17 (table 4)."""
    ratings = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    )
    found = intraclass_correlation(ratings.reshape(-1, 1).astype(float), np.repeat(np.arange(6), 4))
    assert found[0] == pytest.approx(0.17, abs=0.005)


def test_icc_at_its_ends():
    subject = np.repeat(np.arange(200), 5)
    rng = np.random.default_rng(1)
    values = np.stack([subject * 1.0, rng.normal(size=1000), np.ones(1000)], axis=1)
    own, noise, constant = intraclass_correlation(values, subject)
    assert own == pytest.approx(1)
    assert abs(noise) < 0.1  # five standard errors of about .02
    assert np.isnan(constant)
    for few in (np.zeros(1000, np.int64), np.arange(1000)):
        with pytest.raises(NotApplicable, match="several"):
            intraclass_correlation(values, few)
    with pytest.raises(ValueError, match="with a subject each"):
        intraclass_correlation(values, subject[:9])


def test_auc_interval_draws_patients_one_at_a_time():
    rng = np.random.default_rng(2)
    patient = rng.permutation(np.repeat(np.arange(20), 3))
    positive, scores = rng.random(60) < 0.4, rng.normal(size=60).round(1)
    times = np.random.default_rng(0).multinomial(20, np.full(20, 1 / 20), size=200)
    slow = []
    for draw in times:
        rows = np.repeat(np.arange(60), draw[patient])
        p, q = scores[rows][positive[rows]], scores[rows][~positive[rows]]
        wins = [(a > b) + 0.5 * (a == b) for a in p for b in q]
        if wins:
            slow.append(np.mean(wins))
    found = auc_interval(scores, positive, patient, draws=200)
    assert found == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))
    with pytest.raises(ValueError, match="both labels"):
        auc_interval(scores, np.ones(60, bool), patient)


def test_auc_interval_covers_as_often_as_it_says():
    """200 cohorts of 60 patients with the true area .76; 95 % +- three standard errors of 1.5 %."""
    rng, covered = np.random.default_rng(3), 0
    truth = float(norm.cdf(1 / np.sqrt(2)))
    for _ in range(200):
        positive = rng.random(60) < 0.5
        low, high = auc_interval(rng.normal(size=60) + positive, positive, np.arange(60), draws=200)
        covered += low <= truth <= high
    assert covered / 200 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)


class Counting:
    """A model that remembers on whose images it was fitted, and answers with the first feature."""

    fitted: list = []

    def fit(self, vectors, diseased):
        self.known = set(vectors[:, 1].tolist())
        return self

    def predict_proba(self, vectors):
        assert not self.known & set(vectors[:, 1].tolist()), "it was asked about a patient it knows"
        return np.stack([1 - vectors[:, 0], vectors[:, 0]], axis=1)


def test_no_model_is_asked_about_a_patient_it_saw():
    cohort = default_cohort()
    fold = folds(cohort, seed=0)
    vectors = np.stack([cohort.diseased, cohort.patient], axis=1).astype(float)
    scores = scores_of_unseen(vectors, cohort, fold, Counting)
    assert (scores == cohort.diseased[cohort.split == "test"]).all()
    with pytest.raises(ValueError, match="one vector per image"):
        scores_of_unseen(vectors[1:], cohort, fold, Counting)


def test_the_texture_of_an_iris_names_patients_above_chance():
    """1-NN over 359 test images: chance is 1 in 115; 20 of 359 would be ten standard errors above."""
    cohort = default_cohort()
    rows = np.flatnonzero(cohort.split != "val")
    table = radiomics(cohort.images[rows], eye_regions(cohort.images[rows]).iris, families=["glcm"])
    z = (table.values - table.values.mean(0)) / table.values.std(0)
    test = cohort.split[rows] == "test"
    square = ((z[test][:, None] - z[~test][None]) ** 2).sum(axis=2)
    named = cohort.patient[rows][~test][square.argmin(axis=1)]
    assert (named == cohort.patient[rows][test]).sum() > 20
