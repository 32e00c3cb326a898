"""Recognisers and judges on toy cohorts: patterns of noise as patients, a bright patch as the disease."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from medpriv_lib import weights
from medpriv_lib.cohort import Cohort, to_tensor
from medpriv_lib.recognition import crossfit as crossfit_module
from medpriv_lib.recognition import judges as judges_module
from medpriv_lib.recognition import train as train_module
from medpriv_lib.recognition.augment import augment
from medpriv_lib.recognition.crossfit import FOLDS, PAIRS, CrossFit, folds, training_rows
from medpriv_lib.recognition.judges import Judges, fit_judges, report
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import DEFAULTS, fit_recogniser, logits

TINY = replace(DEFAULTS["identity"], epochs=5, batch=32)


def toy(patients: int = 10, images: int = 16, size: int = 16, seed: int = 0, by_patient: bool = False) -> Cohort:
    rng = np.random.default_rng(seed)
    n = patients * images
    patient = np.repeat(np.arange(patients), images)
    pattern = np.stack([cv2.GaussianBlur(p, (0, 0), 1.0) for p in rng.normal(size=(patients, size, size))])
    pattern /= pattern.std(axis=(1, 2), keepdims=True)
    diseased = rng.random(n) < np.where(patient % 2, 0.6, 0.2)
    grey = 120 + 30 * pattern[patient] + rng.normal(0, 8, (n, size, size))
    grey[diseased, 2:6, 9:14] += 70
    names = np.array(["train", "train", "train", "val", "test"])
    split = names[patient % 5] if by_patient else names[np.arange(n) % 5]
    return Cohort(images=grey.clip(0, 255).astype(np.uint8), patient=patient, eye=np.full(n, ""), diseased=diseased,
                  split=split, patient_names=np.array([f"P{p:02d}" for p in range(patients)]), name="toy")


@pytest.fixture(scope="module")
def cohort():
    return toy()


@pytest.fixture(scope="module")
def folder(cohort, tmp_path_factory):
    """A folder with judges of two epochs; enough for all that is not about accuracy."""
    path = tmp_path_factory.mktemp("judges")
    fit_judges(cohort, 3, path, epochs=2, progress=False)
    return path


def same(a: Recogniser, b: Recogniser) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# ---- network

@pytest.mark.parametrize(("classes", "size"), [(2, 16), (7, 64), (115, 48)])
def test_shapes_and_widths(classes, size):
    network = Recogniser(classes, size).eval()
    x = torch.zeros(3, 1, size, size)
    assert network(x).shape == (3, classes)
    assert network.embed(x).shape == (3, 32)
    assert network.embed(x).min() >= 0
    widths = [tuple(block[0].weight.shape[:3]) for block in network.blocks]
    assert widths == [(32, 1, 5), (32, 32, 5), (32, 32, 3), (32, 32, 3)]


@pytest.mark.parametrize(("classes", "size"), [(2, 20), (2, 0), (1, 64)])
def test_impossible_networks_are_refused(classes, size):
    with pytest.raises(ValueError, match="need images of|at least two"):
        Recogniser(classes, size)


def test_merged_network_gives_the_same_logits():
    torch.manual_seed(0)
    network = Recogniser(9, 32)
    for _ in range(3):
        network(torch.randn(8, 1, 32, 32))  # gives batch norm statistics of its own
    network.eval()
    for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.weight)  # also negative scales
        torch.nn.init.normal_(norm.bias)
    x = torch.randn(8, 1, 32, 32)
    torch.testing.assert_close(network.merged()(x), network(x), rtol=1e-4, atol=1e-5)


# ---- augmentation

def test_augment_is_small_and_follows_its_generator():
    x = to_tensor(toy(2, 4, 32).images)
    once, twice = (augment(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(once, twice)
    assert not torch.equal(once, augment(x, torch.Generator().manual_seed(6)))
    assert augment(x, torch.Generator(), strength=0) is x
    for before, after in zip(x.flatten(1), once.flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.3


def test_augment_equals_opencv_for_a_pure_rotation(monkeypatch):
    module = sys.modules["medpriv_lib.recognition.augment"]
    for name in ("SHIFT", "SCALE", "BRIGHTNESS", "CONTRAST"):
        monkeypatch.setattr(module, name, 0.0)
    image = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32), (0, 0), 2)
    out = module.augment(torch.from_numpy(image)[None, None], torch.Generator().manual_seed(1))[0, 0].numpy()
    draws = torch.empty(6, 1).uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    degrees = float(np.degrees(float(draws[2, 0]) * module.ANGLE))
    matrix = cv2.getRotationMatrix2D((15.5, 15.5), degrees, 1)
    expected = cv2.warpAffine(image, matrix, (32, 32), borderMode=cv2.BORDER_REPLICATE)
    assert abs(degrees) > 1
    assert np.abs(out - expected)[6:-6, 6:-6].max() < 0.05 * np.ptp(image)


# ---- training

@pytest.mark.parametrize("target", ["identity", "disease"])
def test_recogniser_learns_the_toy(cohort, target):
    # chance is .1 and the majority about .6; a network that learns nothing has 32 right of 32 with p < 1e-6
    network, curve = fit_recogniser(cohort.of("train"), cohort.of("val"), target, seed=0, epochs=25)
    test = cohort.of("test")
    truth = test.patient if target == "identity" else test.diseased
    assert (logits(network, test.images).argmax(1).numpy() == truth).mean() >= 0.9
    assert not network.training
    assert len(curve["train_loss"]) == len(curve["val_loss"]) >= curve["best"] > 0
    assert curve["val_loss"][curve["best"] - 1] == min(curve["val_loss"])


def test_same_seed_same_network_and_the_callers_generator_is_left_alone(cohort):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    fits = [fit_recogniser(cohort.of("train"), cohort.of("val"), "identity", seed=seed, settings=TINY)
            for seed in (4, 4, 5)]
    assert torch.equal(torch.get_rng_state(), before)
    assert same(fits[0][0], fits[1][0])
    assert fits[0][1] == fits[1][1]
    assert not same(fits[0][0], fits[2][0])


def test_early_stopping_ends_the_training_and_keeps_the_best_state(cohort, monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 2.5, 1.5, 9.0, 9.0])
    states = []

    def validate(network, images, labels):
        states.append({key: value.clone() for key, value in network.state_dict().items()})
        return {"val_loss": next(losses), "val_accuracy": 0.5}

    monkeypatch.setattr(train_module, "_validate", validate)
    network, curve = fit_recogniser(cohort.of("train"), cohort.of("val"), "identity", seed=0,
                                    settings=replace(TINY, epochs=7, patience=2))
    assert curve["val_loss"] == [3.0, 1.0, 2.0, 2.5, 1.5]  # ends when the best is more than two epochs old
    assert curve["best"] == 2
    assert all(torch.equal(value, states[1][key]) for key, value in network.state_dict().items())


def test_without_validation_all_epochs_run_and_the_last_state_is_kept(cohort):
    seen = []
    _, curve = fit_recogniser(cohort.of("train"), None, "disease", seed=0, settings=replace(TINY, epochs=3),
                              progress=lambda epoch, epochs, row: seen.append((epoch, epochs, sorted(row))))
    assert curve["best"] == 3
    assert seen == [(epoch, 3, ["train_loss"]) for epoch in (1, 2, 3)]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3, 5])
def test_resumed_training_ends_at_the_same_weights(cohort, tmp_path, at):
    arguments = dict(seed=2, settings=TINY, checkpoint_seconds=0)
    whole, curve = fit_recogniser(cohort.of("train"), cohort.of("val"), "identity", **arguments)

    def stop(epoch, epochs, row):
        if epoch == at:
            raise Stopped

    with pytest.raises(Stopped):
        fit_recogniser(cohort.of("train"), cohort.of("val"), "identity", **arguments, resume=tmp_path, progress=stop)
    epochs = []
    again, curve_again = fit_recogniser(cohort.of("train"), cohort.of("val"), "identity", **arguments, resume=tmp_path,
                                        progress=lambda epoch, *_: epochs.append(epoch))
    assert epochs == list(range(at + 1, 6))
    assert same(whole, again)
    assert curve_again == curve


KILLED = """
import os, signal, sys
from dataclasses import replace
from medpriv_lib.cohort import Cohort
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
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "cohort.npz"), str(out), str(left)],
                              cwd=Path(weights.__file__).parents[2], check=False, capture_output=True)
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
        assert all(same(a, b) for a, b in zip(judges.crossfit.networks, expected.crossfit.networks, strict=True))
    assert sorted(file.name for file in out.iterdir()) == ["judges.json", "judges.safetensors"]
    assert judges.card["metrics"].keys() == expected.card["metrics"].keys()


