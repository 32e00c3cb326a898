"""Disentanglement: training to the same end, identities of nobody, contributors, refusals, weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import patterned_cohort, toy_cohort

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.privatizers.disentangled import training as loop
from medpriv_lib.privatizers.disentangled.disentangled import Disentangled, WithoutSwaps
from medpriv_lib.privatizers.disentangled.identities import Synthesis, centroids_of, nearness
from medpriv_lib.privatizers.disentangled.losses import distances
from medpriv_lib.privatizers.disentangled.model import Model, donors, vectors_of
from medpriv_lib.privatizers.disentangled.networks import Architecture
from medpriv_lib.privatizers.disentangled.settings import PUBLISHED, Training
from medpriv_lib.privatizers.disentangled.trainer import Trainer
from medpriv_lib.privatizers.disentangled.validation import final_report, validation, write_model
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import privatizers

SIZES = {"width": 8, "medical": 4, "identity": 12, "other": 6}
SHORT = Training(
    rounds=6, batch=8, alone=0.3, ramp=0.3, recogniser_epochs=1, precision="no", validate_every=2
)
QUICK = Synthesis(code=4, rounds=60, batch=32)


@pytest.fixture(scope="module")
def cohort():
    return patterned_cohort(8, 20)


@pytest.fixture(scope="module")
def trainer(cohort):
    """Some rounds, enough that identity vectors tell the patients apart."""
    train = cohort.of("train")
    config = replace(SHORT, rounds=60, alone=0.5, frozen_recognisers=0, identity=2.0, rate=1e-3)
    return loop.train(train, Architecture.of(train, **SIZES), config)


@pytest.fixture(scope="module")
def model(trainer, cohort):
    return Model.of(
        trainer.averaged(), cohort.of("train"), "closed", cohort.of("val"), QUICK, spread=0.1
    )


def method(model, **settings):
    return Disentangled(**settings, model=model)


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("form", ["closed", "verification"])
def test_a_killed_training_ends_at_the_same_weights(cohort, tmp_path, form, monkeypatch):
    train = cohort.of("train")
    architecture, config = Architecture.of(train, **SIZES), replace(SHORT, form=form)
    whole = loop.train(train, architecture, config, tmp_path / "whole")

    step = Trainer.step

    def killed(self):
        if self.round == 4:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(Trainer, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        loop.train(train, architecture, config, tmp_path / "cut", checkpoint_minutes=0)
    monkeypatch.undo()
    again = loop.train(train, architecture, config, tmp_path / "cut")
    assert equal(whole.average, again.average)
    assert equal(whole.discriminator.state_dict(), again.discriminator.state_dict())
    strip = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in one.curve]
        for one in (whole, again)
    ]
    assert strip[0] == strip[1]
    other = replace(config, swap="published")
    with pytest.raises(ValueError, match="other config"):
        loop.train(train, architecture, other, tmp_path / "cut")


def test_what_follows_the_reconstruction_begins_when_the_settings_say():
    config = Training(rounds=100, alone=0.2, ramp=0.2, decay_from=0.5)
    assert [config.strength(n) for n in (0, 20, 30, 40, 99)] == [0, 0, 0.5, 1, 1]
    assert [config.slowing(n) for n in (0, 50, 75, 100)] == [1, 1, 0.5, 0]


def test_terms_are_there_when_they_are_weighed(cohort):
    train = cohort.of("train")
    architecture = Architecture.of(train, **SIZES)

    def terms(**changes):
        now = Trainer(train, architecture, replace(SHORT, alone=0.0, ramp=0.0, **changes))
        now.step()
        now.step()
        return set(now.losses)

    everything = terms()
    assert {"swapped", "named", "adversarial", "features", "patient_medical"} <= everything
    assert terms(swap="none", frozen_recognisers=0) == everything - {"swapped", "named"}
    gone = {"adversarial", "features", "named"}
    assert terms(adversarial=0, features=0, named=0) == everything - gone
    assert not {"patient_medical", "patient_other"} & terms(reverse_patient=0, named=0)
    theirs = terms(**{k: v for k, v in PUBLISHED["closed"].items() if k not in ("alone", "ramp")})
    assert theirs == {"psnr", "ssim", "disease", "identity", "swapped", "adversarial"}


def test_the_loss_of_the_reconstruction_falls(trainer):
    first = Trainer(patterned_cohort(8, 20).of("train"), trainer.architecture, trainer.config)
    first.step()
    assert trainer.losses["l1"] < 0.9 * first.losses["l1"]
    assert trainer.losses["identity"] < 0.9 * first.losses["identity"]


def test_pairs_show_the_same_eye(cohort):
    both = replace(cohort, eye=np.where(np.arange(len(cohort)) % 2 == 0, "L", "R"))
    train = both.of("train")
    trainer = Trainer(
        train, Architecture.of(train, **SIZES), replace(SHORT, batch=64, frozen_recognisers=0)
    )
    rows = trainer._pairs().numpy()
    first, second = rows[:32], rows[32:]
    assert (train.patient[first] == train.patient[second]).all()
    assert (train.eye[first] == train.eye[second]).all()
    assert (first != second).all()


def test_a_synthetic_identity_has_no_contributor_and_is_no_training_image(model, cohort):
    test, train = cohort.of("test"), cohort.of("train")
    release = method(model).privatize(test, seeded(0, "a"))
    assert release.contributors.shape == (len(test), 0)
    drawn = model.identities.synthetic(200, seeded(0, "b"))
    real = vectors_of(model.networks, train.images).identity
    assert distances(drawn, real).min() > 1e-3
    near = model.identities.nearest(drawn)[0]
    slow = distances(drawn, model.identities.centroids).min(dim=1).values
    assert torch.equal(near, slow)
    assert (near >= model.identities.threshold).float().mean() > 0.5
    assert not torch.equal(drawn[0], drawn[1])


def test_the_choice_among_candidates_is_the_first_that_is_apart(model):
    lent = model.identities
    n, tried = 20, 16
    codes = torch.randn(n * tried, lent.vae.code, generator=seeded(3, "c"))
    made = lent.vae.decode(codes).view(n, tried, -1)
    found = lent.synthetic(n, seeded(3, "c"))
    for candidates, chosen in zip(made, found, strict=True):
        near = lent.nearest(candidates)[0]
        apart = [i for i in range(tried) if near[i] >= lent.threshold]
        assert torch.equal(chosen, candidates[apart[0] if apart else int(near.argmax())])


def test_a_synthetic_identity_does_not_depend_on_the_source(model, cohort):
    test = cohort.of("test")
    turned = replace(test, images=test.images[::-1].copy())
    lent = [method(model).lend(one, seeded(0, "same")) for one in (test, turned)]
    assert np.array_equal(*lent)
    own = [method(model, identity="own").lend(one, seeded(0, "same")) for one in (test, turned)]
    assert not np.array_equal(*own)


def test_contributors_are_those_who_lend(model, cohort):
    test = cohort.of("test")
    for k, count in ((2, 2), (5, 5), (0, 8)):
        release = method(model, identity="k-same", k=k).privatize(test, seeded(0, "k"))
        assert release.contributors.shape == (len(test), count)
        assert all(len(set(row)) == count for row in release.contributors)
    swap = method(model, identity="swap").privatize(test, seeded(0, "s"))
    assert (swap.contributors[:, 0] != test.patient).all()
    own = method(model, identity="own").privatize(test, seeded(0, "o"))
    assert np.array_equal(own.contributors[:, 0], test.patient)
    other = method(model, medical="other-patient").privatize(test, seeded(0, "m"))
    assert (other.contributors[:, 0] != test.patient).all()
    assert Disentangled.claims_k({"identity": "k-same", "k": 6}) == 6
    assert Disentangled.claims_k({"identity": "synthetic", "k": 6}) is None
    assert Disentangled.claims_k({"identity": "k-same", "k": 0}) is None


def test_the_mean_identity_is_that_of_a_slow_loop(model, cohort):
    test, lent = cohort.of("test"), model.identities
    own = vectors_of(model.networks, test.images).identity
    found, contributors = method(model, identity="k-same", k=3)._lent(own, test, seeded(0, "k"))
    for i in range(len(test)):
        apart = [float((own[i] - one).square().mean()) for one in lent.centroids]
        nearest = np.argsort(apart)[:3]
        assert set(contributors[i]) == set(nearest)
        mean = lent.centroids[nearest].mean(0)
        mean = (mean - mean.mean()) / (mean.var(unbiased=False) + 1e-5).sqrt()
        assert torch.allclose(found[i], mean, atol=1e-4)


def test_code_and_decode_make_the_release(model, cohort):
    """What an attacker decodes is what the method released: nothing else goes into it."""
    test = cohort.of("test")
    plain = replace(model, spread=0.0)
    for settings in ({}, {"identity": "k-same", "k": 3}, {"identity": "own"}, {"other": "mean"}):
        one = method(plain, **settings)
        mean, sigma = one.posterior(test.images)
        assert (sigma == 0).all()
        lent = one.lend(test, seeded(0, "x"))
        made = one.decode(mean, torch.from_numpy(lent[:, 0]))
        release = one.privatize(test, seeded(0, "x"))
        levels = ((made[:, 0] + 1) * 127.5).round().clamp(0, 255).numpy()
        assert np.abs(levels - release.images).max() <= 1
        assert torch.equal(made, one.decode(mean, torch.from_numpy(lent[:, 0])))
    assert (method(model).posterior(test.images)[1] == 0.1).all()
    z = mean[:2]
    by_number = method(plain).decode(z, torch.tensor([3, 5]))
    by_vector = method(plain).decode(z, model.identities.centroids[[3, 5]])
    assert torch.equal(by_number, by_vector)
    with pytest.raises(NotApplicable, match="another patient"):
        method(model, medical="other-patient").lend(test, seeded(0, "x"))


def test_image_and_twin_get_the_same_draws(model, cohort):
    test = cohort.of("test")
    for settings in ({}, {"identity": "swap"}, {"medical": "other-patient"}):
        a, b = (method(model, **settings).privatize(test, seeded(1, "t")) for _ in range(2))
        assert np.array_equal(a.images, b.images)
        c = method(model, **settings).privatize(test, seeded(2, "t"))
        assert not np.array_equal(a.images, c.images)


def test_the_other_vector_can_be_taken_away(model, cohort):
    """With the other vector's mean, images differ only through medical vector and identity."""
    test = cohort.of("test")
    plain = replace(model, spread=0.0)
    code, _ = method(plain, other="mean").encode(test.images)
    assert (code[:, 4:] == code[:1, 4:]).all()
    assert not (method(plain).encode(test.images)[0][:, 4:] == code[:1, 4:]).all()


