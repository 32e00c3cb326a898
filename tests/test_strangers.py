"""Strangers: invented eyes, nobody twice, the pupil that is wanted, the same draw for image and twin."""

import math

import numpy as np
import pytest
import torch

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.privatizers.rubber_sheet import OFF, iris_radius, rubber_sheet
from medpriv_lib.privatizers.strangers import Strangers, render_strangers


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def bank():
    """Return two rendered strangers."""
    return render_strangers(2, seed=3, workers=1)


def noise_bank(people=7, size=16, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (2 * people, size, size), dtype=np.uint8)
    return Strangers(images, np.tile(np.float32([0.3, 0.5]), people))


def cubic(t, a=-0.75):
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def mirrored(i, n):
    """Return the row that stands for row i where the image mirrors at the outer edge of its pixels."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


def slow_sheet(image, p, q):
    """The rubber sheet pixel by pixel, sixteen neighbours each."""
    n = len(image)
    radius, middle = iris_radius(n), (n - 1) / 2
    out = np.zeros((n, n))
    for row in range(n):
        for column in range(n):
            x, y = (column - middle) / radius, (row - middle) / radius
            wander = max(0.0, 1 - math.hypot(x, y))
            cx, cy = OFF[0] * wander, OFF[1] * wander
            r = math.hypot(x - cx, y - cy)
            if r > 1:
                source = r
            elif r < q:
                source = r * p / q
            else:
                source = p + (r - q) * (1 - p) / (1 - q)
            sx = (cx + (x - cx) * source / r) * radius + middle
            sy = (cy + (y - cy) * source / r) * radius + middle
            left, top = math.floor(sx), math.floor(sy)
            for i in range(top - 1, top + 3):
                for j in range(left - 1, left + 3):
                    weight = cubic(sy - i) * cubic(sx - j)
                    out[row, column] += weight * image[mirrored(i, n), mirrored(j, n)]
    return out


@pytest.mark.parametrize(("p", "q"), [(0.3, 0.5), (0.5, 0.25), (0.4, 0.4)])
def test_rubber_sheet_equals_its_slow_twin(p, q):
    image = np.random.default_rng(1).uniform(0, 255, (32, 32))
    fast = rubber_sheet(
        torch.from_numpy(image)[None],
        torch.tensor([p], dtype=torch.float64),
        torch.tensor([q], dtype=torch.float64),
    )[0].numpy()
    inside = slice(2, -2)  # at the border torch reflects the place, the twin the pixels
    np.testing.assert_allclose(
        fast[inside, inside], slow_sheet(image, p, q)[inside, inside], atol=1e-6
    )


def test_a_pupil_of_the_wanted_size_is_left_alone(bank):
    same = bank.shown(bank.person, bank.ratio)
    # the nearest of a stranger's two images is the one itself
    assert np.abs(same - bank.images).max() < 0.01


def test_the_pupil_gets_the_wanted_size(bank):
    radius = iris_radius(64)
    for wanted in (0.25, 0.4, 0.6):
        shown = bank.shown(np.array([0, 1]), np.full(2, wanted))
        # the area of dark pixels; at most 60 of them lie under reflections
        for eye in shown:
            dark = (eye[14:50, 14:50] < 45).sum()
            low, high = (np.pi * (wanted * radius + d) ** 2 for d in (-0.7, 0.7))
            assert low - 60 < dark < high


def test_strangers_are_healthy_looking_eyes_of_two_pupils(bank):
    assert bank.images.shape == (4, 64, 64)
    assert len(bank) == 2
    small, wide = bank.ratio[::2], bank.ratio[1::2]
    assert (small < 0.38).all()
    assert (wide > 0.4).all()
    # one capture: outside the iris the two images of a stranger are equal
    np.testing.assert_array_equal(bank.images[0, :8], bank.images[1, :8])


def test_strangers_are_nobody_of_the_cohort(bank):
    cohort = default_cohort()
    away = np.abs(cohort.images[:, None].astype(np.int16) - bank.images[None]).mean(axis=(2, 3))
    # two captures of one person differ by about as much as captures of two: equality is what must
    # not happen
    assert away.min() > 4


def test_the_same_seed_gives_the_same_bank_with_any_workers(bank):
    again = render_strangers(2, seed=3, workers=2)
    np.testing.assert_array_equal(again.images, bank.images)
    np.testing.assert_array_equal(again.ratio, bank.ratio)
    assert (render_strangers(1, seed=4, workers=1).images != bank.images[:2]).any()


def test_nobody_twice_in_one_set():
    bank = noise_bank(7)
    for seed in range(20):
        assert sorted(bank.choose(7, seeded(seed))) == list(range(7))
        assert len(set(bank.choose(4, seeded(seed)))) == 4
    assert len(bank.choose(0, seeded(0))) == 0
    with pytest.raises(NotApplicable, match="8 releases .* holds 7: nobody is shown twice"):
        bank.choose(8, seeded(0))


def test_every_stranger_is_as_likely():
    bank = noise_bank(5)
    drawn = np.array([bank.choose(1, seeded(s))[0] for s in range(2000)])
    # binomial(2000, 1/5) has standard deviation 17.9; five of them either side
    assert np.abs(np.bincount(drawn, minlength=5) - 400).max() < 5 * 17.9


def test_the_generator_decides_and_not_the_ratio():
    bank = noise_bank()
    one, other = seeded(5), seeded(5)
    narrow = bank.draw(6, np.full(6, 0.3), one)
    bank.draw(6, np.full(6, 0.5), other)
    np.testing.assert_array_equal(
        narrow, bank.shown(bank.choose(6, seeded(5)), np.full(6, 0.3, np.float32))
    )
    assert torch.equal(one.get_state(), other.get_state())


def test_the_nearer_of_two_images_is_stretched():
    bank = noise_bank()
    near = bank.shown(np.array([2]), np.array([0.49]))[0]
    from_wide = rubber_sheet(
        torch.from_numpy(bank.images[5].astype(np.float32))[None],
        torch.tensor([0.5]),
        torch.tensor([0.49]),
    )[0].clamp(0, 255)
    np.testing.assert_array_equal(near, from_wide.numpy())


def test_a_bank_is_read_as_it_was_written(tmp_path):
    bank = noise_bank()
    bank.save(tmp_path / "bank.npz")
    again = Strangers.load(tmp_path / "bank.npz")
    for key in ("images", "ratio", "person"):
        np.testing.assert_array_equal(getattr(again, key), getattr(bank, key))


def test_a_bank_of_one_image_each(tmp_path):
    images = noise_bank().images
    bank = Strangers(images, np.full(14, 0.4, np.float32), np.arange(14))
    assert len(bank) == 14
    bank.save(tmp_path / "bank.npz")
    np.testing.assert_array_equal(Strangers.load(tmp_path / "bank.npz").images, images)


def test_refusals(tmp_path):
    bank = noise_bank()
    with pytest.raises(ValueError, match="not two of each stranger"):
        Strangers(bank.images[:3], bank.ratio[:3])
    with pytest.raises(ValueError, match="square grey uint8"):
        Strangers(bank.images.astype(np.float32), bank.ratio)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Strangers(bank.images, bank.ratio * 3)
    with pytest.raises(ValueError, match="need 3 pupil ratios"):
        bank.draw(3, np.full(2, 0.4), seeded())
    with pytest.raises(ValueError, match="numbered as in the bank"):
        bank.shown(np.array([99]), np.array([0.4]))
    with pytest.raises(ValueError, match="take at least one"):
        render_strangers(0, 0)
    with pytest.raises(FileNotFoundError, match="render_strangers"):
        Strangers.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", kind="cohort", version=np.int64(1))
    with pytest.raises(ValueError, match="no strangers file"):
        Strangers.load(tmp_path / "other.npz")
