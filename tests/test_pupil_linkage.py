"""The pupil attack: a kept pupil leads to its source, one of a fixed size to nobody."""

from dataclasses import replace

import numpy as np
import pytest
from cohorts_with_visits import confounded
from eyes_on_strangers import attacked, own, part_of, strangers, transfer
from test_attack_registry import setting_of

from medpriv_lib.attacks import pupil_linkage as module
from medpriv_lib.attacks.best import best_figures
from medpriv_lib.attacks.pupil_linkage import pupils_in, scores_of
from medpriv_lib.attacks.registry import run
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import Stranger

BOTH = ["pupil size", "pupil of the stranger"]


@pytest.fixture(scope="module")
def cohort():
    return part_of("crossed")


def guess(cohort, diseased):
    """Return four standard deviations of the area of a guess, over the test images of a label."""
    n = ((cohort.split == "test") & (cohort.diseased == diseased)).sum()
    return 4 * 0.289 / np.sqrt(n)


def test_the_score_is_the_mean_distance_pair_by_pair():
    rng = np.random.default_rng(0)
    shown, known = rng.random((3, 4)), rng.random(5)
    found = scores_of(list(shown), known)
    for i in range(4):
        for j in range(5):
            slow = -sum(abs(shown[k, i] - known[j]) for k in range(3)) / 3
            assert found[i, j] == pytest.approx(slow)


def test_a_kept_pupil_leads_to_the_source(cohort):
    setting = attacked(cohort, transfer(pupil="kept", floor=0.05))
    read, fitted = run(setting, BOTH)
    assert own(read, "healthy") > 0.94
    assert own(read, "diseased") > 0.85
    assert own(fitted, "healthy") > 0.99
    assert own(fitted, "healthy", "own_tar_1") > 0.8
    figures = best_figures([read, fitted])
    assert figures["healthy"]["source"]["attack"] == "pupil of the stranger"
    assert figures["healthy"]["others"]["value"] < 0.6  # another photograph has another pupil
    control = run(attacked(cohort, Stranger(strangers(), "kept")), ["pupil size"])[0]
    assert own(control, "healthy") > 0.94


def test_a_pupil_of_one_size_or_at_random_leads_to_nobody(cohort):
    fixed = attacked(cohort, transfer(pupil="fixed", floor=0.05))
    for one in run(fixed, BOTH):
        for diseased, label in enumerate(("healthy", "diseased")):
            assert abs(own(one, label) - 0.5) < guess(cohort, bool(diseased)), one.attack
    assert own(run(fixed, BOTH)[1], "healthy", "own_tar_1") < 0.05
    freed = run(attacked(cohort, transfer(pupil="freed", floor=0.05)), ["pupil size"])[0]
    assert abs(own(freed, "healthy") - 0.5) < guess(cohort, False)
    assert own(freed, "diseased") > 0.6  # it follows the source where a sign was found
    read, fitted = run(attacked(cohort, Stranger(strangers())), BOTH)
    assert abs(read.measures["own_auc"] - 0.5) < 4 * 0.289 / np.sqrt(read.n)
    assert fitted.note == "not possible here: the method draws the pupil's size at random"


def test_several_releases_are_averaged(cohort):
    names = [*BOTH, *(f"several releases, {name}" for name in BOTH)]
    setting = attacked(cohort, transfer(pupil="kept", floor=0.05), several=3)
    read, fitted, reads, fits = run(setting, names)
    assert reads.note == fits.note == "3 releases"
    assert own(reads, "healthy") >= own(read, "healthy") - 0.002
    assert own(fits, "healthy") >= own(fitted, "healthy") - 0.002
    several = best_figures([read, fitted, reads, fits])["healthy"]
    assert several["several_source"]["attack"] == fits.attack
    assert "several_others" in several
    fixed = attacked(cohort, transfer(pupil="fixed"), several=3)
    for one in run(fixed, names[2:]):
        assert abs(own(one, "healthy") - 0.5) < guess(cohort, False)


def test_the_pupils_of_a_cohort_are_read_once(cohort, monkeypatch):
    whole, counted = replace(cohort), []  # another object: nothing of it is kept yet
    monkeypatch.setattr(
        module, "pupil_ratios", lambda images: counted.append(len(images)) or pupil_ratios(images)
    )
    for kernel in (3, 9):
        assert run(attacked(whole, Blur(kernel)), ["pupil size"])[0].measures["own_auc"] > 0.9
    assert counted.count(len(whole)) == 1


def test_what_is_no_eye_is_not_compared(cohort):
    faces = run(setting_of(Blur(3), confounded(patients=8)), ["pupil size"])[0]
    assert faces.note.endswith("the originals hold no eye where a prepared eye has its iris")
    small = run(setting_of(Blur(3)), ["pupil size"])[0]
    assert small.note.endswith("a pupil is read from square images of at least 32 px")
    grey = cohort.images[:5]
    np.testing.assert_array_equal(pupils_in(np.stack([grey] * 3, 3)), pupil_ratios(grey))