def test_donors_have_the_label_and_are_somebody_else():
    cohort = patterned_cohort(6, 12)
    rows = donors(cohort, seeded(0, "d"))
    assert (rows >= 0).all()
    assert (cohort.patient[rows] != cohort.patient).all()
    assert (cohort.diseased[rows] == cohort.diseased).all()
    assert len(set(rows)) > 10
    alone = replace(cohort, diseased=cohort.patient == 0)
    assert (donors(alone, seeded(0, "d"))[alone.diseased] == -1).all()
    assert (donors(alone, seeded(0, "d"))[~alone.diseased] >= 0).all()


def test_nearness_is_that_of_a_loop():
    generator = seeded(0, "n")
    centroids, vectors = (
        torch.randn(5, 3, generator=generator),
        torch.randn(9, 3, generator=generator),
    )
    known = torch.tensor([True, True, True, True, False])
    patient = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, -1])
    new = torch.randn(20, 3, generator=generator)
    found = nearness(new, centroids, known, vectors, patient)
    slow = [
        min(float((v - centroids[p]).square().mean()) for p in range(4) if p != int(who))
        for v, who in zip(vectors, patient, strict=True)
    ]
    np.testing.assert_allclose(found.impostor, slow, rtol=1e-4)
    assert len(found.own) == 8
    assert found.limit == pytest.approx(np.quantile(found.impostor, 0.05), rel=1e-5)
    assert found.share == pytest.approx((found.synthetic < found.limit).mean())


