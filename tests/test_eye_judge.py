"""The eye judge: it uses the iris and what surrounds it, and says how much of each."""

import numpy as np
import pytest
from cohorts_with_visits import confounded, exam_of, ground_of

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.measures.eye_identity import EyeIdentity
from medpriv_lib.recognition.eye_judge import EyeJudge, eye_report, fit_eye_judge
from medpriv_lib.recognition.learner import Settings
from medpriv_lib.recognition.views import View, eye_numbers, iris_disc

BRIEF = Settings(epochs=25, batch=32, rate=4e-3, strength=0.1, dropout=0.0)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    cohort, folder = confounded(patients=8, each=8), tmp_path_factory.mktemp("eyes")
    judge = fit_eye_judge(cohort, folder, settings=BRIEF, device="cpu", progress=False)
    return judge, cohort, folder


def test_it_names_eyes_by_either_part(judged):
    judge, cohort, _ = judged
    found = eye_report(judge, cohort.of("test"))
    assert found["together"] == judge.card["metrics"]["together"]
    for view in (*View, "together"):
        assert found[view] > 0.6, view  # 16 classes, chance .06
    assert found["chance"] == 1 / 16


def test_an_iris_in_another_face_is_named_by_the_iris(judged):
    judge, cohort, _ = judged
    test = cohort.of("test")
    disc, swapped = iris_disc(32), np.roll(test.images, 1, axis=0)
    mixed = np.where(disc, test.images, swapped)
    named, eye = judge.named(mixed), eye_numbers(test)
    assert (named[:, 1] == eye).mean() > 0.6
    assert (named[:, 2] == np.roll(eye, 1)).mean() > 0.6
    measure = EyeIdentity(ground_of(cohort, eye_judge=judge))
    cells = measure.cells(exam_of(mixed, test.twin))
    assert cells["eye_accuracy_iris"] == pytest.approx(100 * (named[:, 1] == eye).mean())
    assert cells["eye_accuracy_surroundings"] < 40


def test_a_file_gives_the_same_names_and_is_not_trained_again(judged):
    judge, cohort, folder = judged
    again = fit_eye_judge(cohort, folder, settings=BRIEF, device="cpu", progress=False)
    images = cohort.of("test").images
    np.testing.assert_array_equal(again.named(images), judge.named(images))
    for view in View:
        np.testing.assert_array_equal(again.beliefs(images, view), judge.beliefs(images, view))
    with pytest.raises(ValueError, match="another cohort"):
        EyeJudge.load(folder / "eye-judge", confounded(patients=8, each=8, seed=3))


def test_all_views_are_the_mean_of_their_beliefs(judged):
    judge, cohort, _ = judged
    images = cohort.of("val").images
    each = np.stack([judge.beliefs(images, view) for view in View])
    assert np.allclose(np.exp(each).sum(axis=2), 1, atol=1e-5)
    named = judge.named(images)
    assert (named[:, -1] == each.mean(axis=0).argmax(axis=1)).all()
    assert (each.argmax(axis=2) == named[:, :-1].T).all()
    assert judge.named(images[:0]).shape == (0, 4)


def test_eyes_without_training_images_and_unknown_eyes_are_refused(tmp_path):
    cohort = confounded(patients=6)
    object.__setattr__(cohort, "split", np.array(["train", "val", "test"])[cohort.patient % 3])
    with pytest.raises(NotApplicable, match="not in training"):
        fit_eye_judge(cohort, tmp_path, device="cpu")
    with pytest.raises(NotApplicable, match="no eye judge"):
        EyeIdentity(ground_of(cohort))
