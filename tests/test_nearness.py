"""Whether releases are nearer to training patients than strangers are."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cohorts_with_visits import confounded

from medpriv_lib.core import weights
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.measures.measure import Exam, Ground
from medpriv_lib.measures.nearness import Nearness, fine, share_above
from medpriv_lib.privatizers.controls.stranger import Stranger
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.recognition.embedding import embeddings
from medpriv_lib.recognition.judges import Judges


@pytest.fixture(scope="module")
def ground():
    cohort = packaged_cohort("confounded")
    judges = Judges.load(weights.FOLDER / "confounded", cohort)
    test = cohort.of("test").take(np.arange(120))
    return Ground(cohort.of("train"), test, judges, 0)


@pytest.fixture(scope="module")
def measure(ground):
    return Nearness(ground)


def exam(images):
    release = SimpleNamespace(images=images)
    return Exam("x", "y", "", [release], list, lambda: None)


def test_a_stranger_is_as_near_as_a_stranger(ground, measure):
    resources = Resources(packaged_cohort("confounded"))
    method = Stranger.ready(resources, pupil="kept")
    release = method.privatize(ground.test, torch.Generator().manual_seed(7))
    cells = measure.cells(exam(release.images))
    assert cells["nearness_pixels_low"] < 50 < cells["nearness_pixels_high"]
    assert cells["nearness_low"] < 50 < cells["nearness_high"]


def test_who_lends_is_seen(ground, measure):
    """The mean of few patients, and a plain copy of another patient's training image."""
    train = ground.train
    mean = KSameSelect(3, "query").fit(train).privatize(ground.test, seeded(0, "x")).images
    other = np.array([np.flatnonzero(train.patient != one)[3] for one in ground.test.patient])
    for images, least in ((mean, 60), (train.images[other], 99)):
        found = exam(images)
        cells = measure.cells(found)
        assert cells["nearness_pixels"] > least
        assert cells["nearness_pixels_low"] > 50
        assert found.values["nearness_pixels"].shape == (120,)
    assert cells["nearness"] > 99  # of the copy


def test_the_patient_himself_does_not_count(ground, measure):
    """Against a slow twin: nearest by loops, without the source's own patient."""
    images, train = ground.test.images[:12], ground.train
    part = Ground(train, ground.test.take(np.arange(12)), ground.judges, 0)
    few = Nearness(part)
    reads = {
        "nearness": lambda shown: embeddings(ground.judges.identity, shown),
        "nearness_pixels": fine,
    }
    for name, read in reads.items():
        rows, gallery = read(images), read(train.images)
        wanted = []
        for row, patient in zip(rows, part.test.patient, strict=True):
            away = [
                np.linalg.norm(row - one)
                for one, other in zip(gallery, train.patient, strict=True)
                if other != patient
            ]
            wanted.append(
                np.mean([(s > min(away)) + 0.5 * (s == min(away)) for s in few.strangers[name]])
            )
        found = exam(images)
        few.cells(found)
        np.testing.assert_allclose(found.values[name], wanted, atol=0.1)
        assert abs(found.values[name].mean() - np.mean(wanted)) < 0.02


def test_shares_are_counted():
    many, each = np.array([1.0, 2, 2, 4]), np.array([0.0, 1, 2, 3, 5])
    slow = [np.mean([(one > x) + 0.5 * (one == x) for one in many]) for x in each]
    np.testing.assert_allclose(share_above(many, each), slow)


def test_other_images_have_no_strangers():
    cohort = confounded(patients=6, size=16)
    judges = SimpleNamespace(identity=None, disease=None)
    panel = SimpleNamespace(identity=object())
    ground = Ground(cohort.of("train"), cohort.of("test"), judges, 0, reader=object(), panel=panel)
    with pytest.raises(NotApplicable, match="64 x 64"):
        Nearness(ground)
    panel.identity = None
    with pytest.raises(NotApplicable, match="no judge of identity"):
        Nearness(ground)