def test_centroids_are_means():
    vectors, patient = torch.randn(6, 4), torch.tensor([0, 0, 0, 2, 2, 2])
    centroids, known = centroids_of(vectors, patient, 4, unit=False)
    assert torch.allclose(centroids[2], vectors[3:].mean(0), atol=1e-6)
    assert known.tolist() == [True, False, True, False]


def test_weights_come_back_as_they_were_written(trainer, model, cohort, tmp_path):
    train, val = cohort.of("train"), cohort.of("val")
    report = final_report(model, train, val, synthetic=50, steps=20)
    assert {one["part"] for one in report["probes"]} == {"medical", "identity", "other"}
    write_model(tmp_path / "disentangled-closed", trainer, model, cohort, "test", report, QUICK)
    resources = Resources(cohort, tmp_path)
    again = Disentangled.ready(resources)
    assert again.model.spread == pytest.approx(0.1)
    assert again.model.pools.names.tolist() == cohort.patient_names.tolist()
    a, b = (
        one.privatize(cohort.of("test"), seeded(0, "w")).images.astype(int)
        for one in (again, method(model))
    )
    assert np.abs(a - b).mean() < 1  # float16 rounds the weights
    c = Disentangled.ready(resources).privatize(cohort.of("test"), seeded(0, "w"))
    assert np.array_equal(a, c.images)


