"""Retrieval of similar cases: the right ones, never the query's own patient, in bounded memory."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score
from small_cohorts import noise_cohort

from medpriv_lib.core.release import Release
from medpriv_lib.explanation.ranking import kendall, ndcg, ndcg_by_chance
from medpriv_lib.explanation.retrieval import (
    UNKNOWN,
    Gallery,
    privatize_cases,
    retrieve,
    score_retrieval,
)
from medpriv_lib.recognition.networks import Recogniser


def points(n, seed, width=6):
    """Small integers: many equal distances."""
    return np.random.default_rng(seed).integers(0, 4, (n, width)).astype(np.float32)


def gallery(n=60, seed=0):
    rng = np.random.default_rng(seed + 1)
    return Gallery(points(n, seed), rng.integers(0, 2, n), rng.integers(0, 8, n))


def nearest_by_hand(query, decision, patient, cases, k):
    """Look at every case in turn; the smaller row wins a tie."""
    candidates = []
    for row in range(len(cases.points)):
        if cases.decision[row] == decision and cases.patient[row] != patient:
            candidates.append((float(np.linalg.norm(cases.points[row].astype(float) - query)), row))
    candidates.sort()
    return [row for _, row in candidates[:k]], [distance for distance, _ in candidates[:k]]


@pytest.mark.parametrize("entries", [1, 130, 4_000_000])
def test_agrees_with_looking_at_every_case(entries):
    cases, queries = gallery(), points(20, 5)
    decision, patient = np.arange(20) % 2, np.arange(20) % 8
    got = retrieve(queries, decision, patient, cases, 5, entries)
    for q in range(20):
        rows, distance = nearest_by_hand(queries[q], decision[q], patient[q], cases, 5)
        assert got.rows[q].tolist() == rows
        assert got.distance[q] == pytest.approx(distance)


def test_never_of_the_own_patient_and_always_of_the_same_decision():
    cases = gallery(400, 3)
    decision, patient = np.arange(30) % 2, np.arange(30) % 8
    rows = retrieve(points(30, 9), decision, patient, cases, 7).rows
    assert (cases.patient[rows] != patient[:, None]).all()
    assert (cases.decision[rows] == decision[:, None]).all()
    assert all(len(set(row)) == 7 for row in rows.tolist())


def test_an_unknown_patient_leaves_nobody_out():
    cases = gallery()
    own = retrieve(cases.points[:1], cases.decision[:1], np.array([UNKNOWN]), cases, 1)
    assert own.distance[0, 0] == 0
    assert own.similarity[0, 0] == 1


def test_similarity_is_one_for_the_same_and_zero_for_the_middle_case():
    cases = Gallery(
        np.array([[0.0], [1], [2], [3], [4]], np.float32), np.zeros(5, int), np.arange(5)
    )
    got = retrieve(np.zeros((1, 1), np.float32), np.zeros(1, int), np.array([UNKNOWN]), cases, 5)
    assert got.similarity[0] == pytest.approx([1, 0.5, 0, -0.5, -1])


def test_a_gallery_of_100000_stays_within_150_mb():
    rng = np.random.default_rng(0)
    n = 100_000
    cases = Gallery(
        rng.random((n, 32), dtype=np.float32), rng.integers(0, 2, n), rng.integers(0, 5000, n)
    )
    queries = rng.random((90, 32), dtype=np.float32)
    tracemalloc.start()
    got = retrieve(queries, np.zeros(90, int), np.full(90, UNKNOWN), cases, 6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the gallery in float64 is 26 MB, a block of distances 32 MB and twice that while it is summed
    assert peak < 150e6
    mask = cases.decision == 0
    exact = np.linalg.norm(cases.points[mask].astype(float) - queries[4], axis=1)
    assert got.distance[4] == pytest.approx(np.sort(exact)[:6])


def test_empty_gallery():
    with pytest.raises(ValueError, match="the gallery is empty"):
        Gallery(np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, int))


def test_class_absent_from_the_gallery():
    cases = gallery()
    with pytest.raises(ValueError, match="class 2 is absent from the gallery"):
        retrieve(points(2, 1), np.array([0, 2]), np.array([1, 1]), cases, 1)


def test_k_larger_than_the_gallery():
    cases = gallery(12)
    with pytest.raises(ValueError, match="ask for at most"):
        retrieve(points(1, 1), np.array([0]), np.array([1]), cases, 13)
    with pytest.raises(ValueError, match="at least one case"):
        retrieve(points(1, 1), np.array([0]), np.array([1]), cases, 0)


@pytest.mark.parametrize("seed", range(4))
def test_ndcg_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    before, after = rng.random((3, 6)), rng.random((3, 6))
    gains = 6 - np.argsort(np.argsort(before, axis=1), axis=1)
    for q in range(3):
        assert ndcg(before, after)[q] == pytest.approx(
            ndcg_score(gains[q : q + 1], -after[q : q + 1])
        )
    assert ndcg(before, before) == pytest.approx(np.ones(3))


def test_ndcg_by_chance_is_the_mean_over_random_orders():
    # n = 20,000 orders of 5: the standard error is below .5 / sqrt(20000) = .0036; 4 of them
    rng = np.random.default_rng(0)
    before = np.tile(np.arange(5.0), (20_000, 1))
    assert ndcg(before, rng.random(before.shape)).mean() == pytest.approx(
        ndcg_by_chance(5), abs=0.015
    )


def test_kendalls_tau_is_one_minus_one_or_blank():
    before = np.arange(5.0)[None]
    assert kendall(before, before)[0] == pytest.approx(1)
    assert kendall(before, -before)[0] == pytest.approx(-1)
    assert np.isnan(kendall(before, np.zeros((1, 5)))[0])
    assert np.isnan(kendall(before[:, :1], before[:, :1])[0])


TOY = noise_cohort(np.arange(40) % 10)


@dataclass
class Toy:
    """Returns the images as they are, in reverse order, with a contributor each; `drop` leaves the
    last out."""

    name: str = "toy"
    drop: int = 0
    blank: bool = False

    def fit(self, train):
        return self

    def privatize(self, cohort, generator):
        rows = np.arange(len(cohort) - self.drop)[::-1].copy()
        images = cohort.images[rows]
        return Release(
            np.full_like(images, 128) if self.blank else images,
            rows,
            cohort.patient[rows][:, None],
            "toy",
        )


def network(classes=2, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Recogniser(classes, 16).eval()


def test_privatised_cases_come_back_in_the_order_asked_for():
    cohort, rows = TOY, np.array([7, 3, 3, 21])
    release = privatize_cases(cohort, rows, Toy(), torch.Generator())
    assert np.array_equal(release.images, cohort.images[rows])
    assert release.source.tolist() == rows.tolist()
    assert release.contributors[:, 0].tolist() == cohort.patient[rows].tolist()
    with pytest.raises(ValueError, match="one image per case"):
        privatize_cases(cohort, rows, Toy(drop=1), torch.Generator())


def test_a_method_that_changes_nothing_keeps_decision_and_order_and_a_blank_one_loses_the_order():
    judge, cohort = network(), TOY
    queries = cohort.take(np.arange(12))
    same = score_retrieval(judge, None, queries, cohort, Toy(), 4, torch.Generator())
    assert (same["same_decision"] == 1).all()
    assert same["ndcg"] == pytest.approx(np.ones(12))
    assert same["tau"] == pytest.approx(np.ones(12))
    assert same["reveals"] is None
    blank = score_retrieval(judge, None, queries, cohort, Toy(blank=True), 4, torch.Generator())
    assert np.isnan(blank["tau"]).all()


def test_revealing_is_counted_per_explanation():
    judge, cohort = network(), TOY
    queries = cohort.take(np.arange(6))

    class Oracle(Recogniser):
        """Names the patient whose image it sees, by the image's mean."""

        def merged(self):
            return self

        def forward(self, x):
            means = torch.from_numpy(cohort.images.reshape(40, -1).mean(1) / 127.5 - 1).float()
            nearest = (x.mean((1, 2, 3))[:, None] - means).abs().argmin(1)
            return torch.eye(10)[torch.from_numpy(cohort.patient)[nearest]]

    oracle = Oracle(10, 16)
    shown = score_retrieval(judge, oracle, queries, cohort, Toy(), 3, torch.Generator())
    assert shown["reveals"].all()
    assert shown["reveals_contributor"].all()
    hidden = score_retrieval(judge, oracle, queries, cohort, Toy(blank=True), 3, torch.Generator())
    assert not hidden["reveals"].all()
