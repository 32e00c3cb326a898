"""Sign transfer: what is released is s + gain alpha (v - s), and nothing else of the source."""

import numpy as np
import pytest
import torch
from sign_scenes import noise_strangers, square_scenes
from small_cohorts import cohort_of

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import again, privatizers
from medpriv_lib.privatizers.sign_transfer import sign_transfer as module
from medpriv_lib.privatizers.sign_transfer.network import (
    Architecture,
    Network,
    Reading,
    mirrored_too,
)
from medpriv_lib.privatizers.sign_transfer.sign_transfer import Signs, SignTransfer

SIZE = 32


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Told(Network):
    """A network that says what it is told to: alpha and v from the image, as a rule."""

    def __init__(self, rule):
        super().__init__(Architecture(SIZE, 1))
        self.rule = rule

    def forward(self, x):
        return self.rule(x)


def dark_squares(x):
    """See a sign of full strength wherever an image is darker than 40."""
    alpha = (x < 40 / 127.5 - 1).float()
    return Reading(alpha, torch.full_like(x, 30 / 127.5 - 1), 0.4 + 0 * x.mean((1, 2, 3)))


def blind(x):
    return Reading(0 * x, x, 0.4 + x.mean((1, 2, 3)) / 10)


def method(rule=dark_squares, **settings):
    bank = settings.pop("strangers", noise_strangers())
    return SignTransfer(network=Told(rule), strangers=bank, **settings)


def cohort_with_signs(n=6, seed=1):
    scenes = square_scenes(n, SIZE, seed)
    cohort = cohort_of(scenes.images[:, 0], diseased=np.ones(n))
    return cohort, scenes.twins[:, 0], scenes.evidence[:, 0]


def test_blending_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    alpha, v, s = rng.uniform(0, 1, (3, 4, 8, 8)).astype(np.float32)
    alpha[0, :4], v, s = 0, 255 * v, 255 * s
    out = method(gain=1.3).blended(Signs(alpha, v, np.zeros(4)), s)
    for i in range(4):
        for row in range(8):
            for column in range(8):
                a = min(1.0, 1.3 * float(alpha[i, row, column]))
                level = s[i, row, column] + a * (v[i, row, column] - s[i, row, column])
                assert abs(out[i, row, column] - level) <= 0.5 + 1e-4


def test_calibration_and_gain_multiply():
    alpha, s = np.full((1, 8, 8), 0.25, np.float32), np.full((1, 8, 8), 100, np.float32)
    signs = Signs(alpha, np.zeros_like(alpha), np.zeros(1))
    chosen = method(gain=0.5)
    chosen.calibration = 1.2
    assert (chosen.blended(signs, s) == 85).all()


def test_where_no_sign_is_read_the_release_is_the_stranger_bit_by_bit():
    cohort, _, _ = cohort_with_signs()
    bank = noise_strangers()
    blank = method(blind, strangers=bank)
    release = blank.privatize(cohort, seeded(3))
    generator = seeded(3)
    who = bank.choose(len(cohort), generator)
    least, most = bank.ratio.min(), bank.ratio.max()
    free = least + (most - least) * torch.rand(len(cohort), generator=generator).numpy()
    np.testing.assert_array_equal(release.images, np.rint(bank.shown(who, free)).astype(np.uint8))
    # other sources, same draw: the same release, as nothing of the source is in it
    other = blank.privatize(cohort_of(255 - cohort.images), seeded(3))
    np.testing.assert_array_equal(release.images, other.images)
    # with its pupil kept, the source does show
    kept = method(blind, pupil="kept", strangers=bank)
    assert (
        kept.privatize(cohort, seeded(3)).images
        != kept.privatize(cohort_of(255 - cohort.images), seeded(3)).images
    ).any()


def test_image_and_twin_get_the_same_stranger():
    cohort, twin, evidence = cohort_with_signs()
    transfer = method(pupil="kept")
    one = transfer.privatize(cohort, seeded(5)).images
    other = transfer.privatize(cohort_of(twin), seeded(5)).images
    np.testing.assert_array_equal(one[~evidence], other[~evidence])
    assert (one[evidence] == 30).all()
    # the generator decides: another state, other strangers
    assert (transfer.privatize(cohort, seeded(6)).images[~evidence] != one[~evidence]).any()