def test_refusals_say_what_to_do(model, cohort, tmp_path, trainer):
    with pytest.raises(FileNotFoundError, match="train_disentangled"):
        Disentangled.ready(Resources(cohort, tmp_path))
    with pytest.raises(FileNotFoundError, match="disentangled-plain.*train_disentangled"):
        WithoutSwaps.ready(Resources(cohort, tmp_path))
    with pytest.raises(ValueError, match="no trained networks"):
        Disentangled().privatize(cohort.of("test"), seeded(0))
    with pytest.raises(ValueError, match="identity must be"):
        Disentangled(identity="mine")
    with pytest.raises(ValueError, match="one is nobody"):
        Disentangled(identity="k-same", k=1)
    with pytest.raises(NotApplicable, match="choose a smaller k"):
        method(model, identity="k-same", k=9).privatize(cohort.of("test"), seeded(0))
    with pytest.raises(ValueError, match="size 16"):
        method(model).privatize(patterned_cohort(4, 8, size=32), seeded(0))
    with pytest.raises(ValueError, match="take them from `encode`"):
        method(model).decode(torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"0\.\.7"):
        method(model).decode(torch.zeros(1, 10), torch.tensor([8]))
    with pytest.raises(ValueError, match="taught in the closed form"):
        Disentangled.ready(
            Resources(cohort, None, {"disentangled-verification": model}), form="verification"
        )
    write_model(tmp_path / "disentangled-closed", trainer, model, cohort, "test", {}, QUICK)
    with pytest.raises(ValueError, match="another cohort"):
        Disentangled.ready(Resources(toy_cohort(), tmp_path))
    train = cohort.of("train")
    well = train.take(~train.diseased)
    with pytest.raises(ValueError, match="needs both"):
        Trainer(well, Architecture.of(well, **SIZES), SHORT)
    for wrong in ({"form": "open"}, {"swap": "both"}, {"batch": 7}, {"rounds": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Training(**wrong)
    for wrong in ({"size": 20}, {"other": 1}, {"norm": "layer"}, {"width": 9}):
        with pytest.raises(ValueError, match="multiple|entries|choose"):
            Architecture(patients=3, **wrong)


def test_the_verification_form_serves_strangers(cohort, tmp_path, monkeypatch):
    """Patients of another cohort, by networks that never saw them; nobody of theirs is named. A
    folder without such networks has those that ship."""
    train = cohort.of("train")
    config = replace(SHORT, form="verification")
    trainer = loop.train(train, Architecture.of(train, **SIZES), config)
    model = Model.of(trainer.averaged(), train, "verification", None, QUICK)
    write_model(tmp_path / "disentangled-verification", trainer, model, cohort, "test", {}, QUICK)
    others = replace(toy_cohort(), patient_names=np.array([f"other {i}" for i in range(8)]))
    resources = Resources(others, tmp_path)
    stranger = Disentangled.ready(resources, form="verification")
    release = stranger.privatize(others.of("test"), seeded(0))
    assert release.contributors.shape == (8, 0)
    own = Disentangled.ready(resources, form="verification", identity="own")
    assert (own.privatize(others.of("test"), seeded(0)).contributors == -1).all()
    with pytest.raises(ValueError, match="another cohort"):
        Disentangled.ready(resources, form="verification", identity="swap")
    elsewhere = Resources(others, tmp_path / "elsewhere")
    monkeypatch.setattr("medpriv_lib.core.weights.FOLDER", tmp_path / "nothing ships")
    with pytest.raises(FileNotFoundError, match="elsewhere.*no such weights"):
        Disentangled.ready(elsewhere, form="verification")
    monkeypatch.setattr("medpriv_lib.core.weights.FOLDER", tmp_path)
    same = Disentangled.ready(elsewhere, form="verification").privatize(
        others.of("test"), seeded(0)
    )
    np.testing.assert_array_equal(same.images, release.images)
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        Disentangled.ready(elsewhere, form="verification", identity="swap")


def test_validation_knows_what_judges_say(trainer, cohort):
    """Judges that always say the same give what counting by hand gives."""
    train, val = cohort.of("train"), cohort.of("val")
    validate = validation(
        train,
        val,
        lambda images: np.zeros(len(images), np.int64),
        lambda images: np.ones(len(images), bool),
        probe_every=2,
    )
    first, second = validate(trainer.averaged()), validate(trainer.averaged())
    assert first["original"] == pytest.approx((val.patient == 0).mean(), abs=1e-4)
    assert first["disease"] == first["flipped"] == 0.5  # one label always right, the other never
    assert 5 < first["psnr"] < 40
    assert {"probe_medical_patient", "probe_other_label"} <= first.keys()
    assert not any(key.startswith("probe") for key in second)
    assert {k: second[k] for k in second} == {k: first[k] for k in second}


def test_rows_are_for_the_second_version(model, cohort):
    found = privatizers()
    for name in ("disentangled", "disentangled-plain"):
        assert all(one.needs_visits for one in found[name].compared)
        for one in found[name].compared:
            found[name].check(one.settings)
    assert found["disentangled-plain"].control
    assert not found["disentangled"].control
    release = WithoutSwaps(model).privatize(cohort.of("test"), seeded(0))
    assert release.method == "disentangled-plain"
    assert np.array_equal(release.contributors[:, 0], cohort.of("test").patient)
