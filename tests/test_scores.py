"""The columns of the table, on cases small enough to count by hand, and against a slow twin."""

from functools import partial

import numpy as np
import pytest
import torch
from small_cohorts import noise_cohort

from medpriv_lib.core.release import Release
from medpriv_lib.measures.scores import positive_f1, score, summarise
from medpriv_lib.recognition.crossfit import CrossFit
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.verdicts import Panel, Verdicts

# six patients, not all of whom have an image
toy = partial(noise_cohort, split="test", names=[f"p{i}" for i in range(6)])


def released(cohort, contributors, source=None):
    n = len(contributors)
    source = np.arange(n, dtype=np.int64) if source is None else np.array(source, dtype=np.int64)
    return Release(
        cohort.images[source], source, np.array(contributors, dtype=np.int64).reshape(n, -1), "toy"
    )


def said(identity, disease, unseen=None, seen=None):
    return Verdicts(
        None if identity is None else np.array(identity),
        np.array(disease, dtype=bool),
        None if unseen is None else np.array(unseen, dtype=bool),
        None if seen is None else np.array(seen, dtype=bool),
    )


def test_the_hits_follow_their_definitions():
    cohort = toy([0, 1, 2, 3], [0, 0, 1, 1])
    #                      source named | another contributor | source, a contributor | nobody
    # involved
    release = released(cohort, [[4, -1], [2, 5], [2, 4], [3, 1]])
    got = score(release, cohort, None, said([0, 5, 2, 0], [0, 1, 1, 0]))
    assert got["identity_hit"].tolist() == [True, False, True, False]
    assert got["replacement_hit"].tolist() == [False, True, True, False]
    assert got["other_contributor_hit"].tolist() == [False, True, False, False]
    assert got["own_patient"].tolist() == [False, False, True, True]
    assert (got["disease_predicted"] == got["actual"]).tolist() == [True, False, True, False]


def test_without_contributors_there_is_no_replacement():
    cohort = toy([0, 1], [0, 1])
    got = score(
        released(cohort, np.empty((2, 0))), cohort, None, said([0, 0], [0, 1], [0, 1], [0, 0])
    )
    assert got["replacement_hit"] is None
    assert got["other_contributor_hit"] is None
    assert got["own_patient"] is None
    assert summarise([got], 6)["replacement_identity_accuracy"] is None


def test_with_patients_split_the_identity_columns_are_empty():
    cohort = toy([0, 1], [0, 1])
    row = summarise([score(released(cohort, [[3], [4]]), cohort, None, said(None, [0, 1]))], 6)
    assert row["identity_accuracy"] is None
    assert row["replacement_identity_accuracy"] is None
    assert row["other_contributor_accuracy"] is None
    assert row["chance_identity"] is None
    assert row["disease_accuracy"] == 100


def test_scores_follow_the_source_not_the_row():
    cohort = toy([0, 1, 2], [0, 1, 1])
    got = score(released(cohort, [[1], [1]], source=[2, 0]), cohort, None, said([2, 1], [1, 1]))
    assert got["patient"].tolist() == [2, 0]
    assert got["identity_hit"].tolist() == [True, False]
    assert got["actual"].tolist() == [True, False]


def test_a_release_of_another_cohort_is_refused():
    cohort = toy([0, 1], [0, 1])
    release = Release(
        cohort.images, np.array([0, 7], dtype=np.int64), np.empty((2, 0), dtype=np.int64), "toy"
    )
    with pytest.raises(ValueError, match="row 7 of a cohort of 2 images"):
        score(release, cohort, None, said([0, 0], [0, 0]))


def test_summary_against_counting_by_hand():
    cohort = toy([0, 0, 1, 2], [1, 1, 0, 0])
    release = released(cohort, [[3], [4], [5], [3]])
    draws = [
        score(release, cohort, None, said([0, 1, 5, 3], [1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1])),
        score(release, cohort, None, said([1, 1, 1, 3], [1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 0, 1])),
    ]
    row = summarise(draws, 6)
    assert row["identity_accuracy"] == pytest.approx(100 * (1 / 4 + 1 / 4) / 2)
    assert row["replacement_identity_accuracy"] == pytest.approx(100 * (2 / 4 + 1 / 4) / 2)
    assert row["replacement_identity_accuracy_std"] == pytest.approx(
        100 * np.std([0.5, 0.25], ddof=1)
    )
    assert row["disease_accuracy"] == pytest.approx(100 * (2 / 4 + 4 / 4) / 2)
    assert row["disease_f1"] == pytest.approx(100 * (0.5 + 1) / 2)
    assert row["disease_accuracy_unseen"] == pytest.approx(100 * (1 + 3 / 4) / 2)
    assert row["contributor_seen_rate"] == 25
    assert row["own_patient_rate"] == 0
    assert (row["n"], row["draws"], row["test_patients"]) == (4, 2, 3)
    assert row["majority_rate"] == 50
    assert row["chance_identity"] == pytest.approx(100 / 6)
    assert row["disease_accuracy_low"] <= row["disease_accuracy"] <= row["disease_accuracy_high"]


