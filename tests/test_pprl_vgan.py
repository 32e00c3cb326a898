"""PPRL-VGAN: the losses against the equations, the networks' shapes, the policies, encode and
decode, save and load."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from small_cohorts import noise_cohort

from medpriv_lib.core import weights
from medpriv_lib.core.pixels import to_tensor, to_uint8
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import Original, PriorSample
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.protocol import Privatizer, Resources
from medpriv_lib.privatizers.registry import again
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.losses import discriminator_loss, divergence, generator_loss
from medpriv_lib.privatizers.vgan.networks import (
    UPSAMPLING,
    Architecture,
    Discriminator,
    Encoder,
    Generator,
)
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN

SMALL = {
    "latent": 8,
    "encoder": (4, 4, 8, 8),
    "decoder": (8, 8, 4, 4),
    "discriminator": (4, 4, 8, 8),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_cohort(patients=6, each=4, size=32, seed=0):
    """Patients 0 and 1 have both labels, 2 and 3 are always diseased, the others never."""
    patient = np.repeat(np.arange(patients), each)
    diseased = np.isin(patient, (2, 3)) | (
        np.isin(patient, (0, 1)) & (np.arange(len(patient)) % 2 == 0)
    )
    return noise_cohort(patient, diseased, size=size, seed=seed, eye="L")


def make_vgan(cohort, policy="random", **sizes):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        generator = Generator(
            Architecture(cohort.patients, cohort.images.shape[1], **{**SMALL, **sizes})
        )
        for (
            name,
            value,
        ) in (
            generator.named_buffers()
        ):  # statistics as after some training, so that eval mode differs
            if name.endswith("running_mean"):
                value.normal_(0, 0.1)
    return PPRLVGAN(policy, generator.eval(), Pools.of(cohort))


def test_it_is_a_privatizer():
    assert isinstance(PPRLVGAN(), Privatizer)


# --- the losses, against Equations 1 and 2 written out one image at a time
# -------------------------------------------


def heads(n, patients, tasks=2, seed=0):
    generator = seeded(seed)
    return (
        torch.randn(n, generator=generator),
        torch.randn(n, patients, generator=generator),
        torch.randn(n, tasks, generator=generator),
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-float(x)))


def softmax(x):
    x = np.exp(x.double().numpy())
    return x / x.sum()


def test_discriminator_loss_is_minus_equation_1():
    n, patients = 5, 7
    real, fake = heads(n, patients), heads(n, patients, seed=1)
    y, e = torch.tensor([0, 3, 6, 2, 2]), torch.tensor([0, 1, 1, 0, 1])
    equation = np.mean(
        [
            0.25 * np.log(sigmoid(real[0][i]))
            + np.log(1 - sigmoid(fake[0][i]))
            + 0.5 * np.log(softmax(real[1][i])[y[i]])
            + 0.25 * np.log(softmax(real[2][i])[e[i]])
            for i in range(n)
        ]
    )
    loss = discriminator_loss(real, fake, y, e, torch.ones(n), torch.zeros(n))
    assert float(loss) == pytest.approx(-equation, rel=1e-5)


def test_only_the_real_fake_head_looks_at_made_images():
    real, fake = heads(4, 3), [head.requires_grad_() for head in heads(4, 3, seed=1)]
    labels = torch.tensor([0, 1, 0, 1])
    discriminator_loss(real, fake, labels, labels, torch.ones(4), torch.zeros(4)).backward()
    assert fake[0].grad is not None
    assert fake[1].grad is None
    assert fake[2].grad is None


def test_generator_loss_is_the_non_saturating_equation_2():
    n, patients, z = 5, 7, 3
    fake = heads(n, patients, seed=2)
    c, e = torch.tensor([1, 0, 6, 2, 5]), torch.tensor([0, 1, 1, 0, 1])
    mu, log_variance = (
        torch.randn(n, z, generator=seeded(3)),
        torch.randn(n, z, generator=seeded(4)),
    )
    kl = np.mean(
        [
            sum(
                0.5 * (float(m) ** 2 + np.exp(float(s)) - 1 - float(s))
                for m, s in zip(a, b, strict=True)
            )
            for a, b in zip(mu, log_variance, strict=True)
        ]
    )
    equation = 0.002 * kl - np.mean(
        [
            0.5 * np.log(sigmoid(fake[0][i]))
            + 0.5 * np.log(softmax(fake[1][i])[c[i]])
            + 0.5 * np.log(softmax(fake[2][i])[e[i]])
            for i in range(n)
        ]
    )
    assert float(generator_loss(fake, c, e, mu, log_variance)) == pytest.approx(equation, rel=1e-5)


def test_the_identity_term_is_the_mean_over_all_networks_that_name_the_patient():
    fake, others = heads(5, 7, seed=2), [heads(5, 7, seed=s)[1] for s in (5, 6)]
    c, e = torch.tensor([1, 0, 6, 2, 5]), torch.tensor([0, 1, 1, 0, 1])
    code = torch.zeros(5, 3), torch.zeros(5, 3)
    alone = [
        float(generator_loss((fake[0], logits, fake[2]), c, e, *code))
        for logits in (fake[1], *others)
    ]
    together = float(generator_loss(fake, c, e, *code, named=others))
    assert together == pytest.approx(np.mean(alone), rel=1e-6)
    assert together != pytest.approx(alone[0], rel=1e-3)


def test_divergence_agrees_with_torch_distributions_and_vanishes_at_the_prior():
    mu, log_variance = (
        torch.randn(6, 4, generator=seeded(1)),
        torch.randn(6, 4, generator=seeded(2)),
    )
    posterior = torch.distributions.Normal(mu, (log_variance / 2).exp())
    wanted = (
        torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
        .sum(dim=1)
        .mean()
    )
    assert float(divergence(mu, log_variance)) == pytest.approx(float(wanted), rel=1e-5)
    assert float(divergence(torch.zeros(2, 4), torch.zeros(2, 4))) == 0


# --- the networks
# ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [4, 5, 8])
@pytest.mark.parametrize("upsampling", UPSAMPLING)
def test_shapes_for_every_kernel_and_upsampling(kernel, upsampling):
    a = Architecture(3, 32, kernel=kernel, decoder_kernel=None, upsampling=upsampling, **SMALL)
    images, c = torch.zeros(2, 1, 32, 32), torch.tensor([0, 2])
    made, mu, log_variance = Generator(a)(images, c, torch.zeros(2, 8))
    assert made.shape == images.shape
    assert mu.shape == log_variance.shape == (2, 8)
    assert float(made.detach().abs().max()) <= 1
    assert [tuple(head.shape) for head in Discriminator(a)(images)] == [(2,), (2, 3), (2, 2)]


def test_mixed_upsampling_is_transposed_up_to_half_the_size_and_bilinear_at_the_end():
    layers = Generator(Architecture(3, 32, upsampling="mixed", refine=3, **SMALL)).decoder.layers
    kinds = [
        type(layer).__name__
        for layer in layers
        if hasattr(layer, "weight") and layer.weight.dim() == 4
    ]
    assert kinds == ["ConvTranspose2d"] * 3 + ["Conv2d"]
    assert layers[9][0].mode == "bilinear"


def test_the_papers_widths_by_default():
    sizes = {
        name: tuple(p.shape)
        for name, p in Generator(Architecture(115)).named_parameters()
        if p.dim() == 4
    }
    assert [shape[0] for name, shape in sizes.items() if name.startswith("encoder")] == [
        32,
        64,
        128,
        256,
    ]
    assert {shape[2:] for name, shape in sizes.items() if name.startswith("encoder")} == {(5, 5)}
    plain = Architecture(115, decoder_kernel=None, refine=0, upsampling="transposed")
    assert {tuple(p.shape[2:]) for p in Generator(plain).parameters() if p.dim() == 4} == {(5, 5)}


def test_the_log_variance_is_unbounded_and_the_deviation_is_exp_of_its_half():
    a = Architecture(2, 16, **SMALL)
    encoder = Encoder(a).eval()
    with torch.no_grad():
        encoder.statistics.weight.zero_()
        encoder.statistics.bias.copy_(torch.cat([torch.full((8,), 1.5), torch.full((8,), -4.0)]))
    mu, log_variance = encoder(torch.zeros(1, 1, 16, 16))
    assert (
        float(log_variance.min()) == -4.0
    )  # a sigmoid would give .02: sigma > 1, wider than the prior
    generator = Generator(a).eval()
    generator.encoder = encoder
    seen = []
    generator.decoder.forward = lambda z, c: seen.append(z)
    generator(torch.zeros(1, 1, 16, 16), torch.tensor([0]), torch.ones(1, 8))
    assert torch.allclose(seen[0], torch.full((1, 8), 1.5 + np.exp(-2.0)))


def test_the_identity_reaches_the_decoder_only():
    cohort = make_cohort()
    vgan = make_vgan(cohort)
    mu, _ = vgan.encode(cohort.images[:1])
    one, other = vgan.decode(mu, torch.tensor([0])), vgan.decode(mu, torch.tensor([1]))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("size", [0, 8, 40])
def test_sizes_that_cannot_be_halved_four_times_are_refused(size):
    with pytest.raises(ValueError, match="multiple of 16"):
        Architecture(3, size)


def test_unknown_upsampling_and_missing_widths_are_refused():
    with pytest.raises(ValueError, match="upsampling"):
        Architecture(3, upsampling="nearest")
    with pytest.raises(ValueError, match="four widths"):
        Architecture(3, decoder=(8, 8))


def test_an_architecture_survives_json():
    a = Architecture(3, 32, kernel=4)
    assert Architecture(**json.loads(json.dumps(dataclasses.asdict(a)))) == a


# --- the policies
# ----------------------------------------------------------------------------------------------------


def slow_pool(train, cohort, row, policy):
    """The definitions, read off image by image."""
    pool = []
    for p in range(train.patients):
        labels = {bool(d) for q, d in zip(train.patient, train.diseased, strict=True) if q == p}
        if p == cohort.patient[row] or not labels:
            continue
        has = bool(cohort.diseased[row]) in labels
        if policy == "random" or (policy == "same") == has:
            pool.append(p)
    return pool


@pytest.mark.parametrize("policy", ["random", "same", "different"])
def test_policies_draw_uniformly_from_their_pools(policy):
    """2,000 draws per image; each of m candidates expects 2000/m. The bound of 5 standard
    deviations on 24 images with at most 5 candidates fails by chance less than once in 10,000 runs,
    and the seed is fixed."""
    train = make_cohort()
    drawn = make_vgan(train, policy).draw_identities(train, seeded(), 2000)
    assert drawn.shape == (24, 2000)
    assert drawn.dtype == np.int64
    for row in range(24):
        pool = slow_pool(train, train, row, policy)
        count = np.bincount(drawn[row], minlength=train.patients)
        assert set(np.flatnonzero(count)) == set(pool)
        share = 1 / len(pool)
        assert (
            np.abs(count[pool] - 2000 * share).max()
            <= 5 * np.sqrt(2000 * share * (1 - share)) + 1e-9
        )


def test_without_replacement_no_identity_comes_twice():
    train = make_cohort()
    drawn = make_vgan(train).draw_identities(train, seeded(), 5, replace=False)
    assert (
        np.sort(drawn, axis=1) == np.array([[p for p in range(6) if p != q] for q in train.patient])
    ).all()
    with pytest.raises(ValueError, match="5 replacement identities for image 0"):
        make_vgan(train).draw_identities(train, seeded(), 6, replace=False)


def test_an_empty_pool_is_an_error_that_names_image_and_policy():
    train = make_cohort(patients=2)  # both patients have both labels
    with pytest.raises(
        ValueError, match=r'policy "different" leaves 0 .* image 0 \(patient p0, diseased\)'
    ):
        make_vgan(train, "different").privatize(train, seeded())


def test_a_patient_without_training_images_lends_no_identity():
    cohort = make_cohort()
    train = cohort.take(cohort.patient != 5)
    drawn = make_vgan(train).draw_identities(cohort, seeded(), 200)
    assert 5 not in drawn


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="policy must be random or same or different"):
        PPRLVGAN("opposite")
    with pytest.raises(ValueError, match="unknown policy"):
        make_vgan(make_cohort()).draw_identities(make_cohort(), seeded(), 1, "opposite")


# --- privatising
# -----------------------------------------------------------------------------------------------------


def test_privatize_is_encode_draw_decode_and_repeats_with_the_seed():
    cohort = make_cohort()
    vgan = make_vgan(cohort)
    release = vgan.privatize(cohort, seeded(3))
    assert np.array_equal(release.images, vgan.privatize(cohort, seeded(3)).images)
    assert not np.array_equal(release.images, vgan.privatize(cohort, seeded(4)).images)
    assert release.contributors.shape == (24, 1)
    assert (release.contributors[:, 0] != cohort.patient).all()
    generator = seeded(3)
    identity = vgan.draw_identities(cohort, generator)
    z = vgan.encode(cohort.images, generator)
    slow = np.stack(
        [to_uint8(vgan.decode(z[i : i + 1], torch.tensor(identity[i])))[0] for i in range(24)]
    )
    assert np.abs(slow.astype(int) - release.images).max() <= 1


def test_samples_of_the_code_have_the_posteriors_mean_and_deviation():
    """4,000 copies of an image: the mean of a code has standard error sigma / 63, so 5 of them
    bound it."""
    cohort = make_cohort()
    vgan = make_vgan(cohort)
    mu, log_variance = vgan.encode(cohort.images[:1])
    z = vgan.encode(np.repeat(cohort.images[:1], 4000, axis=0), seeded())
    sigma = (log_variance / 2).exp()
    assert ((z.mean(0) - mu[0]).abs() <= 5 * sigma[0] / 63).all()
    assert torch.allclose(z.std(0), sigma[0], rtol=0.06)


def test_decode_all_is_every_code_as_every_patient(tmp_path):
    cohort = make_cohort()
    vgan = make_vgan(cohort)
    z = vgan.encode(cohort.images[:3], seeded())
    table = np.memmap(tmp_path / "table", np.uint8, "w+", shape=(3, 6, 32, 32))
    made, told = vgan.decode_all(z, table), []
    assert made is table
    for i in range(3):
        for p in range(6):
            one = to_uint8(vgan.decode(z[i : i + 1], torch.tensor([p])))[0]
            assert np.abs(one.astype(int) - made[i, p]).max() <= 1
    assert np.array_equal(vgan.decode_all(z, advance=told.append), made)
    assert told == [6, 6, 6]


def test_images_from_outside_the_cohort_are_replaced_by_training_patients():
    train = make_cohort()
    guests = dataclasses.replace(
        make_cohort(seed=9), patient_names=np.array([f"guest-{p}" for p in range(6)])
    )
    vgan = make_vgan(train)
    drawn = vgan.draw_identities(guests, seeded(), 500)
    assert all(
        set(row) == set(range(6)) for row in drawn
    )  # no training patient is the guest: all may stand in
    assert vgan.privatize(guests, seeded()).images.shape == guests.images.shape
    # known patients under other numbers are recognised by their names
    shuffled = dataclasses.replace(
        train, patient=5 - train.patient, patient_names=train.patient_names[::-1].copy()
    )
    assert (vgan.draw_identities(shuffled, seeded(), 100) != train.patient[:, None]).all()


def test_another_image_size_is_refused_with_the_remedy():
    vgan = make_vgan(make_cohort())
    with pytest.raises(ValueError, match=r"32.*--size 32"):
        vgan.privatize(make_cohort(size=48), seeded())


def test_an_untrained_vgan_says_so():
    with pytest.raises(ValueError, match="not trained yet"):
        PPRLVGAN().privatize(make_cohort(), seeded())


def test_an_identity_that_is_no_training_patient_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.5"):
        make_vgan(make_cohort()).decode(torch.zeros(1, 8), torch.tensor([6]))


# --- on disk
# ---------------------------------------------------------------------------------------------------------


def card(cohort):
    return {
        "kind": "pprl-vgan",
        "data_hash": cohort.hash(),
        "config": {},
        "seed": 0,
        "command": "-",
        "metrics": {},
        "curve": {},
    }


def test_saved_weights_come_back_as_float16_and_privatise_alike(tmp_path):
    cohort = make_cohort()
    vgan = make_vgan(cohort)
    vgan.save(tmp_path / "pprl-vgan", card(cohort))
    again = PPRLVGAN.load(tmp_path / "pprl-vgan", "same")
    assert again.policy == "same"
    assert again.architecture == vgan.architecture
    assert np.array_equal(again.pools.has_label, vgan.pools.has_label)
    assert np.array_equal(again.pools.names, cohort.patient_names)
    halved = vgan.halved().with_policy("same")
    assert np.array_equal(
        again.privatize(cohort, seeded()).images, halved.privatize(cohort, seeded()).images
    )
    difference = (
        vgan.privatize(cohort, seeded()).images.astype(int)
        - vgan.halved().privatize(cohort, seeded()).images
    )
    assert np.abs(difference).max() <= 2
    stored = (
        sum(p.numel() for p in vgan.generator.state_dict().values() if p.is_floating_point()) * 2
    )
    assert (tmp_path / "pprl-vgan.safetensors").stat().st_size < stored + 8192


def test_changed_weights_are_noticed(tmp_path):
    cohort = make_cohort()
    make_vgan(cohort).save(tmp_path / "pprl-vgan", card(cohort))
    path = tmp_path / "pprl-vgan.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="pprl-vgan.safetensors"):
        PPRLVGAN.load(tmp_path / "pprl-vgan")


def wrong(what):
    """Write weights in which one thing is wrong, checksums included."""

    def change(path, tensors, told):
        what(tensors, told)
        weights.save(path, tensors, told)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong(lambda tensors, _: tensors.pop("has_label")), "no 'has_label'"),
        (wrong(lambda tensors, _: tensors.pop("decoder.dense.bias")), "decoder.dense.bias"),
        (wrong(lambda tensors, _: tensors.update(more=torch.zeros(2))), "more"),
        (
            wrong(lambda tensors, _: tensors.update({"decoder.dense.bias": torch.zeros(3)})),
            "size mismatch",
        ),
        (wrong(lambda _, told: told.pop("architecture")), "no 'architecture'"),
        (wrong(lambda _, told: told["architecture"].update(size=48)), "size mismatch"),
        (wrong(lambda _, told: told["architecture"].update(patients=5)), "size mismatch"),
        (wrong(lambda _, told: told["architecture"].update(rooms=5)), "rooms"),
        (wrong(lambda _, told: told.update(architecture=[1, 2])), "do not fit together"),
        (wrong(lambda _, told: told["patient_names"].pop()), "5 names"),
        (wrong(lambda _, told: told.update(kind="judges")), "of kind 'judges', not 'pprl-vgan'"),
        (lambda path, *_: path.write_bytes(path.read_bytes()[:1000]), "wrong or tampered"),
        (lambda path, *_: path.write_bytes(b""), "wrong or tampered"),
        (lambda path, *_: path.unlink(), "no such weights"),
        (lambda path, *_: path.with_suffix(".json").unlink(), "no such card"),
    ],
)
def test_weights_with_one_thing_wrong_are_refused_in_one_line(tmp_path, change, message):
    cohort = make_cohort()
    path = tmp_path / "pprl-vgan.safetensors"
    make_vgan(cohort).save(path, card(cohort))
    change(path, *weights.load(path))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as found:
        PPRLVGAN.load(path)
    told = str(found.value)
    assert "\n" not in told
    assert str(tmp_path / "pprl-vgan.") in told
    assert "medpriv fit" in told or "another file" in told


def test_the_method_is_made_from_what_is_at_hand(tmp_path):
    cohort = make_cohort()
    vgan = make_vgan(cohort)
    vgan.save(tmp_path / "pprl-vgan", card(cohort))
    trained = Resources(trained={"pprl-vgan": vgan})
    stored = Resources(cohort, tmp_path)
    for method in (PPRLVGAN, Averaged, PriorSample):
        assert method.needs == "weights"
        for resources in (trained, stored, Resources()):
            ready = method.ready(resources, policy="same")
            assert isinstance(ready, method)
            assert ready.policy == "same"
    assert PPRLVGAN.ready(trained).generator is vgan.generator
    assert Averaged.ready(trained, k=2).vgan is vgan
    assert PPRLVGAN.ready(stored).architecture == vgan.architecture
    assert PPRLVGAN.ready(Resources()).architecture.size == 64  # those that ship
    other = dataclasses.replace(cohort, diseased=~cohort.diseased)
    with pytest.raises(ValueError, match="trained on another cohort"):
        PPRLVGAN.ready(Resources(other, tmp_path))
    with pytest.raises(FileNotFoundError, match="no such card of weights"):
        PPRLVGAN.ready(Resources(cohort, tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="no setting 'k'"):
        PPRLVGAN.check({"k": 3})


def test_a_release_names_what_makes_it_again(tmp_path):
    cohort = make_cohort()
    resources = Resources(cohort, trained={"pprl-vgan": make_vgan(cohort)})
    for method in (
        make_vgan(cohort, "same"),
        Averaged(make_vgan(cohort), 3, "same"),
        Blur(5),
        KSameSelect(2, "release"),
        Original(),
    ):
        release = method.privatize(cohort, seeded())
        release.save(tmp_path / "key.npz")
        repeated = again(Release.load(tmp_path / "key.npz"), resources)
        assert type(repeated) is type(method)
        assert repeated.settings == method.settings
        assert np.array_equal(repeated.privatize(cohort, seeded()).images, release.images)


def test_decoding_ignores_what_else_is_in_the_batch():
    cohort = make_cohort()
    vgan = make_vgan(cohort)
    z, c = torch.randn(9, 8, generator=seeded()), torch.arange(9) % 6
    together, alone = (
        vgan.decode(z, c),
        torch.cat([vgan.decode(z[i : i + 1], c[i : i + 1]) for i in range(9)]),
    )
    assert torch.allclose(together, alone, atol=1e-5)
    assert to_tensor(to_uint8(together)).shape == together.shape
