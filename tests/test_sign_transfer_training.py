"""How sign transfer is taught: scenes, losses, steps that can be resumed, and figures that can be
trusted."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from sign_scenes import noise, square_scenes
from small_cohorts import cohort_of

from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.data.synthetic.camera import HELD_OUT
from medpriv_lib.learning.reversal import reversed_gradient
from medpriv_lib.measures.evidence import evidence_kept
from medpriv_lib.privatizers.sign_transfer import distort, leakage, scenes, validation
from medpriv_lib.privatizers.sign_transfer.adversary import (
    Matcher,
    matching_loss,
)
from medpriv_lib.privatizers.sign_transfer.distort import Distortion
from medpriv_lib.privatizers.sign_transfer.fine_tuning import fine_tuned
from medpriv_lib.privatizers.sign_transfer.losses import Weights, change, kept, loss, wanted
from medpriv_lib.privatizers.sign_transfer.network import Architecture, Reading
from medpriv_lib.privatizers.sign_transfer.training import Held, Trainer, Training, train

SIZE = 32
SMALL = Architecture(SIZE, 8)
SHORT = Training(steps=60, batch=32, warmup=10, ema=0.95, rate=6e-3, precision="no")
STILL = Distortion(
    framed=0, zoomed=0, shift=0, contrast=0, brightness=0, gamma=1, blurred=0, noise=0
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def taught():
    """Return a network that reads dark squares."""
    return train(square_scenes(48), SMALL, dataclasses.replace(SHORT, steps=120)).averaged()


def pairs(count=12, seed=2):
    """Return sources (first eyes) with targets (third eyes); every third source is healthy."""
    held = Held(square_scenes(count, SIZE, seed), "cpu")
    rows = torch.arange(count)
    return held.pairs(rows, 0 * rows, 0 * rows + 2, rows % 3 == 0)


# --- scenes


@pytest.fixture(scope="module")
def one_scene(tmp_path_factory):
    """Return one rendered scene of each of two parts, and the folder that holds them."""
    folder = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "CHUNK", 1)
        made = [
            scenes.render_scenes(1, 5, part, folder, workers=1) for part in ("train", "held-out")
        ]
    return *made, folder


def test_a_scene_shows_the_same_signs_in_four_people(one_scene):
    scene, outside, _ = one_scene
    for one in (scene, outside):
        assert one.images.shape == (1, 4, 64, 64)
        differs = one.images != one.twins
        # noise is the same in image and twin: only signs differ, and strong ones lie in the mask
        assert differs.any()
        strong = np.abs(one.images.astype(int) - one.twins) > 16
        assert (strong & ~one.evidence).mean() < 0.002
        # four persons: no two of the eyes are alike
        for i in range(4):
            for j in range(i):
                assert np.abs(one.twins[0, i].astype(int) - one.twins[0, j]).mean() > 4
        assert one.kinds.any()
    assert outside.camera[0] in HELD_OUT
    assert (scene.images != outside.images).any()


def test_scenes_are_read_where_they_were_rendered(one_scene, monkeypatch):
    scene, _, folder = one_scene
    monkeypatch.setattr(scenes, "CHUNK", 1)
    monkeypatch.setattr(scenes, "_scene", lambda *_: pytest.fail("rendered again"))
    again = scenes.render_scenes(1, 5, "train", folder, workers=1)
    for key, value in vars(scene).items():
        np.testing.assert_array_equal(getattr(again, key), value)
    monkeypatch.setattr(scenes, "COHORT_SHARE", 0.9)
    with pytest.raises(ValueError, match="scenes of other settings"):
        scenes.render_scenes(1, 5, "train", folder, workers=1)


@pytest.mark.parametrize(("part", "all_of_them"), [("distractors", True), ("val", False)])
def test_one_part_has_the_most_distractors(part, all_of_them, monkeypatch):
    """Of everybody in that part, and of nobody in the others, where the share is drawn."""
    shares, draw = [], scenes.Identity.draw
    monkeypatch.setattr(
        scenes.Identity,
        "draw",
        lambda rng, people: shares.append(people.distractor_share) or draw(rng, people),
    )
    scenes._scene(0, 5, part, 64)
    assert len(shares) >= 4
    assert all(share == 0.5 for share in shares) if all_of_them else max(shares) < 0.5


def test_cameras_are_drawn_as_declared():
    rng = np.random.default_rng(0)
    names = np.array([scenes.draw_camera(rng, "train")[0] for _ in range(4000)])
    # binomial(4000, p) has standard deviations of 31 and 21; five of them either side
    assert abs((names == "cohort").sum() - 4000 * scenes.COHORT_SHARE) < 5 * 31
    assert abs((names == "first").sum() - 4000 * scenes.FIRST_SHARE) < 5 * 21
    outside = {scenes.draw_camera(rng, "held-out")[0] for _ in range(100)}
    assert outside == set(HELD_OUT)
    assert not outside & set(names)


def test_signs_of_every_kind_also_stand_alone():
    rng = np.random.default_rng(0)
    drawn = [scenes.draw_signs(rng) for _ in range(600)]
    shown = np.array([[bool(getattr(one, kind)) for kind in scenes.KINDS] for one in drawn])
    assert shown.any(axis=1).all()
    alone = shown[shown.sum(axis=1) == 1]
    assert (alone.sum(axis=0) >= 8).all()
    assert all(one.glaucoma for one in drawn)


def test_impossible_scenes_are_refused():
    with pytest.raises(ValueError, match="take at least one"):
        scenes.render_scenes(0, 0)
    with pytest.raises(ValueError, match="take at least one, of"):
        scenes.render_scenes(1, 0, "test")
    good = square_scenes(3)
    with pytest.raises(ValueError, match="`ratio` and `camera`"):
        dataclasses.replace(good, ratio=good.ratio[:2])


# --- what a step is taught by


def test_pairs_are_what_they_say():
    made = square_scenes(6)
    rows = torch.arange(6)
    batch = Held(made, "cpu").pairs(rows, rows % 2, rows % 2 + 2, rows < 2)
    for i in range(6):
        eye = i % 2
        x, t = (to_tensor(a[i, eye][None])[0] for a in (made.images, made.twins))
        assert torch.equal(batch.x[i], x)
        assert torch.equal(batch.t[i], t)
        assert torch.equal(batch.source[i], t if i < 2 else x)
        assert torch.equal(batch.y[i], to_tensor(made.images[i, eye + 2][None])[0])
        assert torch.equal(batch.s[i], to_tensor(made.twins[i, eye + 2][None])[0])
        np.testing.assert_array_equal(batch.mask[i, 0].bool().numpy(), made.evidence[i, eye])


def test_a_target_is_another_eye_with_open_lids(monkeypatch):
    held = Held(square_scenes(4), "cpu")
    seen = []
    monkeypatch.setattr(held, "pairs", lambda scene, i, j, healthy: seen.append((i, j, healthy)))
    held.draw(2000, 0.35, seeded())
    i, j, healthy = seen[0]
    assert (i != j).all()
    assert set(j.tolist()) == {2, 3}
    assert set(i.tolist()) == {0, 1, 2, 3}
    # binomial(2000, .35) has standard deviation 21
    assert abs(int(healthy.sum()) - 700) < 5 * 21


def slow_loss(reading, batch, weights):
    """The loss image by image and pixel by pixel, from its definition."""
    n, size = len(batch.x), batch.x.shape[-1]
    error = off = level = 0.0
    for k in range(n):
        x, t, y, s, m, o = (part[k, 0].double().numpy() for part in batch[1:7])
        a, v = reading.alpha[k, 0].double().numpy(), reading.v[k, 0].double().numpy()
        healthy = bool(batch.healthy[k])
        energy = top = square = 0.0
        for row in range(size):
            for column in range(size):
                delta = a[row, column] * (v[row, column] - s[row, column])
                near = m[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].max() > 0
                target = 0.0 if healthy or not near else y[row, column] - s[row, column]
                beside = o[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].max() > 0
                share = weights.hidden if beside and not near else 1.0
                square += share * (delta - target) ** 2
                level += abs(delta - target) / (n * size * size)
                sign = (x[row, column] - t[row, column]) * m[row, column]
                energy += sign**2
                top += delta * sign
        error += square / ((0 if healthy else energy) + weights.floor / 127.5**2) / n
        if not healthy and m.any():
            off += min(1.5, max(-1.5, top / energy - 1)) ** 2 / n
    pupil = float((reading.ratio - batch.ratio).abs().mean())
    sparse = float(reading.alpha.mean())
    return (
        error + weights.evidence * off + weights.level * level
        + weights.sparse * sparse + weights.pupil * pupil
    )  # fmt: skip


def test_the_loss_equals_its_slow_twin():
    batch, weights = pairs(5), Weights()
    generator = seeded(1)
    shape = batch.x.shape
    reading = Reading(
        torch.rand(shape, generator=generator),
        2 * torch.rand(shape, generator=generator) - 1,
        torch.rand(5, generator=generator),
    )
    assert float(loss(reading, batch, weights)) == pytest.approx(
        slow_loss(reading, batch, weights), rel=1e-4
    )


def test_e_is_the_studys():
    batch = pairs(6)
    delta = 0.4 * (batch.x - batch.t) + 0.01 * torch.randn(batch.x.shape, generator=seeded())
    levels = [np.rint((part[:, 0].numpy() + 1) * 127.5) for part in (batch.x, batch.t)]
    shown = delta[:, 0].double().numpy() * 127.5
    expected = evidence_kept(shown, 0 * shown, *levels, batch.mask[:, 0].bool().numpy())
    np.testing.assert_allclose(kept(delta, batch).numpy(), expected, rtol=1e-4)


def test_a_perfect_reading_costs_next_to_nothing():
    batch = pairs(6)
    seen = wanted(batch) != 0
    alpha = seen.float()
    perfect = Reading(alpha, batch.y, batch.ratio)
    assert torch.allclose(change(perfect, batch.s), wanted(batch))
    blind = Reading(0 * alpha, batch.y, batch.ratio)
    assert loss(perfect, batch, Weights()) < 0.2 * loss(blind, batch, Weights())


def test_distortions_leave_things_alone_or_move_them_together():
    x = to_tensor(noise(np.random.default_rng(0), 6, SIZE, SIZE))
    moved, grown = distort.moved(torch.cat([x, x], 1), STILL, seeded(3))
    mirrored = torch.tensor(
        [torch.allclose(m[0], e[0].flip(1), atol=1e-4) for m, e in zip(moved, x, strict=True)]
    )
    same = torch.tensor(
        [torch.allclose(m[0], e[0], atol=1e-4) for m, e in zip(moved, x, strict=True)]
    )
    assert (mirrored | same).all()
    assert mirrored.any()
    assert same.any()
    assert (grown == 1).all()
    assert torch.allclose(distort.lit(x, STILL, seeded()), x, atol=1e-5)
    both, _ = distort.moved(torch.cat([x, x], 1), Distortion(), seeded(4))
    assert torch.equal(both[:, 0], both[:, 1])
    assert (distort.lit(x, Distortion(), seeded()) - x).abs().mean() > 0.02


def test_a_zoomed_eye_grows_as_it_says():
    disc = torch.full((200, 1, SIZE, SIZE), -1.0)
    line = torch.arange(SIZE) - (SIZE - 1) / 2
    disc[:, :, line[:, None] ** 2 + line[None] ** 2 < 36] = 1.0
    moved, grown = distort.moved(disc, dataclasses.replace(STILL, zoomed=1.0), seeded())
    radius = (((moved[:, 0] + 1) / 2).sum((1, 2)) / math.pi).sqrt()
    start = (((disc[0, 0] + 1) / 2).sum() / math.pi).sqrt()
    assert torch.allclose(radius / start, grown, rtol=0.03)
    assert grown.min() < 0.84
    assert grown.max() > 1.2
    assert 0.8 - 1e-4 <= grown.min() <= grown.max() <= 1.25 + 1e-4


# --- training


def tensors_of(trainer):
    found = {"random": trainer.random.get_state()}
    for part, held in trainer._state().items():
        found |= {f"{part}.{key}": value for key, value in held.items()}
    return found


@pytest.mark.parametrize("adversary", [0.0, 0.1])
def test_a_killed_training_goes_on_to_the_same_end(tmp_path, adversary):
    made = square_scenes(8)
    config = dataclasses.replace(SHORT, steps=6, batch=8, adversary=adversary)
    whole = train(made, SMALL, config)
    half = Trainer(made, SMALL, config)
    for _ in range(3):
        half.step()
    half.save(tmp_path)
    resumed = train(made, SMALL, config, folder=tmp_path)
    assert resumed.step_number == 6
    expected, found = tensors_of(whole), tensors_of(resumed)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(value, found[key]), key
    with pytest.raises(ValueError, match="training with other config"):
        train(made, SMALL, dataclasses.replace(config, rate=1e-4), folder=tmp_path)
    with pytest.raises(ValueError, match="training with other data"):
        train(square_scenes(8, seed=5), SMALL, config, folder=tmp_path)


def test_training_leaves_the_global_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(square_scenes(4), SMALL, dataclasses.replace(SHORT, steps=2, batch=4))
    assert torch.equal(torch.rand(1), expected)


def test_scenes_of_another_size_are_refused():
    with pytest.raises(ValueError, match="render them in that size"):
        Trainer(square_scenes(2, 40), SMALL, SHORT)


def test_it_learns_to_read_signs_and_to_leave_the_healthy_alone(taught):
    unseen = square_scenes(24, seed=7)
    found = validation.read(taught, unseen, "cpu")
    row = validation.figures(found, unseen)
    assert 0.7 < row["e"] < 1.3
    assert row["auc"] > 0.95  # 48 squares at places of their own; guessing is .5
    assert row["missed"] == 0
    assert abs(row["other"]) < 0.3
    # who only knows the label shows everybody the same
    same = validation.evidence(validation.average(found), found, unseen)
    assert same["auc"] < 0.7
    assert same["e"] < 0.3
    true = validation.evidence(validation.ceiling(found), found, unseen)
    place = validation.evidence(validation.stencil(found), found, unseen)
    assert true["e"] == pytest.approx(1, abs=0.1)
    assert place["e"] > 0.7  # in these scenes a square looks like any other


def test_own_and_other_equal_their_slow_twin():
    rng = np.random.default_rng(0)
    n = 7
    scene = np.array([0, 1, 2, 3, 0, 1, 5])
    delta, sign = rng.normal(size=(2, n, 1, 4, 4))
    delta += 0.5 * sign
    found = validation._own_and_other(torch.from_numpy(delta), torch.from_numpy(sign), scene)
    others, wins = [], []
    for own in range(n):
        size = (sign[own] ** 2).sum()
        mine = (delta[own] * sign[own]).sum() / size
        for i in range(n):
            if scene[i] != scene[own]:
                others.append((delta[i] * sign[own]).sum() / size)
                wins.append(float(mine > others[-1]))
    assert found["other"] == pytest.approx(np.mean(others))
    assert found["auc"] == pytest.approx(np.mean(wins))


def test_the_gain_brings_e_nearest_to_one():
    made = square_scenes(8)
    held = Held(made, "cpu")
    rows = torch.arange(8)
    batch = held.pairs(rows, 0 * rows, 0 * rows + 2, rows < 0)
    alpha = 0.85 * batch.mask
    well = Reading(0 * alpha, batch.x, batch.ratio)
    found = validation.Read(batch, Reading(alpha, batch.x, batch.ratio), well, np.arange(8))
    gain = validation.best_gain(found, made)
    rest = [abs(validation.figures(found, made, g)["e"] - 1) for g in validation.GAINS]
    assert gain == pytest.approx(validation.GAINS[int(np.argmin(rest))], abs=0.01)
    assert validation.figures(found, made, gain)["e"] > validation.figures(found, made)["e"]


def test_trials_distort_sources_and_not_strangers(taught):
    made = square_scenes(6)
    plain = validation.read(taught, made, "cpu")
    for name, trial in validation.TRIALS.items():
        tried = validation.read(taught, made, "cpu", trial).batch
        assert torch.equal(tried.s, plain.batch.s), name
        assert not torch.equal(tried.x, plain.batch.x), name
    assert set(validation.report(taught, made, "cpu")) == {
        "all", "camera cohort", "camera first", *validation.TRIALS, "ceiling", "stencil", "average",
    }  # fmt: skip


# --- the opponent


def test_the_opponents_gradient_is_reversed():
    x = torch.tensor([2.0, -1.0], requires_grad=True)
    turned = reversed_gradient(x, 0.5)
    assert torch.equal(turned, x)
    (turned * torch.tensor([3.0, 4.0])).sum().backward()
    assert torch.equal(x.grad, torch.tensor([-1.5, -2.0]))


def test_labels_are_matched_among_themselves():
    scores = torch.tensor([[1.0, 9.0, 0.0], [9.0, 2.0, 9.0], [0.0, 9.0, 1.0]])
    healthy = torch.tensor([False, True, False])
    expected = (2 * math.log(1 + math.exp(-1)) + 0) / 3
    assert float(matching_loss(scores, healthy)) == pytest.approx(expected, rel=1e-5)
    assert Matcher()(torch.zeros(3, 1, SIZE, SIZE), torch.zeros(5, 1, SIZE, SIZE)).shape == (3, 5)


def test_the_opponent_finds_a_source_that_shows_and_none_that_does_not():
    made, unseen = square_scenes(60, seed=1), square_scenes(60, seed=2)
    aucs = []
    for changes in (lambda b: 0.3 * b.t, lambda b: 0 * b.t):
        matcher = leakage._taught(changes, Held(made, "cpu"), 60, 64, 0)
        aucs.append(leakage._auc(matcher, changes, Held(unseen, "cpu"), 0.0, 0))
    assert aucs[0] > 0.8
    assert aucs[1] == 0.5


# --- somebody's own images


def test_fine_tuning_quiets_healthy_images_and_keeps_what_was_read_in_others(taught):
    made = square_scenes(32, SIZE, 4)
    lined = made.twins[:, 1].copy()  # healthy eyes with a dark line that is no sign
    lined[:, 12:16] = 20
    images = np.concatenate([made.images[:, 0], lined])
    cohort = cohort_of(images, diseased=np.arange(64) < 32)
    tuned = fine_tuned(taught, cohort, steps=80, rate=2e-3)
    with torch.no_grad():
        before, after = (one(to_tensor(images)).alpha for one in (taught, tuned))
    assert before[32:].amax((1, 2, 3)).mean() > 0.3  # they were taken for signs
    assert after[32:].mean() < 0.5 * before[32:].mean()
    ill = torch.from_numpy(made.evidence[:, 0])
    assert after[:32, 0][ill].mean() > 0.5 * before[:32, 0][ill].mean()


def test_fine_tuning_without_labels_goes_on_as_before(taught):
    made = square_scenes(16, SIZE, 4)
    cohort = cohort_of(made.images[:, 0])
    with torch.no_grad():
        before = taught(to_tensor(cohort.images)).alpha
        kept_on = fine_tuned(taught, cohort, labelled=False, steps=20)(to_tensor(cohort.images))
    mask = torch.from_numpy(made.evidence[:, 0])
    assert (kept_on.alpha[:, 0][mask] - before[:, 0][mask]).abs().mean() < 0.15