def test_one_draw_has_no_spread_and_nobody_diseased_no_f1():
    cohort = toy([0, 1], [0, 0])
    row = summarise([score(released(cohort, [[3], [4]]), cohort, None, said([0, 0], [0, 0]))], 6)
    assert row["identity_accuracy_std"] is None
    assert row["disease_f1"] is None
    assert row["disease_f1_low"] is None


def test_the_hits_equal_a_slow_twin():
    rng = np.random.default_rng(1)
    cohort = toy(rng.integers(0, 6, 200), rng.random(200) < 0.3)
    contributors = rng.integers(-1, 6, (200, 3))
    named = rng.integers(0, 6, 200)
    got = score(released(cohort, contributors), cohort, None, said(named, rng.random(200) < 0.5))
    for i in range(200):
        used = {int(c) for c in contributors[i] if c >= 0}
        assert got["replacement_hit"][i] == (named[i] in used)
        assert got["other_contributor_hit"][i] == (named[i] in used - {int(cohort.patient[i])})
        assert got["own_patient"][i] == (int(cohort.patient[i]) in used)


def test_f1_is_that_of_the_diseased_class():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(2)
    actual, predicted = rng.random(100) < 0.25, rng.random(100) < 0.4
    assert positive_f1(predicted, actual) == pytest.approx(f1_score(actual, predicted))
    assert np.isnan(positive_f1(np.zeros(3, bool), np.zeros(3, bool)))


def random_judges(crossfit=True, kind=Recogniser):
    torch.manual_seed(0)
    tens = (
        CrossFit(tuple(kind(2, 16).eval() for _ in range(10)), np.arange(6) % 5)
        if crossfit
        else None
    )
    return Judges(kind(6, 16).train(), kind(2, 16).train(), tens)


def test_the_judges_are_asked_in_evaluation_mode_and_agree_with_a_plain_forward():
    judges = random_judges(crossfit=False)
    cohort = toy([0, 1, 2, 3, 4], [0, 1, 0, 1, 0])
    verdicts = Panel(judges).ask(cohort.images, cohort.patient)
    x = torch.from_numpy(cohort.images).unsqueeze(1).float() / 127.5 - 1
    with torch.no_grad():
        assert verdicts.identity.tolist() == judges.identity.eval()(x).argmax(1).tolist()
        assert verdicts.disease.tolist() == judges.disease.eval()(x).argmax(1).bool().tolist()
    assert verdicts.unseen is None


class Counting(Recogniser):
    """A recogniser that notes how many images it reads."""

    def merged(self):
        body = super().merged()
        body[0].register_forward_pre_hook(lambda module, given: self.read.append(len(given[0])))
        return body


def test_the_memory_changes_no_verdict_and_reads_an_image_once():
    """The slow twin: `CrossFit.logits` and a plain pass; other source patients ask other judges
    about one image."""
    judges, rng = random_judges(kind=Counting), np.random.default_rng(3)
    read = []
    for network in (judges.identity, judges.disease, *judges.crossfit.networks):
        network.read = read
    images = rng.integers(0, 256, (20, 16, 16), dtype=np.uint8)
    rows, patient, contributors = (
        rng.integers(0, 20, 300),
        rng.integers(0, 6, 300),
        rng.integers(-1, 6, (300, 2)),
    )
    panel = Panel(judges)
    halves = [
        panel.ask(images[rows[part]], patient[part], contributors[part])
        for part in (slice(0, 150), slice(150, 300))
    ]
    chosen, _ = judges.crossfit.choose(patient, contributors)
    each = sum(len(set(rows[column].tolist())) for column in chosen.T)
    assert (
        sum(read) == 2 * 20 + each
    )  # the identity and the disease judge, and each of the ten, each image once
    unseen, seen = judges.crossfit.logits(images[rows], patient, contributors)
    assert (
        np.concatenate([half.unseen for half in halves]).tolist()
        == unseen.argmax(1).bool().tolist()
    )
    assert np.concatenate([half.contributor_seen for half in halves]).tolist() == seen.tolist()
    named = logits(judges.identity, images).argmax(1).numpy()[rows]
    assert np.concatenate([half.identity for half in halves]).tolist() == named.tolist()
