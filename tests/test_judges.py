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
from small_cohorts import patterned_cohort

from medpriv_lib.core import weights
from medpriv_lib.recognition import crossfit as crossfit_module
from medpriv_lib.recognition import judges as judges_module
from medpriv_lib.recognition.crossfit import FOLDS, PAIRS, CrossFit, folds, training_rows
from medpriv_lib.recognition.judges import Judges, fit_judges, report
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
    with pytest.raises(ValueError, match="at least 5 patients"):
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


def test_no_judge_of_unseen_patients_saw_the_patient(cohort, tmp_path, monkeypatch):
    """Each toy judge notes what it was trained on; every judge asked must not know source nor
    contributor."""
    trained, asked = {}, []

    def fit(train, val, target, *, seed, **rest):
        network = Recogniser(train.patients if target == "identity" else 2, 16).eval()
        trained[id(network)] = (network, set(train.patient.tolist()), val)
        return network, {"best": 1}

    def ask(network, images):
        asked.append(
            (id(network), images[:, 0, :2].copy())
        )  # the toy images carry their source and contributor
        return torch.zeros(len(images), 2)

    monkeypatch.setattr(judges_module, "fit_recogniser", fit)
    monkeypatch.setattr(judges_module.shutil, "rmtree", lambda path, **_: None)
    judges = fit_judges(cohort, 0, tmp_path, epochs=1, progress=False)
    monkeypatch.setattr(crossfit_module, "logits", ask)
    source, other = (part.ravel() for part in np.meshgrid(np.arange(10), np.arange(10)))
    images = np.zeros((100, 16, 16), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = source, other
    _, seen = judges.crossfit.logits(images, source, other[:, None])
    assert not seen.any()
    assert sum(len(marks) for _, marks in asked) >= 100
    for network, marks in asked:
        _, known, val = trained[network]
        assert val is None
        assert not known & set(marks.ravel().tolist())


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
from medpriv_lib.recognition.judges import fit_judges
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
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / "cohort.npz"), str(out), str(left)],
            cwd=Path(weights.__file__).parents[2],
            check=False,
            capture_output=True,
        )
        assert done.returncode == -9, done.stderr.decode()
        assert not (out / "judges.safetensors").exists()
    finished = sorted(file.name for file in (out / judges_module.PARTS).glob("*.safetensors"))
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


def test_judges_come_back_equal_and_finished_ones_are_not_trained_again(
    folder, cohort, monkeypatch
):
    def never(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(judges_module, "fit_recogniser", never)
    judges, again = Judges.load(folder, cohort), fit_judges(cohort, 3, folder, epochs=2)
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
    assert judges.card["config"]["notes"] == [judges_module.NO_IDENTITY]
    assert judges.card["metrics"]["identity"] is None
    assert Judges.load(tmp_path).identity is None


def test_too_few_patients_have_no_judges_of_the_unseen_and_say_so(tmp_path):
    judges = fit_judges(
        patterned_cohort(patients=4, images=10), 0, tmp_path, epochs=1, progress=False
    )
    assert judges.crossfit is None
    assert judges.card["config"]["notes"] == [judges_module.NO_CROSSFIT]
    assert judges.card["metrics"]["unseen"] is None
    assert Judges.load(tmp_path).crossfit is None


def test_card_tells_how_the_judges_were_trained(folder, cohort):
    card = weights.read_card(folder / "judges.json")
    assert card["data_hash"] == cohort.hash()
    assert card["config"]["settings"]["identity"] == asdict(replace(DEFAULTS["identity"], epochs=2))
    assert card["curve"].keys() == {"identity", "disease"} | {f"crossfit-{a}{b}" for a, b in PAIRS}
    assert all(curve["seconds"] >= 0 for curve in card["curve"].values())
    with pytest.raises(ValueError, match="at least one epoch"):
        fit_judges(cohort, 0, folder, epochs=0)
