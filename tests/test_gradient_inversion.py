"""Gradient inversion, on a small smooth network where the search can find the image."""

import itertools

import cv2
import numpy as np
import pytest
import torch
from cohorts_with_visits import confounded
from torch import nn
from torch.nn.functional import cross_entropy

from medpriv_lib.attacks.gradient_inversion import ranks, seen
from medpriv_lib.attacks.gradient_inversion.dense import dense_input
from medpriv_lib.attacks.gradient_inversion.gradients import (
    gradients_of,
    gradients_of_step,
    require_gradients,
)
from medpriv_lib.attacks.gradient_inversion.invert import Search, invert
from medpriv_lib.attacks.gradient_inversion.labels import label_of_one, labels_of
from medpriv_lib.attacks.gradient_inversion.objective import (
    Terms,
    cosine_distance,
    layers_distance,
    roughness,
    squared_distance,
)
from medpriv_lib.recognition.grouped import Grouped

SIZE, CLASSES = 16, 4
QUICK = Search(steps=120, rate=0.1, terms=Terms(roughness=0.003))


def smooth_network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(6 * (SIZE // 2) ** 2, 12),
            nn.Sigmoid(),
            nn.Linear(12, CLASSES),
        )


def smooth_images(count, seed=0):
    rng = np.random.default_rng(seed)
    soft = np.stack(
        [cv2.GaussianBlur(one, (0, 0), 1.5) for one in rng.normal(size=(count, SIZE, SIZE))]
    )
    soft /= 2.5 * soft.std(axis=(1, 2), keepdims=True)
    return torch.from_numpy(soft).float().clamp(-1, 1)[:, None]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def place_among(found, images, own):
    """Return how many images resemble what was found at least as well as the right one does."""
    alike = torch.corrcoef(torch.cat([found, images]).flatten(1))[0, 1:]
    return int((alike >= alike[own]).sum())


PUBLIC = smooth_images(8, seed=99)


def test_labels_by_hand():
    # four labels, all logits equal: p = 1/4, and 1 is subtracted at the label
    assert label_of_one(torch.tensor([0.25, -0.75, 0.25, 0.25])) == 1
    # three images of labels 0, 0 and 1, p = 1/2 each: the mean of p - y
    found = labels_of(torch.tensor([0.5 - 2 / 3, 0.5 - 1 / 3]), 3, torch.tensor([0.5, 0.5]))
    assert found.tolist() == [0, 0, 1]


def test_the_label_of_one_image_is_exact():
    network, images = smooth_network(), smooth_images(5)
    for image, label in itertools.product(images, range(CLASSES)):
        gradients = gradients_of(network, image[None], torch.tensor([label]))
        assert label_of_one(gradients["6.bias"]) == label


def slow_labels(grad_b, count, expected):
    """Try every multiset of labels and take the one whose gradient would be nearest."""

    def off(labels):
        times = torch.bincount(torch.tensor(labels), minlength=len(expected)) / count
        return float((expected - times - grad_b).square().sum())

    every = itertools.combinations_with_replacement(range(len(expected)), count)
    return list(min(every, key=off))


@pytest.mark.parametrize("count", [2, 4, 8])
def test_the_labels_of_a_batch_are_those_of_the_slow_twin_and_the_true_ones(count):
    network = smooth_network()
    expected = network(PUBLIC).softmax(1).mean(0).detach()
    for seed in range(6):
        labels = torch.randint(CLASSES, (count,), generator=generator(seed))
        grad_b = gradients_of(network, smooth_images(count, seed), labels)["6.bias"]
        found = labels_of(grad_b, count, expected).tolist()
        assert found == slow_labels(grad_b, count, expected) == labels.sort().values.tolist()


def test_labels_of_noise_are_some_labels_and_a_mixture_is_no_single_image():
    noise = torch.randn(CLASSES, generator=generator(3))
    assert len(labels_of(noise, 5, torch.full((CLASSES,), 1 / CLASSES))) == 5
    with pytest.raises(ValueError, match="2 negative entries"):
        label_of_one(torch.tensor([-0.1, -0.2, 0.3]))


def test_the_dense_input_is_exact_for_one_image_and_mixed_for_two():
    network, x = smooth_network(), smooth_images(2)
    g = gradients_of(network, x[:1], torch.tensor([1]))
    found = dense_input(g["4.weight"], g["4.bias"])
    true = network[:4](x[:1])[0]
    assert float((found.values - true).detach().abs().max()) < 1e-5
    assert found.mixed < 1e-5
    # one row of the weight's gradient over the bias' entry beside it: the definition
    one = g["4.weight"][3] / g["4.bias"][3]
    torch.testing.assert_close(found.values, one, atol=1e-4, rtol=1e-3)
    both = gradients_of(network, x, torch.tensor([1, 2]))
    assert dense_input(both["4.weight"], both["4.bias"]).mixed > 0.01
    assert dense_input(torch.zeros(3, 2), torch.zeros(3)) is None
    with pytest.raises(ValueError, match="outputs, inputs"):
        dense_input(torch.zeros(3, 2), torch.zeros(2))


def test_gradients_are_those_of_backward_and_of_a_step():
    network, x, y = smooth_network(), smooth_images(3), torch.tensor([0, 1, 3])
    found = gradients_of(network, x, y)
    cross_entropy(network(x), y).backward()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)
    torch.optim.SGD(network.parameters(), 0.5).step()
    step = gradients_of_step(before, dict(network.named_parameters()), 0.5)
    for name in found:
        torch.testing.assert_close(step[name], found[name], atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="above 0"):
        gradients_of_step(before, before, 0)
    with pytest.raises(ValueError, match="differ in 6.bias"):
        gradients_of_step(before, {k: v for k, v in before.items() if k != "6.bias"}, 1)