def test_nobody_is_shown_twice_in_one_release():
    cohort, _, _ = cohort_with_signs(9)
    images = method(blind).privatize(cohort, seeded()).images
    assert len(np.unique(images.reshape(9, -1), axis=0)) == 9
    more, _, _ = cohort_with_signs(12)
    with pytest.raises(
        NotApplicable, match="12 releases .* the bank holds 9: nobody is shown twice"
    ):
        method(blind, pupil="quantised", step=0.5).privatize(more, seeded())


def test_pupils_are_kept_freed_quantised_and_fixed():
    read, free = np.array([0.27, 0.44, 0.05]), np.array([0.5, 0.5, 0.6])
    found = np.array([True, False, False])
    shown = {pupil: method(pupil=pupil)._pupils(read, found, free) for pupil in ("kept", "freed")}
    np.testing.assert_allclose(shown["kept"], [0.27, 0.44, module.LEAST], rtol=1e-6)
    np.testing.assert_allclose(shown["freed"], [0.27, 0.5, 0.6], rtol=1e-6)
    steps = method(pupil="quantised", step=0.1)._pupils(read, found, free)
    np.testing.assert_allclose(steps, [0.3, 0.4, 0.2], rtol=1e-6)
    fixed = method(pupil="fixed", size=0.45)._pupils(read, found, free)
    np.testing.assert_allclose(fixed, [0.45, 0.45, 0.45], rtol=1e-6)


def test_a_pupil_of_one_size_says_nothing_about_the_source():
    def wide(x):
        return Reading(torch.zeros_like(x), x, 0.25 + 0.3 * (x.mean((1, 2, 3)) > 0))

    cohort, _, _ = cohort_with_signs()
    other = cohort_of(255 - cohort.images)
    for pupil, same in (("fixed", True), ("kept", False)):
        transfer = method(wide, pupil=pupil)
        shown = [transfer.privatize(one, seeded(3)).images for one in (cohort, other)]
        assert (shown[0] == shown[1]).all() == same


def test_faint_readings_are_left_out_where_an_image_has_nothing_else():
    def faint(x):
        return Reading(torch.full_like(x, 0.04), x, 0.4 + 0 * x.mean((1, 2, 3)))

    cohort, _, _ = cohort_with_signs()
    plain = method(blind).privatize(cohort, seeded()).images
    np.testing.assert_array_equal(method(faint).privatize(cohort, seeded()).images, plain)
    assert (method(faint, floor=0.0).privatize(cohort, seeded()).images != plain).any()


def test_nobody_contributes_and_the_release_says_how_it_was_made():
    cohort, _, _ = cohort_with_signs()
    transfer = method(gain=1.1)
    release = transfer.privatize(cohort, seeded(2))
    assert release.contributors.shape == (len(cohort), 0)
    np.testing.assert_array_equal(release.source, np.arange(len(cohort)))
    made_again = again(release, Resources(trained={"sign-transfer": transfer}))
    np.testing.assert_array_equal(made_again.privatize(cohort, seeded(2)).images, release.images)
    assert privatizers()["sign-transfer"] is SignTransfer


def test_the_study_runs_it_on_cohorts_of_the_second_version_alone():
    assert {row.settings["pupil"] for row in SignTransfer.compared} == {
        "freed",
        "kept",
        "quantised",
        "fixed",
    }
    assert all(row.needs_visits and row.random for row in SignTransfer.compared)


@pytest.mark.parametrize("shape", [(2, 16, 16), (2, SIZE, SIZE, 3), (2, SIZE, SIZE + 8)])
def test_other_images_are_refused_with_a_remedy(shape):
    cohort = cohort_of(np.zeros((2, SIZE, SIZE)))
    images = np.zeros(shape, np.uint8)
    object.__setattr__(cohort, "images", images)
    with pytest.raises(NotApplicable, match=r"sign transfer reads uint8 images .*; prepare"):
        method().privatize(cohort, seeded())


