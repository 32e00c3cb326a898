"""Controls on invented strangers: what each lays on them, and nothing more."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cohorts_with_visits import SIZE, bank, confounded, untrained

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.controls import (
    IrisTransplant,
    Stencil,
    Stranger,
    Transplant,
    on_strangers,
)
from medpriv_lib.privatizers.controls.on_strangers import bank_of, pupils_of
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import again, privatizers
from medpriv_lib.privatizers.strangers import ONE_SIZE
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.views import iris_disc
from medpriv_lib.study.rows import methods


@pytest.fixture(scope="module")
def cohort():
    return confounded(patients=10)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_stranger_does_not_look_at_the_source(cohort):
    test, control = cohort.of("test"), Stranger(bank())
    one = control.privatize(test, seeded())
    other = control.privatize(replace(test, images=255 - test.images), seeded())
    np.testing.assert_array_equal(one.images, other.images)
    assert (control.privatize(test, seeded(1)).images != one.images).any()
    assert one.contributors.shape == (10, 0)
    assert len({image.tobytes() for image in one.images}) == 10


def test_a_kept_pupil_is_that_of_the_source_and_of_its_twin(cohort, monkeypatch):
    test, asked = cohort.of("test"), []
    monkeypatch.setattr(
        on_strangers,
        "pupils_of",
        lambda c: asked.append(c) or np.full(len(c), 0.41, np.float32),
    )
    strangers = bank()
    release = Stranger(strangers, "kept").privatize(test, seeded())
    wanted = strangers.shown(strangers.choose(10, seeded()), np.full(10, 0.41))
    np.testing.assert_array_equal(release.images, np.rint(wanted).astype(np.uint8))
    assert len(asked) == 1


def test_a_pupil_of_one_size_tells_nothing_of_the_source(cohort):
    test, strangers = cohort.of("test"), bank()
    release = Stranger(strangers, "fixed").privatize(test, seeded())
    wanted = strangers.shown(strangers.choose(10, seeded()), np.full(10, ONE_SIZE))
    np.testing.assert_array_equal(release.images, np.rint(wanted).astype(np.uint8))
    assert Stranger(strangers, "fixed").painting(test).ratio is None


def test_the_pupil_is_read_from_the_twin():
    from medpriv_lib.data.eyes.localize import locate
    from medpriv_lib.data.frame import frame_of_eye
    from medpriv_lib.data.synthetic import Capture, Identity, Pathology, render

    rng, small = np.random.default_rng(2), []
    who = Identity.draw(rng)
    for ratio in (0.3, 0.5):
        image = render(who, Pathology(), Capture(pupil_ratio=ratio))
        small.append(frame_of_eye(locate(image), right=False).cut(image, 64))
    twins = np.stack(small)
    cohort = confounded(patients=1, each=3, size=64).take(np.arange(2))
    cohort = replace(cohort, images=twins[::-1].copy(), twin=twins, evidence=None)
    found = pupils_of(cohort)
    assert found[0] == pytest.approx(0.3, abs=0.06)
    assert found[1] == pytest.approx(0.5, abs=0.06)


def test_a_transplant_is_the_stranger_and_the_signs(cohort):
    test, strangers = cohort.of("test"), bank()
    release = Transplant(strangers).privatize(test, seeded())
    alone = Stranger(strangers).privatize(test, seeded())
    signs = (test.images.astype(int) - test.twin) * test.evidence
    expected = np.clip(alone.images + signs, 0, 255)
    assert np.abs(release.images - expected).max() <= 1  # rounded once
    twins = Transplant(strangers).privatize(replace(test, images=test.twin), seeded())
    np.testing.assert_array_equal(twins.images, alone.images)
    with pytest.raises(NotApplicable, match="signs are not known"):
        Transplant(strangers).privatize(replace(test, twin=None), seeded())


def test_an_iris_transplant_is_the_source_inside_and_the_stranger_outside(cohort):
    test, strangers = cohort.of("test"), bank()
    release = IrisTransplant(strangers).privatize(test, seeded())
    alone = Stranger(strangers).privatize(test, seeded())
    inside, outside = iris_disc(SIZE, 0.85), ~iris_disc(SIZE, 1.1)
    np.testing.assert_array_equal(release.images[:, inside], test.images[:, inside])
    np.testing.assert_array_equal(release.images[:, outside], alone.images[:, outside])


def test_a_stencil_paints_the_mean_sign_as_strongly_as_the_judge_is_sure(cohort):
    train, test, strangers = cohort.of("train"), cohort.of("test"), bank()
    judge = untrained().disease
    release = Stencil(strangers, judge, strength=2.0).fit(train).privatize(test, seeded())
    alone = Stranger(strangers).strangers(test, seeded())
    rows = np.flatnonzero(train.diseased)
    mean = np.mean([train.images[r].astype(float) - train.twin[r] for r in rows], axis=0)
    sure = torch.softmax(logits(judge, test.images), 1)[:, 1].numpy()
    expected = np.stack([s + 2 * p * mean for s, p in zip(alone, sure, strict=True)])
    assert np.abs(release.images - np.clip(expected, 0, 255)).max() <= 0.51
    with pytest.raises(ValueError, match="call fit"):
        Stencil(strangers, judge).privatize(test, seeded())
    with pytest.raises(NotApplicable, match="twin"):
        Stencil(strangers, judge).fit(replace(train, twin=None))


def test_they_are_made_from_what_is_in_memory_or_on_disk(cohort, tmp_path, monkeypatch):
    strangers = bank(12)
    resources = Resources(cohort, None, {"strangers": strangers, "judges": untrained()})
    release = Stencil.ready(resources).privatize(cohort.of("test"), seeded())
    made = again(release, resources)
    assert made.settings == {"pupil": "freed", "strength": 3.0}
    strangers.save(tmp_path / "strangers.npz")
    assert len(bank_of(Resources(cohort, tmp_path))) == 12
    monkeypatch.setattr("medpriv_lib.core.weights.FOLDER", tmp_path / "nowhere")
    with pytest.raises(NotApplicable, match="no bank"):
        Stranger.ready(Resources(cohort))


def test_images_of_another_size_are_not_applicable():
    with pytest.raises(NotApplicable, match="32 pixels"):
        Stranger(bank()).privatize(confounded(patients=2, size=16), seeded())


def test_the_rows_are_of_the_second_version_only():
    names = {row.name for row in methods(visits=True)} - {row.name for row in methods()}
    assert {
        ("control", "stranger"),
        ("control", "stranger, same pupil"),
        ("control", "mean sign on a stranger"),
        ("control", "true signs on a stranger"),
        ("control", "true signs on a stranger, same pupil"),
        ("control", "true signs on a stranger, one size"),
        ("control", "own iris in a stranger"),
        ("control", "plain autoencoder"),
    } <= names
    found = privatizers()
    assert all(found[row.cls.name].control for row in methods(True) if row.experiment == "control")
