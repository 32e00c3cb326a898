"""Code reading: what a generator keeps of an image is read back and compared with originals."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_t
from toy_generator import CODE, LinearGenerator, coded_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.code_reading import codes_of, read, to_eyes, to_itself, with_source
from medpriv_lib.attacks.codes import TAIL, log_density, population, ridge, seen
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.towers import Schedule, identities
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.privatizers.blur import Blur

SHORT = Schedule(steps=2, rate=1e-3, batch=16)
SMALL = Budget(SHORT, SHORT, SHORT, code_decodes=600, code_errors=200)
NAMES = ("code reading", "named by code")


def setting_of(cohort, method, budget=SMALL, draws=1):
    test, rest = np.flatnonzero(cohort.split == "test"), np.flatnonzero(cohort.split != "test")
    known = method.privatize(cohort.take(rest), seeded(0, "known"))
    scenes = []
    for number in range(draws):
        release = method.privatize(cohort.take(test), seeded(0, "release", number))
        lent = release.contributors
        scenes.append(
            Scene(cohort, release.images, test, known.images, rest, lent, known.contributors)
        )
    team = Attackers(cohort, budget=budget, shipped=False)
    return Setting(scenes, team, method.name, {}, type(method), maker=method)


def test_a_code_that_is_shown_is_read_and_leads_to_its_source_and_its_patient():
    cohort, _ = coded_cohort(patients=60)
    setting = setting_of(cohort, LinearGenerator(60, sigma=0.1))
    linked, named = run(setting, NAMES)
    assert linked.measures["own_auc"] > 0.97
    assert linked.measures["linkage_auc"] > 0.9
    assert named.measures["rank1"] > 0.5
    assert named.chance["rank1"] == pytest.approx(1 / 60)
    assert {"healthy", "diseased"} == set(linked.by_label) == set(named.by_label)
    for label in linked.by_label.values():
        value, low, high = label["own_auc"]
        assert low <= value <= high
        assert value > 0.9
    right = cohort.patient[linked.linked[:, 1]] == setting.scene.patient
    assert right.mean() > 0.5
    assert (linked.linked[:, 1] != setting.scene.source).all()
    for found in (linked, named):  # of 360 originals, and of the 60 that were released
        assert found.measures["rank5_own"] >= found.measures["rank1_own"] > 0.9
        assert found.measures["rank1_sources"] >= found.measures["rank1_own"]
        assert found.chance["rank5_own"] == pytest.approx(5 / 360)
        assert found.chance["rank1_sources"] == pytest.approx(1 / 60)
        low, high = found.intervals["rank1_own"]
        assert low <= found.measures["rank1_own"] <= high
        assert {"rank1_own", "rank5_own"} <= set(found.by_label["diseased"])
    assert "rank1" in named.by_label["healthy"]


def test_the_place_of_the_source_is_that_of_the_slow_twin():
    """Scores of few values, so that many originals share a place."""
    cohort, _ = coded_cohort(patients=8, each=4)
    source = np.flatnonzero(cohort.split == "test")[::-1]
    rng = np.random.default_rng(3)
    likely = rng.integers(0, 4, (len(source), len(cohort))).astype(float)
    scene = SimpleNamespace(cohort=cohort, source=source, patient=cohort.patient[source])
    before = Finding("one", "nothing.", {"x": 0.5}, by_label={"healthy": {"x": (0.5, 0.4, 0.6)}})
    found = with_source(before, likely, scene)

    def slow(row, candidates, within):
        mine = likely[row, source[row]]
        above = sum(likely[row, c] > mine for c in candidates)
        level = sum(likely[row, c] == mine for c in candidates)
        return sum(above <= place < above + level for place in range(within)) / level

    for among, candidates in (("own", range(len(cohort))), ("sources", source.tolist())):
        for within in (1, 5):
            each = [slow(row, candidates, within) for row in range(len(source))]
            key = f"rank{within}_{among}"
            assert found.measures[key] == pytest.approx(np.mean(each))
            assert found.chance[key] == pytest.approx(within / len(candidates))
            for label, ill in (("healthy", False), ("diseased", True)):
                mine = [
                    one
                    for one, row in zip(each, source, strict=True)
                    if cohort.diseased[row] == ill
                ]
                assert found.by_label[label][key][0] == pytest.approx(np.mean(mine))
    assert found.measures["x"] == 0.5
    assert found.by_label["healthy"]["x"] == (0.5, 0.4, 0.6)


def test_where_the_code_has_nothing_of_the_image_the_attack_guesses():
    """240 patients, one image each: an area that means nothing has a standard deviation of .289 /
    sqrt(240) = .019 around .5; a rank 1 of 1 / 240 expects one hit, more than seven come in under
    one of 90,000 trials."""
    cohort, _ = coded_cohort(patients=240, each=4)
    linked, named = run(setting_of(cohort, LinearGenerator(240, looks=False)), NAMES)
    assert abs(linked.measures["own_auc"] - 0.5) < 4 * 0.019
    assert abs(linked.measures["linkage_auc"] - 0.5) < 4 * 0.019
    assert named.measures["rank1"] <= 7 / 240
    assert linked.measures["rank1_sources"] <= 7 / 240
    assert linked.measures["rank1_own"] <= 7 / 240  # guessing: one of 960


def test_the_reader_finds_codes_and_its_errors_are_those_of_unseen_releases():
    cohort, _ = coded_cohort()
    method = LinearGenerator(24, sigma=0.3)
    reader = codes_of(setting_of(cohort, method)).reader
    z = torch.randn(300, CODE, generator=seeded(0, "z"))
    lent = method.lend(cohort.take(np.arange(300) % len(cohort)), seeded(0, "lent"))
    from medpriv_lib.core.pixels import to_uint8

    images = to_uint8(method.decode(z, torch.from_numpy(lent[:, 0])))
    told = reader.read(images)
    error = ((told.z - z.numpy()) ** 2).mean()
    assert error < 0.05
    # the corrections help, or leave what the linear reader says
    assert error <= ((reader.linear(images).z - z.numpy()) ** 2).mean() * 1.01
    assert error < 3 * np.diag(reader.error).mean()
    assert (told.weight.argmax(axis=1) == lent[:, 0]).mean() > 0.95


def test_the_densities_are_those_of_the_slow_twins():
    cohort, _ = coded_cohort(patients=8, each=4)
    setting = setting_of(cohort, LinearGenerator(8))
    codes, eye = codes_of(setting), identities(cohort)
    z, source = read(setting).z[:3], setting.scene.source[:3]
    spread, error = codes.spread, codes.error
    constant = multivariate_t(spread.mean, spread.whole + error, df=TAIL).logpdf(z) - log_density(
        z, spread.mean, spread.whole + error
    )
    np.testing.assert_allclose(constant, constant[0])  # of the distribution, not of the point

    def slow(point, middle, around):
        base = multivariate_t(spread.mean, spread.whole + error, df=TAIL).logpdf(point)
        return multivariate_t(middle, around, df=TAIL).logpdf(point) - base

    itself = to_itself(codes, z)
    everything = np.arange(len(cohort))
    eyes = to_eyes(codes, z, source, eye, everything)
    for n in range(3):
        for row in range(len(cohort)):
            around = np.diag(codes.sigma[row].astype(float) ** 2) + error
            assert itself[n, row] == pytest.approx(slow(z[n], codes.mean[row], around), abs=1e-3)
            rest = [r for r in everything if eye[r] == eye[row] and r != source[n]]
            # the posterior of the eye by precisions: another way than by gains
            precision = np.linalg.inv(spread.between)
            inner = np.linalg.inv(spread.within)
            left = np.linalg.inv(precision + len(rest) * inner)
            middle = spread.mean + left @ inner @ (codes.mean[rest] - spread.mean).sum(axis=0)
            around = left + spread.within + spread.noise + error
            assert eyes[n, row] == pytest.approx(slow(z[n], middle, around), abs=1e-3)


def test_both_forms_of_the_ridge_are_the_least_squares():
    rng = np.random.default_rng(0)
    for shape in ((40, 5), (5, 40)):
        x, y = rng.normal(size=shape), rng.normal(size=(shape[0], 3))
        whole = np.vstack([x, np.sqrt(0.7) * np.eye(shape[1])])
        slow = np.linalg.lstsq(whole, np.vstack([y, np.zeros((shape[1], 3))]), rcond=None)[0]
        np.testing.assert_allclose(ridge(x, y, 0.7), slow, atol=1e-9)


def test_codes_vary_over_eyes_and_within_them_as_they_were_made():
    _, code = coded_cohort(patients=400, each=5, within=0.5)
    found = population(code, np.full(code.shape, 0.2), np.repeat(np.arange(400), 5))
    np.testing.assert_allclose(np.diag(found.between), 1, atol=0.25)
    np.testing.assert_allclose(np.diag(found.within), 0.25, atol=0.03)
    np.testing.assert_allclose(found.noise, 0.04 * np.eye(CODE))
    with pytest.raises(NotApplicable, match="two other originals"):
        population(code[::5], code[::5], np.arange(400))


def test_colours_and_large_images_are_read_as_small_grey_ones():
    grey = np.random.default_rng(0).integers(0, 256, (2, 128, 128), dtype=np.uint8)
    assert seen(grey).shape == (2, 64 * 64)
    np.testing.assert_allclose(seen(np.stack([grey] * 3, 3)), seen(grey), atol=1e-6)
    first = grey[0, :2, :2].mean() / 127.5 - 1
    assert seen(grey)[0, 0] == pytest.approx(first, abs=1e-5)


def test_without_codes_or_weights_it_says_so():
    cohort, _ = coded_cohort(patients=8, each=4)
    why = run(setting_of(cohort, Blur(3)), ["code reading"])[0].note
    assert why == "not possible here: the method shows no image by a code that could be read"
    without = setting_of(cohort, LinearGenerator(8))
    nobody = Setting(without.scenes, without.attackers, "linear", {}, None)
    assert "cannot run the method" in run(nobody, ["code reading"])[0].note
    poor = setting_of(cohort, LinearGenerator(8), Budget(SHORT, SHORT, SHORT, code_decodes=4))
    assert "fewer than 8 own decodes" in run(poor, ["code reading"])[0].note


@pytest.mark.slow
def test_on_the_weights_that_ship_the_source_is_found_where_the_towers_see_nothing():
    """One draw of 359 images, read after fewer decodes than the study's; guessing is 0.5 and 0.01."""
    cohort = default_cohort()
    _, vgan, _ = load_weights(None, cohort)
    few = Budget(code_decodes=6000, code_errors=200)
    linked = run(setting_of(cohort, vgan, few), ["code reading"])[0]
    assert linked.measures["own_auc"] > 0.91
    assert linked.measures["own_tar_1"] > 0.18
    assert linked.measures["linkage_auc"] > 0.6