def test_the_distances_by_hand():
    a = {"w": torch.tensor([3.0, 0.0]), "b": torch.tensor([4.0])}
    b = {"w": torch.tensor([0.0, 0.0]), "b": torch.tensor([2.0])}
    assert float(cosine_distance(a, b)) == pytest.approx(1 - 0.8)
    assert float(squared_distance(a, b)) == pytest.approx((9 + 4) / 4)
    # each parameter alone: the angles of (3, 0) to (1, 1) and of 4 to 2
    c = {"w": torch.tensor([1.0, 1.0]), "b": torch.tensor([2.0])}
    assert float(layers_distance(a, c)) == pytest.approx((1 - 0.5**0.5) / 2)
    # a gradient of 0 has no direction
    assert float(layers_distance(a, b)) == pytest.approx(0, abs=1e-6)
    assert float(roughness(torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]]))) == pytest.approx(2 + 1)


def test_the_search_finds_the_images_and_noise_gives_guessing():
    """Eight images, each attacked by its own gradients and by noise of the same length. Found at
    the first place each time; by noise at the mean place of guessing, 4.5 +- 2.3 / sqrt(8), and
    three of these are allowed.
    """
    network, images = smooth_network(), smooth_images(8)
    with_own, with_noise = [], []
    for i in range(8):
        g = gradients_of(network, images[i : i + 1], torch.tensor([i % CLASSES]))
        made = invert(network, g, PUBLIC, generator(i), how=QUICK)
        assert made.labels.tolist() == [i % CLASSES]
        with_own.append(place_among(made.images, images, i))
        random = {k: torch.randn(v.shape, generator=generator(i)) for k, v in g.items()}
        made = invert(network, random, PUBLIC, generator(i), how=QUICK, labels=torch.tensor([0]))
        assert made.entered is None
        with_noise.append(place_among(made.images, images, i))
    assert with_own == [1] * 8
    assert abs(np.mean(with_noise) - 4.5) < 3 * 2.3 / np.sqrt(8)
    assert np.mean(with_noise) > 1.5