def test_a_bank_of_another_size_is_refused():
    cohort, _, _ = cohort_with_signs()
    with pytest.raises(NotApplicable, match="render a bank of that size"):
        method(strangers=noise_strangers(size=16)).privatize(cohort, seeded())


def test_settings_and_a_missing_network_are_refused():
    with pytest.raises(ValueError, match="pupil must be kept or freed or quantised or fixed"):
        SignTransfer(pupil="gone")
    with pytest.raises(ValueError, match="gain must be at most 2"):
        SignTransfer(gain=3.0)
    with pytest.raises(ValueError, match="has no network yet"):
        SignTransfer().read(np.zeros((1, SIZE, SIZE), np.uint8))


def card():
    return {
        "kind": "sign-transfer", "data_hash": "0" * 16, "config": {}, "seed": 0, "command": "",
        "metrics": {}, "curve": {},
    }  # fmt: skip


def test_weights_are_read_as_they_were_written(tmp_path):
    torch.manual_seed(0)
    cohort, _, _ = cohort_with_signs()
    network = Network(Architecture(SIZE, 4)).eval()
    bank = noise_strangers()
    made = SignTransfer(network=network, calibration=1.14, strangers=bank)
    made.save(tmp_path / "sign-transfer", card())
    ready = SignTransfer.ready(
        Resources(weights=tmp_path, trained={"strangers": bank}), pupil="kept", floor=0.0
    )
    assert ready.calibration == 1.14
    rounded = made.halved()
    rounded.pupil, rounded.floor = "kept", 0.0
    np.testing.assert_array_equal(
        ready.privatize(cohort, seeded()).images, rounded.privatize(cohort, seeded()).images
    )
    bank.save(tmp_path / "strangers.npz")
    other = SignTransfer.ready(Resources(weights=tmp_path))
    np.testing.assert_array_equal(other.strangers.images, bank.images)


def test_a_missing_bank_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module.weights, "FOLDER", tmp_path)
    module.shipped_strangers.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"no such bank of strangers; .*render_strangers"):
        method(strangers=None).privatize(cohort_with_signs()[0], seeded())


def test_mirrored_too_weighs_what_is_seen():
    def left_half(x):
        alpha = torch.zeros_like(x)
        alpha[..., : SIZE // 2] = 0.8
        return Reading(alpha, torch.where(alpha > 0, 0.5, -1.0), torch.full((len(x),), 0.4))

    mean = mirrored_too(Told(left_half), torch.zeros(2, 1, SIZE, SIZE))
    assert torch.allclose(mean.alpha, torch.tensor(0.4))
    assert torch.allclose(mean.v, torch.tensor(0.5))  # the half that sees nothing has no say


def test_a_bottleneck_takes_only_its_levels():
    torch.manual_seed(0)
    network = Network(Architecture(SIZE, 4, levels=5))
    torch.nn.init.normal_(network.out.weight)
    reading = network(torch.randn(4, 1, SIZE, SIZE))
    for one, low, high in ((reading.alpha, 0, 1), (reading.v, -1, 1)):
        steps = (one - low) / (high - low) * 4
        assert torch.allclose(steps, steps.round(), atol=1e-5)
        assert len(steps.round().unique()) > 2
    reading.alpha.sum().backward()  # the rounding does not stop the gradient
    assert network.out.weight.grad.abs().sum() > 0


def test_alpha_below_the_dead_zone_is_nothing():
    torch.manual_seed(0)
    network = Network(Architecture(SIZE, 4, dead=0.1))
    reading = network(torch.randn(2, 1, SIZE, SIZE))
    assert (reading.alpha == 0).all()  # it begins near sigmoid(-3) = .047


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        Architecture(60)
    with pytest.raises(ValueError, match="levels 1"):
        Architecture(levels=1)


def test_fine_tuning_says_what_it_cannot_do():
    cohort, _, _ = cohort_with_signs()
    with pytest.raises(ValueError, match="no image is labelled healthy"):
        method().fit(cohort)
    with pytest.raises(ValueError, match="at least one of each"):
        method().fit(cohort, steps=0)
