"""The judges, and those of unseen patients, on toy cohorts: which network may judge whom, and what
is on disk."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import run_code
from small_cohorts import patterned_cohort

from medpriv_lib.core import weights
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.recognition.crossfit import FOLDS, PAIRS, CrossFit, folds, training_rows
from medpriv_lib.recognition.fitting import (
    NO_CROSSFIT,
    NO_IDENTITY,
    PARTS,
    fit_judges,
    parts_of,
)
from medpriv_lib.recognition.judges import Judges, no_better_than_guessing, report
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import DEFAULTS, logits


@pytest.fixture(scope="module")
def cohort():
    return patterned_cohort()


@pytest.fixture(scope="module")
def folder(cohort, tmp_path_factory):
    """A folder with judges of two epochs; enough for all that is not about accuracy."""
    path = tmp_path_factory.mktemp("judges")
    fit_judges(cohort, 3, path, epochs=2, progress=False)
    return path


def same(a: Recogniser, b: Recogniser) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


# ---- judges of unseen patients


def test_folds_are_stratified_and_balanced():
    cohort = patterned_cohort(patients=43, images=5)
    fold = folds(cohort, seed=1)
    diseased = np.array([cohort.diseased[cohort.patient == p].any() for p in range(43)])
    assert np.ptp(np.bincount(fold, minlength=FOLDS)) <= 3  # one for each of the three strata
    assert np.ptp(np.bincount(fold[diseased], minlength=FOLDS)) <= 2
    assert np.array_equal(fold, folds(cohort, seed=1))
    assert not np.array_equal(fold, folds(cohort, seed=2))
    with pytest.raises(NotApplicable, match="at least 5 patients"):
        folds(patterned_cohort(patients=4), seed=0)


def test_training_rows_hold_no_patient_of_the_pair_and_no_test_image(cohort):
    fold = folds(cohort, seed=0)
    for pair in PAIRS:
        rows = training_rows(cohort, fold, pair)
        assert not set(fold[cohort.patient[rows]]) & set(pair)
        assert set(cohort.split[rows]) == {"train", "val"}
    assert (
        sum(len(training_rows(cohort, fold, pair)) for pair in PAIRS)
        == 6 * (cohort.split != "test").sum()
    )


def test_the_choice_of_judges_equals_the_definition_written_out():
    fold = np.arange(15) % FOLDS
    judges = CrossFit((None,) * 10, fold)
    rng = np.random.default_rng(0)
    source, contributors = rng.integers(-1, 15, 300), rng.integers(-1, 15, (300, 3))
    chosen, seen = judges.choose(source, contributors)
    for row in range(300):
        own = {int(fold[source[row]])} if source[row] >= 0 else set()
        needed = own | {int(fold[c]) for c in contributors[row] if c >= 0}
        possible = [needed <= set(pair) for pair in PAIRS]
        if not any(possible):
            possible = [own <= set(pair) for pair in PAIRS]
            assert seen[row]
        else:
            assert not seen[row]
        assert chosen[row].tolist() == possible
    alone, seen = judges.choose(source, None)
    assert not seen.any()
    assert set(alone[source >= 0].sum(1)) == {4}
    with pytest.raises(ValueError, match="patients must be"):
        judges.choose(np.array([15]), None)


def test_no_judge_of_unseen_patients_saw_the_patient(cohort):
    """Whoever is asked about an image must have learned from neither its source nor its
    contributor."""
    parts, fold = parts_of(cohort, 0, epochs=1)
    known = [set(part.train.patient.tolist()) for part in parts if part.val is None]
    assert [part.name for part in parts] == [
        "identity",
        "disease",
        *(f"crossfit-{a}{b}" for a, b in PAIRS),
    ]
    assert len({part.number for part in parts}) == 12
    source, other = (part.ravel() for part in np.meshgrid(np.arange(10), np.arange(10)))
    chosen, seen = CrossFit((None,) * 10, fold).choose(source, other[:, None])
    assert not seen.any()
    assert chosen.any(axis=1).all()
    for row, judge in zip(*np.nonzero(chosen), strict=True):
        assert not known[judge] & {source[row], other[row]}


def test_each_chosen_judge_reads_its_images_and_no_other(cohort):
    """Judges that say their own number: the mean is that of the numbers chosen."""

    class Numbered(Recogniser):
        def __init__(self, number):
            super().__init__(2, 16)
            self.eval()
            torch.nn.init.zeros_(self.head.weight)
            torch.nn.init.constant_(self.head.bias, number)

    fold = folds(cohort, seed=0)
    judges = CrossFit(tuple(Numbered(number) for number in range(10)), fold)
    patients, contributors = cohort.patient[:50], cohort.patient[50:100, None]
    chosen, _ = judges.choose(patients, contributors)
    expected = (chosen * np.arange(10)).sum(1) / chosen.sum(1)
    said, _ = judges.logits(cohort.images[:50], patients, contributors)
    np.testing.assert_allclose(said[:, 1], expected, rtol=1e-6)


def test_crossfit_logits_are_the_mean_of_the_chosen(folder, cohort):
    judges = Judges.load(folder, cohort).crossfit
    patients, contributors = cohort.patient[::7], cohort.patient[5:][::7][:, None]
    images = cohort.images[::7][: len(contributors)]
    patients = patients[: len(contributors)]
    fast, _ = judges.logits(images, patients, contributors)
    chosen, _ = judges.choose(patients, contributors)
    for row in range(len(images)):
        slow = [
            logits(network, images[row : row + 1])[0]
            for network, use in zip(judges.networks, chosen[row], strict=True)
            if use
        ]
        torch.testing.assert_close(fast[row], torch.stack(slow).mean(0), rtol=1e-4, atol=1e-5)


# ---- judges on disk

KILLED = """
import os, signal, sys
from dataclasses import replace
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.recognition.fitting import fit_judges
import torch
torch.set_num_threads(1)
cohort, out, left = Cohort.load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def progress(epoch, epochs, row):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
fit_judges(cohort, 3, out, epochs=2, progress=progress)
"""


def test_judges_killed_twice_end_at_the_same_weights(cohort, folder, tmp_path):
    cohort.save(tmp_path / "cohort.npz")
    out = tmp_path / "out"
    for left in (3, 6):  # in the disease network, in the crossfit judges
        done = run_code(KILLED, tmp_path / "cohort.npz", out, left)
        assert done.returncode == -9, done.stderr
        assert not (out / "judges.safetensors").exists()
    finished = sorted(file.name for file in (out / PARTS).glob("*.safetensors"))
    assert {"identity.safetensors", "disease.safetensors"} <= set(finished)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    judges, expected = fit_judges(cohort, 3, out, epochs=2, progress=False), Judges.load(folder)
    torch.set_num_threads(threads)
    if threads == 1:  # the expected ones were trained in this process
        assert same(judges.identity, expected.identity)
        assert all(
            same(a, b)
            for a, b in zip(judges.crossfit.networks, expected.crossfit.networks, strict=True)
        )
    assert sorted(file.name for file in out.iterdir()) == ["judges.json", "judges.safetensors"]
    assert judges.card["metrics"].keys() == expected.card["metrics"].keys()


def test_judges_come_back_equal_and_finished_ones_are_not_trained_again(folder, cohort):
    def never(*_):
        raise AssertionError("trained again")

    judges = Judges.load(folder, cohort)
    again = fit_judges(cohort, 3, folder, epochs=2, progress=never)
    test = cohort.of("test")
    assert torch.equal(logits(judges.identity, test.images), logits(again.identity, test.images))
    assert torch.equal(
        judges.crossfit.logits(test.images, test.patient)[0],
        again.crossfit.logits(test.images, test.patient)[0],
    )
    metrics = report(judges, test)
    assert json.loads(json.dumps(metrics)) == judges.card["metrics"]
    assert metrics["n"] == 32
    assert metrics["identity"]["chance"] == 0.1
    assert metrics["disease"]["majority_rate"] == max(
        test.diseased.mean(), 1 - test.diseased.mean()
    )
    for part in ("identity", "disease", "unseen", "unseen_single"):
        low, value, high = (
            metrics[part][key] for key in ("accuracy_low", "accuracy", "accuracy_high")
        )
        assert 0 <= low <= value <= high <= 1


def test_judges_of_other_data_seed_or_length_are_refused(folder, cohort):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    other = patterned_cohort(seed=9)
    with pytest.raises(ValueError, match="another cohort"):
        Judges.load(folder, other)
    with pytest.raises(ValueError, match="another cohort"):
        fit_judges(other, 3, folder, epochs=2)
    with pytest.raises(ValueError, match="of seed 3 or of other settings"):
        fit_judges(cohort, 4, folder, epochs=2)
    with pytest.raises(ValueError, match="other settings"):
        fit_judges(cohort, 3, folder, epochs=3)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_two_equal_trainings_give_equal_files(cohort, folder, tmp_path):
    """Also in another process, and in another folder."""
    cohort.save(tmp_path / "cohort.npz")
    program = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from medpriv_lib.core.cohort import Cohort\n"
        "from medpriv_lib.recognition.fitting import fit_judges\n"
        "fit_judges(Cohort.load(sys.argv[1]), 3, sys.argv[2], epochs=2, progress=False)"
    )
    for out in ("one", "two"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "cohort.npz"), str(tmp_path / out)],
            cwd=Path(weights.__file__).parents[2],
            check=True,
        )
    for name in ("judges.json", "judges.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path).encode() not in (tmp_path / "one" / name).read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("disease.head.weight"),
        lambda tensors: tensors.pop("crossfit-01.blocks.0.0.weight"),
        lambda tensors: [tensors.pop(key) for key in list(tensors) if key.startswith("disease.")],
        lambda tensors: tensors.update({"identity.dense.1.bias": torch.zeros(5)}),
        lambda tensors: tensors.update({"identity.more": torch.zeros(5)}),
        lambda tensors: tensors.update({"nobody": torch.zeros(2)}),
    ],
)
def test_judges_with_missing_or_misshapen_parts_are_refused_in_one_line(folder, tmp_path, change):
    tensors, card = weights.load(folder / "judges")
    change(tensors)
    weights.save(tmp_path / "judges", tensors, card)
    with pytest.raises(ValueError, match=r"judges\.safetensors: the parts .*medpriv fit") as found:
        Judges.load(tmp_path)
    assert "\n" not in str(found.value)


def test_a_tampered_judge_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    file = tmp_path / "copy" / "judges.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"judges\.safetensors: wrong or tampered"):
        Judges.load(tmp_path / "copy")


def test_a_split_by_patient_has_no_identity_judge_and_says_so(tmp_path):
    cohort = patterned_cohort(by_patient=True, images=6)
    judges = fit_judges(cohort, 0, tmp_path, epochs=1, progress=False)
    assert judges.identity is None
    assert judges.card["config"]["notes"] == [NO_IDENTITY]
    assert judges.card["metrics"]["identity"] is None
    assert Judges.load(tmp_path).identity is None


def test_too_few_patients_have_no_judges_of_the_unseen_and_say_so(tmp_path):
    judges = fit_judges(
        patterned_cohort(patients=4, images=10), 0, tmp_path, epochs=1, progress=False
    )
    assert judges.crossfit is None
    assert judges.card["config"]["notes"] == [NO_CROSSFIT]
    assert judges.card["metrics"]["unseen"] is None
    assert Judges.load(tmp_path).crossfit is None


def test_card_tells_how_the_judges_were_trained(folder, cohort):
    card = weights.read_card(folder / "judges.json")
    assert card["data_hash"] == cohort.hash()
    assert card["config"]["settings"]["identity"] == asdict(replace(DEFAULTS["identity"], epochs=2))
    assert card["curve"].keys() == {"identity", "disease"} | {f"crossfit-{a}{b}" for a, b in PAIRS}
    assert all("seconds" not in curve for curve in card["curve"].values())
    assert card["private"] == weights.PRIVATE
    with pytest.raises(ValueError, match="at least one epoch"):
        fit_judges(cohort, 0, folder, epochs=0)


def test_judges_that_guess_are_named_and_good_ones_are_not():
    """By the lower end of the interval: three right of five are no proof against one half."""
    good = {
        "identity": {"accuracy": 0.9, "accuracy_low": 0.8, "chance": 0.03},
        "disease": {"accuracy": 0.8, "accuracy_low": 0.7, "majority_rate": 0.52},
    }
    assert no_better_than_guessing(good) == []
    weak = {
        "identity": {"accuracy": 0.04, "accuracy_low": 0.0, "chance": 0.03},
        "disease": {"accuracy": 0.6, "accuracy_low": 0.4, "majority_rate": 0.52},
    }
    who, ill = no_better_than_guessing(weak)
    assert "names 4 % of the test images right (guessing: 3 %)" in who
    assert "reads 60 % of the test images right (always the more frequent label: 52 %)" in ill
    assert no_better_than_guessing({"identity": None, "disease": good["disease"]}) == []
    assert no_better_than_guessing({}) == []  # judges that were tested on nothing


def test_the_judges_that_ship_read_better_than_guesses():
    assert no_better_than_guessing(weights.read_card(weights.shipped("judges"))["metrics"]) == []
