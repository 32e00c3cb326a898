"""Colours at 128 pixels, from the training to the page: every verb, with networks that learn nothing."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_cohorts import parted, patterned_cohort

from medpriv_lib.attacks import towers
from medpriv_lib.attacks.budget import FULL, LARGEST, Budget
from medpriv_lib.attacks.cost import cost_of_attack, images_seen
from medpriv_lib.attacks.towers import Schedule, fit_originals
from medpriv_lib.cli import main
from medpriv_lib.cli.options import offered
from medpriv_lib.core import budgets
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.explanation.page import overlay
from medpriv_lib.learning.augment import augment
from medpriv_lib.pipeline.attack import attack, shortened
from medpriv_lib.pipeline.privatize import privatize
from medpriv_lib.pipeline.weights import fit_weights

SHORT = Schedule(steps=2, rate=1e-3, batch=8)
SMALL = Budget(
    originals=SHORT, released=SHORT, scratch=SHORT, restorer_epochs=1, restorer_pairs=8,
    gallery_runs=2, generators=2, generator_rounds=2, orders=20, code_decodes=32,
    code_errors=8, several=2,
)  # fmt: skip
GREY_ONLY = ("disentangled", "sign-transfer")  # their weights that ship are of grey eyes


def coloured(size=128, patients=6, each=4):
    """Six patients, whose patterns have a hue of their own."""
    grey = patterned_cohort(patients, each, size=size)
    hue = np.random.default_rng(1).uniform(0.5, 1, (patients, 3))
    images = (grey.images[..., None] * hue[grey.patient][:, None, None]).astype(np.uint8)
    diseased = grey.patient % 2 == 0
    return replace(grey, images=images, diseased=diseased, split=parted(patients, each))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coloured")
    cohort = coloured()
    cohort.save(folder / "c.npz")
    tiny = budgets.Budget(epochs=1, rounds=1, batch=4, draws=1)
    fit_weights(cohort, folder / "w", 0, tiny, "cpu", False)
    return folder, cohort


@pytest.mark.slow
def test_every_method_releases_colours_or_says_why_not(fitted):
    folder, cohort = fitted
    settings = {"blur": {"kernel": 21}, "k-same-select": {"k": 2}, "averaged": {"k": 2}}
    for method in offered():
        if method == "k-same":
            images = cohort.take(np.arange(0, len(cohort), 4))  # one of each patient
            release = privatize(images, method, k=2)
        elif method in GREY_ONLY:
            with pytest.raises((ValueError, NotApplicable, FileNotFoundError)):
                privatize(cohort.of("test"), method, gallery=cohort)
            continue
        else:
            release = privatize(
                cohort.of("test"), method, gallery=cohort, weights=folder / "w",
                **settings.get(method, {}),
            )  # fmt: skip
        assert release.images.shape[1:] == (128, 128, 3), method


@pytest.mark.slow
@pytest.mark.parametrize("method", ["blur", "pprl-vgan"])
def test_attackers_see_colours(fitted, method):
    folder, cohort = fitted
    how = {"kernel": 21} if method == "blur" else {"policy": "random"}
    release = privatize(cohort.of("test"), method, gallery=cohort, weights=folder / "w", **how)
    report = attack(release, cohort, weights=folder / "w", budget=SMALL)
    assert report.verdict()


@pytest.mark.slow
def test_a_decision_on_a_coloured_image_is_explained(fitted):
    folder, cohort = fitted
    cv2.imwrite(str(folder / "case.png"), cohort.images[3][..., ::-1])
    command = ["explain", folder / "case.png", "--no-localize", "--method", "k-same-select"]
    command += ["--k", 2, "--cases", 2, "--cohort", folder / "c.npz", "--weights", folder / "w"]
    assert main([str(word) for word in [*command, "--out", folder / "why.html"]]) == 0
    assert (folder / "why.html").stat().st_size > 5000


def test_orange_on_a_coloured_image_means_relevance_alone():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 255  # red is not relevance
    relevance = np.zeros((4, 4), np.float32)
    relevance[1, 2] = 1
    shown = overlay(image, relevance)
    assert shown.shape == (4, 4, 3)
    assert (shown[1, 2] == (255, 140, 0)).all()
    assert (np.delete(shown.reshape(-1, 3), 6, axis=0) == 85).all()


def arithmetic(budget, size):
    """Pixels that all networks of a budget see in training."""
    return [
        one.steps * one.batch * size**2
        for one in (budget.originals, budget.released, budget.scratch)
    ]


@pytest.mark.parametrize("size", [192, 256, 512, 1024])
def test_large_images_cost_an_attack_no_more_than_those_of_128(size):
    cut, most = FULL.within(size), arithmetic(FULL, LARGEST)
    for one, bound in zip(arithmetic(cut, size), most, strict=True):
        assert 0.8 * bound < one <= 1.02 * bound
    assert cut.originals.batch >= 32
    assert (cut.originals.steps == FULL.originals.steps) == (size <= 256)
    assert "affordable" in shortened(cut, FULL)


@pytest.mark.parametrize("size", [16, 64, 128])
def test_small_images_get_all_of_it(size):
    assert FULL.within(size) == FULL


def test_the_cost_of_an_attack_is_its_steps_times_a_timed_one():
    cohort = patterned_cohort(patients=4, images=10)
    cost = cost_of_attack(cohort, SMALL, FULL)
    assert (cost.size, cost.channels, cost.networks, cost.steps) == (16, 1, 9, 18)
    assert cost.share == pytest.approx(3 * 2 * 8 / (128 * (300 + 110 + 110)))
    assert cost.seconds > 0
    assert "at most 9 attackers, 18 steps of 8 images" in str(cost)
    assert cost_of_attack(cohort, SMALL, FULL, contributors=False).networks == 6


@pytest.mark.parametrize("shown", [12, 48])
def test_the_cost_counts_the_images_that_the_networks_of_an_attack_see(monkeypatch, shown):
    """Counted one by one where a network sees them: batches of few images are larger than asked."""
    cohort = patterned_cohort(patients=6, images=8)
    rows = np.arange(0, len(cohort), len(cohort) // shown)
    release = privatize(cohort.take(rows), "blur", kernel=3)
    seen = []

    def counted(batch, *others):
        seen.append(len(batch))
        return augment(batch, *others)

    monkeypatch.setattr(towers, "augment", counted)
    short = replace(SHORT, steps=12, batch=16)
    budget = replace(SMALL, originals=short, released=short)
    attack(release, cohort, budget=budget)
    assert len(seen) == 2 * 3 * 12
    told = images_seen([short, short], len(cohort), shown)
    assert told == pytest.approx(sum(seen), rel=0.15)
    assert told > 1.1 * 2 * 3 * 12 * 16  # what steps times batches would be


def test_a_trial_spends_a_part_and_keeps_what_is_no_effort():
    part = FULL.part(10)
    assert part.originals.steps == FULL.originals.steps // 10
    assert part.gallery_runs == max(2, FULL.gallery_runs // 10)
    assert (part.generator_size, part.orders) == (FULL.generator_size, FULL.orders)
    assert FULL.part(10**6).released.steps == 2
    assert FULL.part(10**6).released.batch == 32


@pytest.mark.parametrize("steps", [2, 3, 5, 7, 10])
def test_a_network_of_few_steps_can_be_trained(steps):
    cohort = patterned_cohort(patients=4, images=4)
    fit_originals(cohort.images, cohort.patient, 0, Schedule(steps=steps, rate=1e-3, batch=4))