def test_a_found_image_is_near_and_seeded_and_the_network_is_left_alone():
    network = smooth_network().train()
    x = smooth_images(1, seed=5)
    g = gradients_of(network, x, torch.tensor([2]))
    heard = []
    made = invert(
        network, g, PUBLIC, generator(), how=QUICK, watch=lambda s, i, p: heard.append(p["total"])
    )
    again = invert(network, g, PUBLIC, generator(), how=QUICK)
    assert torch.equal(made.images, again.images)
    start = PUBLIC.mean(0, keepdim=True)
    assert float((made.images - x).square().mean()) < 0.2 * float((start - x).square().mean())
    assert len(heard) == QUICK.steps
    assert heard[-1] < 0.2 * heard[0]
    assert float(made.images.abs().max()) <= 1
    assert network.training
    assert all(p.grad is None for p in network.parameters())


def test_two_images_come_back_in_some_order():
    network, x, y = smooth_network(), smooth_images(2, seed=7), torch.tensor([3, 1])
    made = invert(network, gradients_of(network, x, y), PUBLIC, generator(), count=2, how=QUICK)
    assert made.labels.tolist() == [1, 3]
    assert made.entered is None
    assert sorted(ranks.matched(made.images, x)) == [0, 1]
    order = ranks.matched(made.images, x)
    for i in range(2):
        alike = torch.corrcoef(torch.cat([made.images[order[i : i + 1]], x]).flatten(1))[0, 1:]
        assert alike[i] > max(0.3, alike[1 - i] + 0.2)


def test_the_recogniser_of_the_book_fits():
    network = Grouped(2, 16).eval()
    x = smooth_images(1)
    g = gradients_of(network, x, torch.tensor([1]))
    made = invert(network, g, PUBLIC, generator(), how=Search(steps=3))
    assert made.images.shape == x.shape
    true = network.blocks(x).flatten(1)[0]
    assert float((made.entered - true).detach().abs().max()) < 1e-4


def broken(gradients, name, value):
    return gradients | {name: value}


def test_gradients_that_do_not_fit_are_refused():
    network, x = smooth_network(), smooth_images(1)
    g = gradients_of(network, x, torch.tensor([0]))
    require_gradients(network, g)
    lacking = {k: v for k, v in g.items() if k != "0.weight"}
    for gradients, told in (
        (lacking, "lack 0.weight"),
        (broken(g, "7.bias", torch.zeros(1)), "more than the network does: 7.bias"),
        (broken(g, "6.bias", torch.zeros(5)), r"6.bias is \(5,\)"),
        (broken(g, "6.bias", torch.full((4,), np.nan)), "6.bias holds NaN"),
        ({k: torch.zeros_like(v) for k, v in g.items()}, "all gradients are 0"),
        (gradients_of(Grouped(2, 16), x, torch.tensor([0])), "same network"),
    ):
        with pytest.raises(ValueError, match=told):
            invert(network, gradients, PUBLIC, generator())
    frozen = smooth_network().requires_grad_(False)
    with pytest.raises(ValueError, match="requires_grad_"):
        invert(frozen, g, PUBLIC, generator())


def test_what_else_cannot_be_attacked_is_refused():
    network, x = smooth_network(), smooth_images(1)
    g = gradients_of(network, x, torch.tensor([0]))
    with pytest.raises(ValueError, match="at least one image"):
        invert(network, g, PUBLIC, generator(), count=0)
    with pytest.raises(ValueError, match="one step"):
        invert(network, g, PUBLIC, generator(), how=Search(steps=0))
    with pytest.raises(ValueError, match="need 2 labels"):
        invert(network, g, PUBLIC, generator(), count=2, labels=torch.tensor([0]))
    with pytest.raises(ValueError, match="public images of the size"):
        invert(network, g, PUBLIC[..., :8], generator())
    with pytest.raises(ValueError, match="not finite"):
        invert(network, g, PUBLIC * np.nan, generator())
    no_dense = nn.Sequential(nn.Conv2d(1, 2, SIZE), nn.Flatten())
    g = gradients_of(no_dense, x, torch.tensor([0]))
    with pytest.raises(ValueError, match="pass `labels`"):
        invert(no_dense, g, PUBLIC, generator())
    made = invert(no_dense, g, PUBLIC, generator(), labels=torch.tensor([0]), how=Search(steps=2))
    assert made.entered is None


