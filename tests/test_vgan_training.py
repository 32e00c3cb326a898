"""The training loop: what a round does, resuming after kills to the same end, two processes, the
entry point."""

import dataclasses
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import start_code
from small_cohorts import cohort_of

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.learning.augment import Augmentation
from medpriv_lib.learning.checkpoint import NAME, read_checkpoint
from medpriv_lib.learning.slope import squared_slope
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean, PriorSample, RealOther
from medpriv_lib.privatizers.k_same import KSame, KSameSelect
from medpriv_lib.privatizers.registry import privatizer
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Architecture
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.recognisers import frozen_recognisers
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.trainer import Trainer
from medpriv_lib.privatizers.vgan.training import fit_generator, train
from medpriv_lib.privatizers.vgan.validation import validation

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = {
    "latent": 8,
    "encoder": (8, 8, 8, 16),
    "decoder": (8, 16, 8, 8),
    "discriminator": (8, 8, 8, 16),
}


def make_cohort(patients=4, each=6, size=16, seed=0):
    """Every patient is a grey level with noise; the diseased have a bright spot."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), each)
    diseased = patient % 2 == 1
    images = 40 * patient[:, None, None] + rng.integers(0, 30, (len(patient), size, size)) + 40
    images[diseased, 4:8, 4:8] += 60
    split = np.where(np.arange(len(patient)) % each == 0, "val", "train")
    split[np.arange(len(patient)) % each == 1] = "test"
    return cohort_of(images, patient, diseased, eye="L", split=split)


def small(cohort):
    return Architecture(cohort.patients, cohort.images.shape[1], **WIDTHS)


def tensors_of(trainer):
    """All that the end of a training consists of."""
    found = {f"g.{k}": v for k, v in trainer.bare_generator.state_dict().items()}
    found |= {f"d.{k}": v for k, v in trainer.bare_discriminator.state_dict().items()}
    found |= {f"a.{k}": v for k, v in trainer.average.items()} | {
        "random": trainer.draws.random.get_state()
    }
    for name in ("generator_optimiser", "discriminator_optimiser"):
        for i, slots in getattr(trainer, name).state_dict()["state"].items():
            found |= {f"{name}.{i}.{slot}": value for slot, value in slots.items()}
    return found


def assert_same(one, other):
    assert one.keys() == other.keys()
    different = [key for key in one if not torch.equal(one[key], other[key])]
    assert different == []


CONFIG = Training(
    rounds=6,
    batch=8,
    warmup=3,
    reconstruction=2,
    r1_every=2,
    seed=5,
    validate_every=2,
    precision="no",
    frozen_recognisers=2,
    recogniser_epochs=2,
    recognisers_from=0.0,
)


# --- a round
# ---------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_training_and_another_does_not():
    cohort = make_cohort()
    first, second = (train(cohort, small(cohort), CONFIG) for _ in range(2))
    assert_same(tensors_of(first), tensors_of(second))
    other = train(cohort, small(cohort), dataclasses.replace(CONFIG, seed=6))
    assert not torch.equal(
        other.average["decoder.dense.weight"], first.average["decoder.dense.weight"]
    )


def test_the_callers_random_numbers_are_left_alone():
    cohort = make_cohort()
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    train(cohort, small(cohort), CONFIG)
    assert torch.equal(torch.rand(4), wanted)


def test_generator_steps_leave_the_discriminator_alone_and_the_other_way_round():
    cohort = make_cohort()
    trainer = Trainer(cohort, small(cohort), CONFIG)

    def copy(network):
        return [p.detach().clone() for p in network.parameters()]

    def moved(before, network):
        return any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))

    g, d = copy(trainer.bare_generator), copy(trainer.bare_discriminator)
    fake = trainer.generator_step()
    assert moved(g, trainer.bare_generator)
    assert not moved(d, trainer.bare_discriminator)
    g = copy(trainer.bare_generator)
    trainer.discriminator_step(fake)
    assert moved(d, trainer.bare_discriminator)
    assert not moved(g, trainer.bare_generator)
    assert fake.shape == (8, 1, 16, 16)


def test_the_frozen_recognisers_stay_as_they_are_and_the_generator_listens_to_them():
    cohort = make_cohort()
    trainer = Trainer(cohort, small(cohort), CONFIG)
    frozen = [p.clone() for network in trainer.recognisers for p in network.state_dict().values()]
    random = trainer.draws.random.get_state()
    trainer.bare_discriminator.heads.weight.data.zero_()  # D says the same of every image: it teaches nothing
    still = trainer.bare_generator.decoder.dense.weight.detach().clone()
    trainer.generator_step()
    moved = trainer.bare_generator.decoder.dense.weight.detach() - still
    assert [
        torch.equal(a, b)
        for a, b in zip(
            frozen,
            (p for network in trainer.recognisers for p in network.state_dict().values()),
            strict=True,
        )
    ] == ([True] * len(frozen))
    deaf = Trainer(cohort, small(cohort), CONFIG)
    deaf.recognisers = []
    deaf.draws.random.set_state(random)
    deaf.bare_discriminator.heads.weight.data.zero_()
    deaf.generator_step()
    assert not torch.allclose(deaf.bare_generator.decoder.dense.weight.detach() - still, moved)


def test_the_frozen_recognisers_join_after_their_share_of_the_rounds():
    cohort = make_cohort()
    later = dataclasses.replace(CONFIG, rounds=6, recognisers_from=0.5, decay_from=1.0)
    with_them, alone = (
        Trainer(cohort, small(cohort), dataclasses.replace(later, frozen_recognisers=n))
        for n in (2, 0)
    )
    same = []
    for _ in range(4):
        with_them.step(), alone.step()
        same.append(
            torch.equal(
                with_them.average["decoder.dense.weight"], alone.average["decoder.dense.weight"]
            )
        )
    assert same == [True, True, True, False]


def test_the_frozen_recognisers_know_the_training_patients_and_differ():
    cohort = make_cohort().of("train")
    one, two = Trainer(
        cohort, small(cohort), dataclasses.replace(CONFIG, recogniser_epochs=60)
    ).recognisers
    images = to_tensor(cohort.images)
    for network in (one, two):
        assert (
            network(images).argmax(dim=1).numpy() == cohort.patient
        ).mean() >= 0.9  # chance is .25
    assert not torch.equal(one(images), two(images))


def test_the_frozen_recognisers_do_not_see_a_fine_checkerboard():
    """At half the size each pixel is the mean of four, of which two rise and two fall."""
    cohort = make_cohort(size=32).of("train")
    config = dataclasses.replace(CONFIG, frozen_recognisers=1)
    (network,) = Trainer(cohort, small(cohort), config).recognisers
    images = 0.5 * to_tensor(cohort.images)
    checkerboard = 0.1 * (1 - 2 * (torch.arange(32)[:, None] + torch.arange(32)).remainder(2))
    stripes = 0.1 * (1 - 2 * (torch.arange(32) // 2).remainder(2)).expand(32, 32)
    assert torch.allclose(network(images + checkerboard), network(images), atol=1e-4)
    assert not torch.allclose(network(images + stripes), network(images), atol=1e-2)


class Killed(Exception):
    pass


def test_recognisers_that_were_killed_while_training_go_on_to_the_same_end(tmp_path):
    cohort = make_cohort()
    whole = train(cohort, small(cohort), CONFIG)
    epochs = []

    def kill(epoch, *_):
        epochs.append(epoch)
        if len(epochs) == 3:  # two each: the first is finished, the second is not
            raise Killed

    with pytest.raises(Killed):
        frozen_recognisers(
            cohort, 2, CONFIG.recogniser_epochs, CONFIG.seed, torch.device("cpu"), tmp_path, kill
        )
    assert (tmp_path / "recogniser-0" / NAME).is_file()
    assert_same(tensors_of(train(cohort, small(cohort), CONFIG, tmp_path)), tensors_of(whole))


def test_the_learning_rate_is_constant_then_falls_to_zero():
    cohort = make_cohort()
    trainer = Trainer(
        cohort, small(cohort), dataclasses.replace(CONFIG, rounds=10, decay_from=0.5, warmup=0)
    )
    rates = []
    for _ in range(10):
        trainer.step()
        rates.append(
            trainer.generator_optimiser.param_groups[0]["lr"] / trainer.config.learning_rate
        )
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_the_average_is_an_exponential_one_of_the_generators_after_each_round():
    cohort = make_cohort()
    trainer = Trainer(cohort, small(cohort), dataclasses.replace(CONFIG, ema=0.5))
    slow = trainer.bare_generator.decoder.dense.weight.detach().clone()
    for r in range(1, 5):
        trainer.step()
        decay = min(0.5, r / (r + 9))
        slow = decay * slow + (1 - decay) * trainer.bare_generator.decoder.dense.weight.detach()
    assert torch.allclose(trainer.average["decoder.dense.weight"], slow, atol=1e-6)


def test_warming_up_teaches_the_discriminator_who_is_who():
    cohort = make_cohort().of("train")
    config = dataclasses.replace(
        CONFIG, warmup=150, learning_rate=2e-3, discriminator_rate=None, augmentation=None, rounds=0
    )
    trainer = train(cohort, small(cohort), config)
    trainer.bare_discriminator.eval()
    _, identity, task = trainer.bare_discriminator(to_tensor(cohort.images))
    assert (identity.argmax(1).numpy() == cohort.patient).mean() >= 0.9  # chance is .25
    assert (task.argmax(1).numpy() == cohort.diseased).mean() >= 0.9


def test_reconstruction_teaches_the_generator_to_show_each_image_as_its_own_patient():
    """Against the spread of the images around their mean, which a generator that knows nothing
    cannot beat."""
    cohort = make_cohort().of("train")
    config = dataclasses.replace(CONFIG, warmup=0, reconstruction=200, rounds=0)
    trainer = train(cohort, small(cohort), config)
    images = to_tensor(cohort.images)
    with torch.no_grad():
        shown, _, _ = trainer.bare_generator(
            images, torch.from_numpy(cohort.patient), torch.zeros(len(images), 8)
        )
    ignorant = (images - images.mean(dim=0)).abs().mean()
    assert float((shown - images).abs().mean()) < 0.5 * float(ignorant)


def test_on_four_grey_levels_it_learns_to_replace_the_identity():
    """The mean grey level names the patient, 40 apart: a nearest-level judge is exact. 32 draws of
    chance .25 reach .6 by luck less than once in 10,000; the training is seeded."""
    cohort = make_cohort(each=12)
    config = Training(
        rounds=400,
        batch=16,
        warmup=150,
        learning_rate=2e-3,
        ema=0.9,
        precision="no",
        augmentation=None,
        validate_every=1000,
        frozen_recognisers=0,
    )
    vgan = PPRLVGAN().fit(cohort.of("train"), architecture=small(cohort), config=config)
    releases = [
        vgan.privatize(cohort.of("val"), torch.Generator().manual_seed(s)) for s in range(8)
    ]
    shown = np.concatenate([release.images for release in releases])
    named = np.concatenate([release.contributors[:, 0] for release in releases])
    levels = np.array([np.median(cohort.images[cohort.patient == p]) for p in range(4)])
    judged = np.abs(np.median(shown.reshape(len(shown), -1), axis=1)[:, None] - levels).argmin(
        axis=1
    )
    assert (judged == named).mean() >= 0.6


# --- augmentation
# ----------------------------------------------------------------------------------------------------


def test_the_slope_penalty_is_the_mean_squared_gradient_of_the_logit_at_real_images():
    cohort = make_cohort().of("train")
    trainer = Trainer(
        cohort,
        small(cohort),
        Training(batch=4, precision="no", augmentation=None, frozen_recognisers=0),
    )
    trainer.bare_discriminator.eval()  # without dropout both sides see the same network
    images = trainer.draws.images[:3]
    step, steepness = 1e-2, 0.0
    for (
        image
    ) in images.double():  # the slow twin: finite differences, pixel by pixel, in double precision
        network = trainer.bare_discriminator.double()
        for pixel in range(image.numel()):
            shift = torch.zeros(image.numel(), dtype=torch.float64)
            shift[pixel] = step
            shift = shift.view_as(image)
            both = torch.stack([image + shift, image - shift])
            with torch.no_grad():
                up, down = network(both)[0].double()
            steepness += float((up - down) / (2 * step)) ** 2 / len(images)
    trainer.bare_discriminator.float()
    assert float(squared_slope(trainer._real, images).detach()) == pytest.approx(
        steepness, rel=0.05
    )
    assert steepness > 0


def test_the_slope_penalty_reaches_the_discriminator_in_its_rounds_only():
    cohort = make_cohort().of("train")
    ends = {}
    for name, weight in (("without", 0.0), ("with", 10.0)):
        trainer = Trainer(
            cohort,
            small(cohort),
            Training(
                rounds=9,
                batch=4,
                r1=weight,
                r1_every=2,
                warmup=0,
                augmentation=None,
                precision="no",
                frozen_recognisers=0,
            ),
        )
        trainer.round = 1
        trainer.step()
        ends[name, 1] = {k: v.clone() for k, v in trainer.bare_discriminator.state_dict().items()}
        trainer.step()
        ends[name, 2] = {k: v.clone() for k, v in trainer.bare_discriminator.state_dict().items()}
    same = [
        all(torch.equal(ends["without", r][k], ends["with", r][k]) for k in ends["with", r])
        for r in (1, 2)
    ]
    assert same == [True, False]


def test_noise_is_of_another_strength_in_every_image_up_to_the_limit():
    flat = torch.zeros(2000, 1, 16, 16)
    quiet = {"shift": 0.0, "rotation": 0.0, "scale": 0.0, "contrast": 0.0, "brightness": 0.0}
    spread = (
        Augmentation(**quiet, noise=0.2)(flat, torch.Generator().manual_seed(0))
        .flatten(1)
        .std(dim=1)
    )
    # uniform on [0, .2]: mean .1 with a standard error of .2 / sqrt(12 * 2000) = .0013
    assert abs(float(spread.mean()) - 0.1) < 5 * 0.0013
    assert float(spread.min()) < 0.01
    assert 0.19 < float(spread.max()) < 0.25


def test_no_amount_of_distortion_is_none():
    images = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    still = Augmentation(0, 0, 0, 0, 0, noise=0)(images, torch.Generator().manual_seed(1))
    assert torch.allclose(still, images, atol=1e-5)


def test_a_shift_moves_the_image_and_gradients_flow_back():
    images = torch.zeros(64, 1, 32, 32)
    images[:, :, 16, 16] = 1
    images.requires_grad_()
    moved = Augmentation(0.25, 0, 0, 0, 0, noise=0)(images, torch.Generator().manual_seed(1))
    grid = torch.arange(32.0)
    weight = moved[:, 0] / moved[:, 0].sum(dim=(1, 2), keepdim=True)
    shift = torch.stack([(weight.sum(1) * grid).sum(1), (weight.sum(2) * grid).sum(1)]) - 16
    assert float(shift.abs().max()) <= 8.01  # a quarter of 32
    assert float(shift.abs().max()) >= 6  # 128 draws from U(-8, 8): all below 6 once in 10^16
    moved.sum().backward()
    assert float(images.grad.abs().sum()) > 0


def test_what_is_not_turned_keeps_its_sharp_pixels():
    """Noise has all its power at the finest scale: whole-pixel shifts keep it, interpolation takes
    a third."""
    noise = torch.randn(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    spread = {
        share: float(
            Augmentation(contrast=0, brightness=0, turned=share, noise=0)(
                noise, torch.Generator().manual_seed(1)
            ).std()
        )
        for share in (0.0, 0.5, 1.0)
    }
    assert abs(spread[0.0] / float(noise.std()) - 1) < 0.02  # mirrored borders repeat some pixels
    assert spread[1.0] < 0.75
    assert spread[1.0] < spread[0.5] < spread[0.0]


# --- resuming
# --------------------------------------------------------------------------------------------------------


def test_stopping_after_any_round_and_going_on_ends_at_the_same_place(tmp_path):
    cohort = make_cohort()
    whole = train(cohort, small(cohort), CONFIG)
    for stop in (1, 4):
        trainer = Trainer(cohort, small(cohort), CONFIG)
        trainer.warm_up()
        for _ in range(stop):
            trainer.step()
        folder = tmp_path / str(stop)
        folder.mkdir()
        trainer.save(folder)
        del trainer
        assert_same(tensors_of(train(cohort, small(cohort), CONFIG, folder)), tensors_of(whole))


SCRIPT = """
import sys; sys.path[:0] = [{root!r}, {tests!r}]
import torch; torch.set_num_threads(1)
from test_vgan_training import make_cohort, small, Training, train
cohort = make_cohort()
train(cohort, small(cohort), Training(**{config!r}), {folder!r}, checkpoint_minutes=0)
"""


def test_five_random_kills_end_where_an_undisturbed_training_ends(tmp_path):
    cohort = make_cohort()
    values = {
        "rounds": 28,
        "batch": 8,
        "warmup": 5,
        "seed": 5,
        "precision": "no",
        "validate_every": 1000,
        "frozen_recognisers": 1,
        "recogniser_epochs": 2,
    }
    torch.set_num_threads(1)
    whole = train(cohort, small(cohort), Training(**values))
    folder, chance, kills = tmp_path / "run", random.Random(7), 0
    script = SCRIPT.format(
        root=str(ROOT), tests=str(Path(__file__).parent), config=values, folder=str(folder)
    )
    reached = [0]
    while kills < 5:
        process = start_code(script)
        target = reached[-1] + chance.randint(1, 6)  # kill somewhere after this round was saved
        while process.is_alive() and round_of(folder) < target:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.02)
        process.kill()
        process.join()
        kills += 1
        reached.append(round_of(folder))
    assert reached == sorted(reached)
    assert 0 < reached[-1] < 28, "the kills came too late to test anything"
    assert_same(
        tensors_of(train(cohort, small(cohort), Training(**values), folder)), tensors_of(whole)
    )


def round_of(folder):
    try:
        found = read_checkpoint(folder)
    except FileNotFoundError:  # replaced between looking and opening
        return 0
    return 0 if found is None else found[1]["round"]


def test_a_finished_training_is_not_done_again(tmp_path):
    cohort = make_cohort()
    train(cohort, small(cohort), CONFIG, tmp_path)
    before = (tmp_path / NAME).stat().st_mtime_ns
    assert train(cohort, small(cohort), CONFIG, tmp_path).round == CONFIG.rounds
    assert (tmp_path / NAME).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("config", lambda cohort, config: (cohort, dataclasses.replace(config, rounds=7))),
        ("data", lambda cohort, config: (make_cohort(seed=1), config)),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_and_stays(tmp_path, what, change):
    cohort = make_cohort()
    train(cohort, small(cohort), CONFIG, tmp_path)
    before = (tmp_path / NAME).read_bytes()
    other, config = change(cohort, CONFIG)
    with pytest.raises(ValueError, match=f"another.*folder|{what}"):
        train(other, small(other), config, tmp_path)
    assert (tmp_path / NAME).read_bytes() == before


def test_a_damaged_checkpoint_is_named(tmp_path):
    cohort = make_cohort()
    train(cohort, small(cohort), CONFIG, tmp_path)
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=NAME):
        train(cohort, small(cohort), CONFIG, tmp_path)


def test_images_that_do_not_fit_the_architecture_are_refused():
    cohort = make_cohort()
    with pytest.raises(
        ValueError, match=r"reads uint8 images \(N, 32, 32\), grey ones, .*--size 32"
    ):
        Trainer(cohort, Architecture(4, 32, **WIDTHS), CONFIG)


# --- measuring
# -------------------------------------------------------------------------------------------------------


def test_the_curve_holds_what_the_judges_say_and_validating_changes_nothing():
    cohort = make_cohort()
    known = []

    def identity(images):  # a judge that always names patient 2
        known.append(images.shape)
        return torch.eye(4)[torch.full((len(images),), 2)]

    def disease(images):
        return torch.eye(2)[torch.zeros(len(images), dtype=torch.long)]

    train_images, val = cohort.of("train"), cohort.of("val")
    measure = validation(train_images, val, identity, disease)
    trainer = train(train_images, small(cohort), CONFIG, validate=measure)
    assert [row["round"] for row in trainer.curve] == [2, 4, 6]
    vgan = PPRLVGAN("random", trainer.averaged(), Pools.of(train_images))
    release = vgan.privatize(val, torch.Generator().manual_seed(0))
    assert trainer.curve[-1]["replacement"] == pytest.approx(
        (release.contributors == 2).mean(), abs=1e-4
    )
    assert trainer.curve[-1]["original"] == pytest.approx((val.patient == 2).mean(), abs=1e-4)
    assert trainer.curve[-1]["disease"] == pytest.approx((~val.diseased).mean(), abs=1e-4)
    assert_same(tensors_of(train(train_images, small(cohort), CONFIG)), tensors_of(trainer))


def coloured(cohort):
    """The same images, a colour that is its patient's in place of the grey."""
    tint = np.stack([255 - cohort.images, cohort.images, cohort.images // 2 + 60], axis=3)
    return dataclasses.replace(cohort, images=tint.astype(np.uint8))


def test_a_coloured_cohort_is_trained_on_and_privatised_in_colour():
    cohort = coloured(make_cohort())
    train_images, test = cohort.of("train"), cohort.of("test")
    architecture = Architecture.of(train_images, **WIDTHS)
    assert architecture.channels == 3
    trainer = Trainer(train_images, architecture, CONFIG)
    before = trainer.bare_generator.decoder.dense.weight.detach().clone()
    trainer.step()
    assert not torch.equal(trainer.bare_generator.decoder.dense.weight, before)
    assert trainer.generator_step().shape == (8, 3, 16, 16)
    vgan = PPRLVGAN("random", trainer.averaged(), Pools.of(train_images))
    assert vgan.decode_all(vgan.encode(test.images, torch.Generator())[:1]).shape == (
        1,
        4,
        16,
        16,
        3,
    )
    one_each = cohort.take(np.unique(cohort.patient, return_index=True)[1])
    for method, given in (
        (vgan, test),
        (Averaged(vgan, 3), test),
        (Blur(5), test),
        (KSame(2), one_each),
        (KSameSelect(2).fit(train_images), test),
        (KSameSelect(2, "release"), test),
        (RealOther().fit(train_images), test),
        (ClassMean().fit(train_images), test),
        (PriorSample(vgan), test),
    ):
        release = method.privatize(given, torch.Generator().manual_seed(0))
        assert release.images.shape[1:] == (16, 16, 3), method.name
        assert (release.rows_in(cohort) == given.row[release.source]).all()
        assert privatizer(release.method) is type(method)
    with pytest.raises(ValueError, match="PPRL-VGAN reads uint8 images .*colour"):
        vgan.encode(make_cohort().images)
    with pytest.raises(
        ValueError,
        match=r"reads uint8 images \(N, 16, 16, 3\), colour ones, not uint8 \(24, 16, 16\)",
    ):
        Trainer(make_cohort(), architecture, CONFIG)


def test_fit_gives_the_averaged_generator_in_evaluation_mode():
    cohort = make_cohort()
    generator = fit_generator(cohort, small(cohort), CONFIG)
    assert not generator.training
    assert all(p.dtype == torch.float32 for p in generator.parameters())


def test_bfloat16_stays_close_to_float32():
    """One generator step from the same state: the images differ by bfloat16's three digits, not
    more."""
    cohort = make_cohort()
    made = [
        Trainer(cohort, small(cohort), dataclasses.replace(CONFIG, precision=p)).generator_step()
        for p in ("no", "bf16")
    ]
    assert float((made[0] - made[1]).abs().mean()) < 0.05


# --- the entry point
# -------------------------------------------------------------------------------------------------


def launch(tmp_path, *before, rounds=4):
    cohort = make_cohort(each=8)
    cohort.save(tmp_path / "cohort.npz")
    command = [
        *before,
        str(ROOT / "data_scripts" / "train_weights.py"),
        "--cohort",
        str(tmp_path / "cohort.npz"),
        "--out",
        str(tmp_path / "out"),
        "--rounds",
        str(rounds),
        "--set",
        "batch=8",
        "--set",
        "latent=8",
        "--judge-epochs",
        "1",
        "--set",
        "encoder=[4,4,4,8]",
        "--set",
        "decoder=[8,8,4,4]",
        "--set",
        "discriminator=[4,4,4,8]",
        "--set",
        "warmup=2",
        "--set",
        "validate_every=2",
    ]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=300, check=False
    )


def test_the_entry_point_writes_weights_that_load(tmp_path):
    done = launch(tmp_path, sys.executable)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rounds/s" in done.stdout
    vgan = PPRLVGAN.load(tmp_path / "out" / "pprl-vgan")
    cohort = Cohort.load(tmp_path / "cohort.npz")
    assert (
        vgan.privatize(cohort, torch.Generator().manual_seed(0)).images.shape == cohort.images.shape
    )
    card = json.loads((tmp_path / "out" / "pprl-vgan.json").read_text())
    assert card["data_hash"] == cohort.hash()
    assert card["config"]["training"]["rounds"] == 4
    assert [row["round"] for row in card["curve"]["rounds"]] == [2, 4]
    assert all("seconds" not in row for row in card["curve"]["rounds"])
    assert card["private"] == weights.PRIVATE
    assert "train_weights.py" in card["command"]


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    done = launch(
        tmp_path,
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_cpu_threads_per_process",
        "1",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    PPRLVGAN.load(tmp_path / "out" / "pprl-vgan")
    folder = tmp_path / "out" / "pprl-vgan-training"
    tensors, state = read_checkpoint(folder, {"processes": 2})
    assert state["round"] == 4
    with pytest.raises(ValueError, match="other processes"):
        read_checkpoint(folder, {"processes": 1})
    assert len(tensors["random"]) == 2
    assert not torch.equal(*tensors["random"])  # each process draws its own images
    again = launch(
        tmp_path, sys.executable
    )  # one process cannot go on with two processes' training
    assert again.returncode == 2
    assert "processes" in again.stderr


def test_an_unknown_setting_is_an_error(tmp_path):
    make_cohort().save(tmp_path / "cohort.npz")
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "data_scripts" / "train_weights.py"),
            "--cohort",
            str(tmp_path / "cohort.npz"),
            "--out",
            str(tmp_path / "out"),
            "--set",
            "speed=9",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "speed=9" in done.stderr
