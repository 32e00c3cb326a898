"""Recognisers on toy cohorts: patterns of noise as patients, a bright patch as the disease."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from small_cohorts import patterned_cohort

from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.precision import flushed_denormals
from medpriv_lib.learning.augment import Distortion, augment
from medpriv_lib.learning.checkpoint import NAME, Kept
from medpriv_lib.recognition.embedding import embeddings
from medpriv_lib.recognition.learner import Learner
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import DEFAULTS, fit_recogniser, logits

TINY = replace(DEFAULTS["identity"], epochs=5, batch=32)


@pytest.fixture(scope="module")
def cohort():
    return patterned_cohort()


def same(a: Recogniser, b: Recogniser) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def quantities(curve: dict) -> dict:
    """Return a curve without the time it took, which no two trainings share."""
    assert curve["seconds"] >= 0
    return {key: value for key, value in curve.items() if key != "seconds"}


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
    for norm in (
        module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)
    ):
        torch.nn.init.normal_(norm.weight)  # also negative scales
        torch.nn.init.normal_(norm.bias)
    x = torch.randn(8, 1, 32, 32)
    torch.testing.assert_close(network.merged()(x), network(x), rtol=1e-4, atol=1e-5)


# ---- augmentation


def test_augment_is_small_and_follows_its_generator():
    x = to_tensor(patterned_cohort(2, 4, 32).images)
    once, twice = (augment(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(once, twice)
    assert not torch.equal(once, augment(x, torch.Generator().manual_seed(6)))
    assert augment(x, torch.Generator(), strength=0) is x
    for before, after in zip(x.flatten(1), once.flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.3


def test_augment_equals_opencv_for_a_pure_rotation():
    turned = Distortion(shift=0, scale=0, brightness=0, contrast=0)
    image = cv2.GaussianBlur(
        np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32), (0, 0), 2
    )
    x = torch.from_numpy(image)[None, None]
    out = augment(x, torch.Generator().manual_seed(1), most=turned)[0, 0].numpy()
    draws = torch.empty(6, 1).uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    degrees = float(np.degrees(float(draws[2, 0]) * turned.angle))
    matrix = cv2.getRotationMatrix2D((15.5, 15.5), degrees, 1)
    expected = cv2.warpAffine(image, matrix, (32, 32), borderMode=cv2.BORDER_REPLICATE)
    assert abs(degrees) > 1
    assert np.abs(out - expected)[6:-6, 6:-6].max() < 0.05 * np.ptp(image)


def test_augment_moves_all_colours_alike():
    grey = to_tensor(patterned_cohort(2, 4, 32).images)
    moved = augment(grey, torch.Generator().manual_seed(5))
    coloured = augment(grey.expand(-1, 3, -1, -1), torch.Generator().manual_seed(5))
    torch.testing.assert_close(coloured, moved.expand(-1, 3, -1, -1))


# ---- training


@pytest.mark.parametrize("target", ["identity", "disease"])
def test_recogniser_learns_the_patterned_cohort(cohort, target):
    # chance is .1 and the majority about .6; a network that learns nothing has 32 right of 32 with
    # p < 1e-6
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
    fits = [
        fit_recogniser(cohort.of("train"), cohort.of("val"), "identity", seed=seed, settings=TINY)
        for seed in (4, 4, 5)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert same(fits[0][0], fits[1][0])
    assert quantities(fits[0][1]) == quantities(fits[1][1])
    assert not same(fits[0][0], fits[2][0])


def test_early_stopping_ends_the_training_and_keeps_the_best_state(cohort):
    settings = replace(TINY, epochs=7, patience=2)
    network = Recogniser(2, 16)
    learner = Learner(network, settings, torch.zeros(4, 1, 16, 16), torch.tensor([0, 1, 0, 1]), 0)
    losses = [3.0, 1.0, 2.0, 2.5, 1.5, 9.0, 9.0]
    while not learner.finished:
        torch.nn.init.constant_(network.head.bias, learner.epoch)
        learner.end_epoch(
            {"train_loss": 0.0, "val_loss": losses[learner.epoch], "val_accuracy": 0.5}
        )
    # ends when the best is more than two epochs old
    assert learner.curve["val_loss"] == [3.0, 1.0, 2.0, 2.5, 1.5]
    assert learner.best_epoch == 2
    assert (learner.best["head.bias"] == 1).all()


def test_a_step_changes_the_network_by_its_rows_alone(cohort):
    train = cohort.of("train")
    images, labels = to_tensor(train.images), torch.from_numpy(train.patient)
    ends = []
    for others in (images, torch.zeros_like(images)):  # what the step does not look at is no matter
        seen = torch.cat([images[:8], others[8:]])
        torch.manual_seed(0)
        learner = Learner(Recogniser(10, 16), replace(TINY, half=False), seen, labels, 0)
        before = learner.network.head.weight.detach().clone()
        loss = learner.step(torch.arange(8), torch.Generator().manual_seed(1), 1e-3)
        assert loss.ndim == 0
        assert not loss.requires_grad
        assert not torch.equal(learner.network.head.weight, before)
        ends.append(learner.network)
    assert same(*ends)


def test_without_validation_all_epochs_run_and_the_last_state_is_kept(cohort):
    seen = []
    _, curve = fit_recogniser(
        cohort.of("train"),
        None,
        "disease",
        seed=0,
        settings=replace(TINY, epochs=3),
        progress=lambda epoch, epochs, row: seen.append((epoch, epochs, sorted(row))),
    )
    assert curve["best"] == 3
    assert seen == [(epoch, 3, ["train_loss"]) for epoch in (1, 2, 3)]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3, 5])
def test_resumed_training_ends_at_the_same_weights(cohort, tmp_path, at):
    arguments = dict(seed=2, settings=TINY)
    whole, curve = fit_recogniser(cohort.of("train"), cohort.of("val"), "identity", **arguments)

    def stop(epoch, epochs, row):
        if epoch == at:
            raise Stopped

    with pytest.raises(Stopped):
        fit_recogniser(
            cohort.of("train"),
            cohort.of("val"),
            "identity",
            **arguments,
            resume=Kept(tmp_path, 0),
            progress=stop,
        )
    epochs = []
    again, curve_again = fit_recogniser(
        cohort.of("train"),
        cohort.of("val"),
        "identity",
        **arguments,
        resume=Kept(tmp_path, 0),
        progress=lambda epoch, *_: epochs.append(epoch),
    )
    assert epochs == list(range(at + 1, 6))
    assert same(whole, again)
    assert quantities(curve_again) == quantities(curve)


def test_checkpoint_of_another_training_is_refused(cohort, tmp_path):
    train, val = cohort.of("train"), cohort.of("val")
    fit_recogniser(train, val, "disease", seed=0, settings=replace(TINY, epochs=1), resume=tmp_path)
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(
        ValueError, match=rf"{NAME}: a checkpoint of a training with other seed; choose another"
    ):
        fit_recogniser(
            train, val, "disease", seed=1, settings=replace(TINY, epochs=1), resume=tmp_path
        )
    assert (tmp_path / NAME).read_bytes() == before
    (tmp_path / NAME).write_bytes(before[:100])
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        fit_recogniser(
            train, val, "disease", seed=0, settings=replace(TINY, epochs=1), resume=tmp_path
        )


def test_what_cannot_be_trained_on_is_refused(cohort):
    train = cohort.of("train")
    with pytest.raises(ValueError, match="needs both"):
        fit_recogniser(train.take(~train.diseased), None, "disease", seed=0)
    with pytest.raises(ValueError, match="unknown target"):
        fit_recogniser(train, None, "age", seed=0)
    with pytest.raises(ValueError, match="square"):
        fit_recogniser(replace(train, images=train.images[:, :12]), None, "identity", seed=0)
    with pytest.raises(ValueError, match="prepare them alike"):
        fit_recogniser(train, patterned_cohort(size=32), "identity", seed=0)
    with pytest.raises(ValueError, match="need images of"):
        fit_recogniser(
            replace(train, images=train.images[:, :15, :15].copy()), None, "identity", seed=0
        )


def test_a_training_leaves_the_processor_as_it_was(cohort):
    tiny = torch.full((4,), 1e-38)

    def flushed() -> bool:
        return bool((tiny * 0.1 == 0).all())

    assert not flushed()
    inside = []
    settings = replace(TINY, epochs=1)
    fit_recogniser(
        cohort.of("train"),
        None,
        "disease",
        seed=0,
        settings=settings,
        progress=lambda *_: inside.append(flushed()),
    )
    assert inside == [True]
    assert not flushed()
    with flushed_denormals():
        assert flushed()
        with flushed_denormals():
            assert flushed()
        assert flushed()  # it was so before
    assert not flushed()


# ---- colour


def test_a_recogniser_of_colours_learns_what_is_told_by_colour_alone():
    """Every image has the same grey; the disease turns a patch from green to red."""
    grey = patterned_cohort()
    images = np.repeat(grey.images[..., None] // 2 + 60, 3, axis=3)
    images[:, 2:10, 6:14] = np.where(
        grey.diseased[:, None, None, None], np.uint8([200, 40, 60]), np.uint8([40, 200, 60])
    )
    cohort = replace(grey, images=images)
    network, _ = fit_recogniser(
        cohort.of("train"), cohort.of("val"), "disease", seed=0, epochs=10, progress=False
    )
    test = cohort.of("test")
    assert network.channels == 3
    assert network.blocks[0][0].weight.shape[1] == 3
    # 32 of 32 by luck: p < 1e-6 even for a guesser who knows the rates
    assert (logits(network, test.images).argmax(1).numpy() == test.diseased).mean() >= 0.9
    assert embeddings(network, test.images).shape == (32, 32)
    with pytest.raises(ValueError, match="reads uint8 images .*colour.*prepare them as colour"):
        logits(network, grey.of("test").images)
    with pytest.raises(ValueError, match="prepare them as grey"):
        embeddings(Recogniser(2, 16), test.images)
    with pytest.raises(ValueError, match="1 channel .* or 3"):
        Recogniser(2, 16, 4)


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
    torch.testing.assert_close(
        logits(network, cohort.images, batch=7), logits(network, cohort.images)
    )
    assert logits(network, cohort.images[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="uint8 images"):
        logits(network, cohort.images.astype(np.float32))
    with pytest.raises(ValueError, match="--size 16"):
        logits(network, np.zeros((2, 32, 32), np.uint8))