def test_a_mean_over_sites_is_the_gradient_of_the_batch():
    network, x, y = smooth_network(), smooth_images(3), torch.tensor([0, 1, 3])
    whole = gradients_of(network, x, y)
    mean = seen.mean_of([gradients_of(network, x[i : i + 1], y[i : i + 1]) for i in range(3)])
    for name in whole:
        torch.testing.assert_close(mean[name], whole[name], atol=1e-6, rtol=1e-5)
    with pytest.raises(ValueError, match="same network"):
        seen.mean_of([whole, {}])


def test_clipping_shortens_and_does_not_turn():
    g = {"w": torch.tensor([3.0, 0.0]), "b": torch.tensor([4.0])}
    assert seen.length_of(g) == pytest.approx(5)
    short = seen.clipped(g, 1.0)
    assert seen.length_of(short) == pytest.approx(1)
    assert float(cosine_distance(g, short)) == pytest.approx(0, abs=1e-6)
    assert seen.clipped(g, 6.0)["w"].tolist() == [3, 0]
    with pytest.raises(ValueError, match="above 0"):
        seen.clipped(g, 0)


def test_noise_has_its_deviation_and_a_mask_says_nothing():
    n = 20_000
    g = {"w": torch.randn(n, generator=generator(1))}
    off = seen.noisy(g, 0.7, generator(2))["w"] - g["w"]
    assert float(off.std()) == pytest.approx(0.7, rel=4 / np.sqrt(2 * n))
    masked = seen.masked(g, generator(3))["w"].double()
    # uniform over the range: mean 0, deviation 2^63 / sqrt(12) steps, no correlation
    scale = 2.0 ** (seen.WORD_BITS - seen.FRACTION_BITS) / np.sqrt(12)
    assert float(masked.std()) == pytest.approx(scale, rel=4 / np.sqrt(n))
    alike = float(torch.corrcoef(torch.stack([masked, g["w"].double()]))[0, 1])
    assert abs(alike) < 4 / np.sqrt(n)


def test_ranks_by_hand_and_by_a_slow_twin():
    scores = np.array([[0.1, 0.9, 0.5], [2.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    assert ranks.rank_of(scores, np.array([2, 0, 1])).tolist() == [2, 1.5, 2]
    random = np.random.default_rng(0).normal(size=(20, 7))
    true = np.arange(20) % 7
    slow = [
        sorted(row, reverse=True).index(row[k]) + 1 for row, k in zip(random, true, strict=True)
    ]
    assert ranks.rank_of(random, true).tolist() == slow
    with pytest.raises(ValueError, match="true column"):
        ranks.rank_of(scores, np.array([0]))
    with pytest.raises(ValueError, match="cannot stand for"):
        ranks.matched(torch.zeros(2, 1, 4, 4), torch.zeros(3, 1, 4, 4))


def test_the_nearest_other_photograph_is_never_the_hidden_one():
    cohort = confounded(patients=4, each=4).of("train")
    points = np.eye(len(cohort), dtype=np.float32)
    rows = np.arange(len(cohort))
    open_scores = ranks.photograph_scores(points, points, cohort, np.full(len(cohort), -1))
    eyes = 2 * cohort.patient
    assert (ranks.rank_of(open_scores, eyes) == 1).all()
    hidden = ranks.photograph_scores(points, points, cohort, rows)
    # every other photograph is at right angles to the image: nothing tells the eyes apart
    assert (ranks.rank_of(hidden, eyes) == 2.5).all()
    assert np.isinf(hidden[:, 1::2]).all()


def test_the_finding_counts_over_patients():
    scores = np.full((4, 8), 0.0)
    eyes = np.array([0, 1, 4, 7])
    scores[[0, 1, 2], eyes[:3]] = 1
    scores[3, 2] = 1
    found = ranks.reidentified(scores, eyes, note="by hand")
    assert found.measures["rank1"] == pytest.approx(3 / 4)
    assert found.chance["rank1"] == pytest.approx(1 / 8)
    assert (found.n, found.patients, found.kind) == (4, 3, "naming")
    assert found.per_patient == {0: 1.0, 2: 1.0, 3: 0.0}
    assert found.knowledge.startswith("the network with its weights")
