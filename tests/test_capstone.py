"""The capstone's judge: a sample solution meets the bar, two plausible submissions do not, and each
line is what a slow count says."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import medpriv_lib as mp
from medpriv_lib.attacks.verification import pairs
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.study.capstone.judge import BARS, Line, comparisons, judge
from medpriv_lib.study.capstone.task import practice, unseen

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "chapters" / "capstone.ipynb"


@pytest.fixture(scope="module")
def task():
    return practice()


@pytest.fixture(scope="module")
def submissions():
    """Return the three submissions of the capstone's page, as they stand there."""
    import json

    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names = {"mp": mp, "np": np}
    for cell in cells:
        if "submission" in cell["metadata"].get("tags", []):
            exec("".join(cell["source"]), names)  # noqa: S102 - the book's own cells
    return {
        name: names[name] for name in ("signs_on_strangers", "strong_blur", "mean_of_the_label")
    }


@pytest.fixture(scope="module")
def judged(task, submissions):
    return {name: judge(one, task, 7) for name, one in submissions.items()}


def test_the_sample_solution_meets_the_bar(judged):
    assert judged["signs_on_strangers"].met, str(judged["signs_on_strangers"])


def test_a_strong_blur_is_linked(judged):
    found = judged["strong_blur"]
    assert not found.met
    assert not found.line("linked").met, str(found)


def test_the_mean_of_the_label_shows_nobody_s_signs(judged):
    found = judged["mean_of_the_label"]
    assert not found.met
    assert found.line("linked").met, str(found)
    assert found.line("disease").met, str(found)
    assert not found.line("own signs").met, str(found)
    assert found.line("own signs").value == pytest.approx(50, abs=1)


def test_the_attacker_succeeds_where_nothing_is_hidden(judged, task):
    for found in judged.values():
        assert found.control.value > 85
        assert not found.control.met
    same = judge(lambda cohort, generator: cohort.images, task, 7)
    assert same.line("copied").value == 100
    assert same.line("linked").value == pytest.approx(same.control.value)


def test_an_empty_release_scores_what_guessing_scores(task):
    grey = judge(lambda cohort, generator: np.full_like(cohort.images, 128), task, 7)
    assert grey.line("own signs").value == 50
    assert grey.line("linked").value == pytest.approx(50, abs=6)
    assert not grey.met


def test_linking_is_what_a_slow_count_says(task):
    few = replace(task, shown=task.shown[:24])
    images = task.cohort.images[few.shown]
    scores = comparisons(few, images, task.cohort.images[few.known])["pixels"]
    which = pairs(task.cohort, few.shown, few.known)
    places = []
    for i, j in np.argwhere(which.true):
        cell = which.impostor & (which.cell == which.cell[i, j])
        if cell.any():
            other = scores[cell]
            places.append((other < scores[i, j]).mean() + 0.5 * (other == scores[i, j]).mean())
    from medpriv_lib.attacks.verification import places as quick

    found = quick(scores, which, task.cohort.patient[few.shown]).place
    assert sorted(found) == pytest.approx(sorted(places))


def test_a_submission_is_told_neither_names_nor_truth(task):
    seen = []

    def release(cohort, generator):
        seen.append((cohort, generator.initial_seed()))
        return cohort.images

    judge(release, task, 11)
    assert len(seen) == 3
    for cohort, seed in seen:
        assert seed == 11
        assert cohort.twin is None
        assert cohort.evidence is None
        assert set(cohort.visit.tolist()) == {1}
        assert len(set(cohort.patient.tolist())) == len(cohort)
        assert not set(cohort.patient_names) & set(task.cohort.patient_names)


def test_shown_and_held_are_different_images_of_the_same_patients(task):
    assert not set(task.shown) & set(task.known)
    assert set(task.cohort.patient[task.shown]) <= set(task.cohort.patient[task.known])


@pytest.mark.slow
def test_unseen_people_are_new_and_come_in_pairs():
    one, two = (unseen(seed, 5, workers=1) for seed in (1, 2))
    assert not np.array_equal(one.cohort.images[:2], two.cohort.images[:2])
    for task in (one, two):
        assert not set(task.shown) & set(task.known)
        assert task.cohort.diseased[task.shown].any()
        assert not task.cohort.diseased[task.shown].all()


def test_wrong_pictures_are_refused(task):
    with pytest.raises(ValueError, match="return one uint8 picture"):
        judge(lambda cohort, generator: cohort.images[:1], task, 7)


def test_a_line_says_what_it_asks():
    for bar in BARS:
        met = Line(bar, bar.limit)
        assert met.met
        assert str(met).startswith("met")
        missed = Line(bar, bar.limit + (0.1 if bar.most else -0.1))
        assert str(missed).startswith("MISSED")


def test_the_script_says_what_is_missing(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location(
        "judge_capstone", ROOT / "data_scripts" / "judge_capstone.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for text, said in ((None, "no such file"), ("x = 1\n", "defines no function")):
        path = tmp_path / "mine.py"
        if text is not None:
            path.write_text(text)
        with pytest.raises(SystemExit):
            script.main([str(path)])
        assert said in capsys.readouterr().err
    path.write_text("def release(cohort, generator):\n    return 255 - cohort.images\n")
    assert script.main([str(path), "--practice", "--patients", "12"]) == 1
    assert "The bar is not met." in capsys.readouterr().out


def test_the_expert_met_nobody_of_the_practice_set():
    assert "population" in str(Expert.load().card).lower()