def test_checkpoint_of_another_training_is_refused(cohort, tmp_path):
    train, val = cohort.of("train"), cohort.of("val")
    fit_recogniser(train, val, "disease", seed=0, settings=replace(TINY, epochs=1), resume=tmp_path)
    before = (tmp_path / "training.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"training\.safetensors: a checkpoint of other data, seed or settings"):
        fit_recogniser(train, val, "disease", seed=1, settings=replace(TINY, epochs=1), resume=tmp_path)
    assert (tmp_path / "training.safetensors").read_bytes() == before
    (tmp_path / "training.safetensors").write_bytes(before[:100])
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        fit_recogniser(train, val, "disease", seed=0, settings=replace(TINY, epochs=1), resume=tmp_path)


def test_what_cannot_be_trained_on_is_refused(cohort):
    train = cohort.of("train")
    with pytest.raises(ValueError, match="needs both"):
        fit_recogniser(train.take(~train.diseased), None, "disease", seed=0)
    with pytest.raises(ValueError, match="unknown target"):
        fit_recogniser(train, None, "age", seed=0)
    with pytest.raises(ValueError, match="square"):
        fit_recogniser(replace(train, images=train.images[:, :12]), None, "identity", seed=0)
    with pytest.raises(ValueError, match="prepare them alike"):
        fit_recogniser(train, toy(size=32), "identity", seed=0)
    with pytest.raises(ValueError, match="need images of"):
        fit_recogniser(replace(train, images=train.images[:, :15, :15].copy()), None, "identity", seed=0)


# ---- judging

def test_judging_never_runs_under_autocast_nor_in_training_mode(cohort):
    network = Recogniser(10, 16).train()
    x = cohort.images[:40]
    network(to_tensor(x))
    plain = logits(network, x)
    with torch.autocast("cpu", torch.bfloat16):
        inside = logits(network, x)
        rounded = network.eval().merged()(to_tensor(x)).float()
    assert plain.dtype == inside.dtype == torch.float32
    assert torch.equal(plain, inside)
    assert not torch.equal(plain, rounded)  # autocast does change the numbers here
    torch.testing.assert_close(plain, network.eval()(to_tensor(x)), rtol=1e-4, atol=1e-5)


def test_logits_do_not_depend_on_the_batch_and_check_their_input(cohort):
    network = Recogniser(3, 16)
    torch.testing.assert_close(logits(network, cohort.images, batch=7), logits(network, cohort.images))
    assert logits(network, cohort.images[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="uint8 images"):
        logits(network, cohort.images.astype(np.float32))
    with pytest.raises(ValueError, match="--size 16"):
        logits(network, np.zeros((2, 32, 32), np.uint8))


# ---- judges of unseen patients

def test_folds_are_stratified_and_balanced():
    cohort = toy(patients=43, images=5)
    fold = folds(cohort, seed=1)
    diseased = np.array([cohort.diseased[cohort.patient == p].any() for p in range(43)])
    assert np.ptp(np.bincount(fold, minlength=FOLDS)) <= 3  # one for each of the three strata
    assert np.ptp(np.bincount(fold[diseased], minlength=FOLDS)) <= 2
    assert np.array_equal(fold, folds(cohort, seed=1))
    assert not np.array_equal(fold, folds(cohort, seed=2))
    with pytest.raises(ValueError, match="at least 5 patients"):
        folds(toy(patients=4), seed=0)


def test_training_rows_hold_no_patient_of_the_pair_and_no_test_image(cohort):
    fold = folds(cohort, seed=0)
    for pair in PAIRS:
        rows = training_rows(cohort, fold, pair)
        assert not set(fold[cohort.patient[rows]]) & set(pair)
        assert set(cohort.split[rows]) == {"train", "val"}
    assert sum(len(training_rows(cohort, fold, pair)) for pair in PAIRS) == 6 * (cohort.split != "test").sum()


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
    """Each toy judge notes what it was trained on; every judge asked must not know source nor contributor."""
    trained, asked = {}, []

    def fit(train, val, target, *, seed, **rest):
        network = Recogniser(train.patients if target == "identity" else 2, 16).eval()
        trained[id(network)] = (network, set(train.patient.tolist()), val)
        return network, {"best": 1}

    def ask(network, images):
        asked.append((id(network), images[:, 0, :2].copy()))  # the toy images carry their source and contributor
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
    images = cohort.images[::7][:len(contributors)]
    patients = patients[:len(contributors)]
    fast, _ = judges.logits(images, patients, contributors)
    chosen, _ = judges.choose(patients, contributors)
    for row in range(len(images)):
        slow = [logits(network, images[row:row + 1])[0]
                for network, use in zip(judges.networks, chosen[row], strict=True) if use]
        torch.testing.assert_close(fast[row], torch.stack(slow).mean(0), rtol=1e-4, atol=1e-5)


# ---- judges on disk

def test_judges_come_back_equal_and_finished_ones_are_not_trained_again(folder, cohort, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(judges_module, "fit_recogniser", never)
    judges, again = Judges.load(folder, cohort), fit_judges(cohort, 3, folder, epochs=2)
    test = cohort.of("test")
    assert torch.equal(logits(judges.identity, test.images), logits(again.identity, test.images))
    assert torch.equal(judges.crossfit.logits(test.images, test.patient)[0],
                       again.crossfit.logits(test.images, test.patient)[0])
    metrics = report(judges, test)
    assert json.loads(json.dumps(metrics)) == judges.card["metrics"]
    assert metrics["n"] == 32
    assert metrics["identity"]["chance"] == 0.1
    assert metrics["disease"]["majority_rate"] == max(test.diseased.mean(), 1 - test.diseased.mean())
    for part in ("identity", "disease", "unseen", "unseen_single"):
        low, value, high = (metrics[part][key] for key in ("accuracy_low", "accuracy", "accuracy_high"))
        assert 0 <= low <= value <= high <= 1


def test_judges_of_other_data_seed_or_length_are_refused(folder, cohort):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    other = toy(seed=9)
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
    cohort = toy(by_patient=True, images=6)
    judges = fit_judges(cohort, 0, tmp_path, epochs=1, progress=False)
    assert judges.identity is None
    assert judges.card["config"]["notes"] == [judges_module.NO_IDENTITY]
    assert judges.card["metrics"]["identity"] is None
    assert Judges.load(tmp_path).identity is None


def test_too_few_patients_have_no_judges_of_the_unseen_and_say_so(tmp_path):
    judges = fit_judges(toy(patients=4, images=10), 0, tmp_path, epochs=1, progress=False)
    assert judges.crossfit is None
    assert judges.card["config"]["notes"] == [judges_module.NO_CROSSFIT]
    assert judges.card["metrics"]["unseen"] is None
    assert Judges.load(tmp_path).crossfit is None


def test_card_tells_how_the_judges_were_trained(folder, cohort):
    card = weights.read_card(folder / "judges.json")
    assert card["data_hash"] == cohort.hash()
    assert card["config"]["settings"]["identity"] == asdict(replace(DEFAULTS["identity"], epochs=2))
    assert card["curve"].keys() == {"identity", "disease"} | {f"crossfit-{a}{b}" for a, b in PAIRS}
    with pytest.raises(ValueError, match="at least one epoch"):
        fit_judges(cohort, 0, folder, epochs=0)
