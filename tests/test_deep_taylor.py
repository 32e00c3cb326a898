"""Deep Taylor against iNNvestigate's tensors, zennit's own rules and a slow hand-written twin."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from zennit.composites import SpecialFirstLayerMapComposite
from zennit.rules import ZBox, ZPlus

from medpriv_lib.explanation.deep_taylor import deep_taylor, explainable
from medpriv_lib.explanation.unfold import unfold
from medpriv_lib.recognition.networks import Recogniser

VECTORS = Path(__file__).parent / "reference" / "deep_taylor" / "innvestigate_layers.npz"


def recogniser(size=16, seed=0, classes=2):
    """A recogniser with lively batch-norm statistics, as after training; random weights
    otherwise."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Recogniser(classes, size)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                nn.init.normal_(module.weight, 1, 0.2)
                nn.init.normal_(module.bias, 0.1, 0.2)
        network.head.bias.data.uniform_(0.5, 1)  # a positive logit to explain
    return network.eval()


def images(n=4, size=16, seed=1):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# Average pooling only beside LRPZPlus: iNNvestigate's DeepTaylor divides a mean equally (its
# gradient), Montavon et al. and iNNvestigate's LRPZPlus in proportion, as we do.
@pytest.mark.parametrize(
    ("analyzer", "box", "layer"),
    [
        (analyzer, box, layer)
        for analyzer, box in (
            ("DeepTaylor", None),
            ("LRPZPlus", None),
            ("BoundedDeepTaylor", (-128.0, 128.0)),
        )
        for layer in (
            "Dense",
            "Dense_relu",
            "Conv2D",
            "Conv2D_relu",
            "MaxPooling2D",
            "AveragePooling2D",
        )
        if layer != "AveragePooling2D" or analyzer == "LRPZPlus"
    ],
)
def test_agrees_with_innvestigate_to_1e_5(analyzer, box, layer):
    with np.load(VECTORS, allow_pickle=False) as file:
        vectors = {
            key.split("__")[-1]: file[key]
            for key in file.files
            if key.startswith(f"{analyzer}__{layer}__")
        }
        x = torch.from_numpy(file["input"]).permute(0, 3, 1, 2).contiguous()
    weights = {
        "Dense": lambda: nn.Conv2d(3, 5, 1),
        "Conv2D": lambda: nn.Conv2d(3, 5, 3),
    }  # keras Dense acts per pixel
    kind = layer.removesuffix("_relu")
    if kind in weights:
        linear = weights[kind]()
        w = torch.from_numpy(vectors["weights0"])
        linear.weight.data = (w[None, None] if w.ndim == 2 else w).permute(3, 2, 0, 1).contiguous()
        linear.bias.data = torch.from_numpy(vectors["weights1"])
        layers = [linear, nn.ReLU()] if layer.endswith("relu") else [linear]
    else:
        layers = [nn.MaxPool2d(2) if kind == "MaxPooling2D" else nn.AvgPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten())
    # their flattened output runs (row, column, channel), ours (channel, row, column): compare it
    # sorted
    with torch.no_grad():
        assert np.allclose(np.sort(network(x).numpy()), np.sort(vectors["output"]), atol=1e-5)
    got = deep_taylor(network, x, box=box).permute(0, 2, 3, 1).numpy()
    assert np.abs(got - vectors["attribution"]).max() < 1e-5
    assert np.abs(vectors["attribution"]).max() > 0.01


def zplus_by_hand(a, w, relevance):
    """R_i = a_i sum_j w+_ij R_j / sum_i a_i w+_ij, one output neuron at a time. `w` (outputs,
    inputs)."""
    out = np.zeros_like(a)
    for j in np.flatnonzero(relevance):
        parts = a * np.maximum(w[j], 0)
        if parts.sum() > 0:
            out += parts / parts.sum() * relevance[j]
    return out


def conv_by_hand(a, weight, relevance, box=None):
    """The same for a convolution with zero padding: each output pixel sees a window. `box` makes it
    z-box."""
    _, height, width = a.shape
    k = weight.shape[-1]
    pad = k // 2
    out = np.zeros((a.shape[0], height + 2 * pad, width + 2 * pad))
    frame = [(0, 0), (pad, pad), (pad, pad)]
    up = np.pad(a - box[0], frame) if box else np.pad(a, frame)
    down = np.pad(a - box[1], frame) if box else None
    for j, r, c in zip(*np.nonzero(relevance), strict=True):
        window = (slice(None), slice(r, r + k), slice(c, c + k))
        parts = up[window] * np.maximum(weight[j], 0)
        if box:
            parts = parts + down[window] * np.minimum(weight[j], 0)
        if parts.sum() > 0:
            out[window] += parts / parts.sum() * relevance[j, r, c]
    return out[:, pad:-pad, pad:-pad]


def pool_by_hand(a, relevance):
    out = np.zeros_like(a)
    for j, r, c in zip(*np.nonzero(relevance), strict=True):
        window = a[j, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2]
        dr, dc = np.unravel_index(window.argmax(), (2, 2))
        out[j, 2 * r + dr, 2 * c + dc] = relevance[j, r, c]
    return out


def twin_by_hand(network, image):
    """Deep Taylor of one image (1, size, size) in float64, layer by layer, batch norm merged by its
    definition."""
    inputs, weights, a = [], [], image.double()
    for conv, norm, _, _ in network.blocks:
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = conv.weight.double() * scale[:, None, None, None]
        bias = norm.bias.double() - norm.running_mean.double() * scale
        hidden = torch.relu(torch.conv2d(a[None], weight, bias, padding=conv.padding)[0])
        inputs.append((a.detach().numpy(), hidden.detach().numpy()))
        weights.append(weight.detach().numpy())
        a = torch.max_pool2d(hidden[None], 2)[0]
    flat = a.detach().flatten().numpy()
    dense, head = network.dense[1], network.head
    embedding = np.maximum(
        dense.weight.detach().double().numpy() @ flat + dense.bias.detach().double().numpy(), 0
    )
    logits = head.weight.detach().double().numpy() @ embedding + head.bias.detach().double().numpy()
    relevance = np.where(np.arange(len(logits)) == logits.argmax(), logits, 0)
    relevance = zplus_by_hand(embedding, head.weight.detach().double().numpy(), relevance)
    relevance = zplus_by_hand(flat, dense.weight.detach().double().numpy(), relevance).reshape(
        a.shape
    )
    for level in (3, 2, 1, 0):
        before, hidden = inputs[level]
        relevance = pool_by_hand(hidden, relevance)
        relevance = conv_by_hand(before, weights[level], relevance, (-1, 1) if level == 0 else None)
    return relevance


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_the_hand_written_twin_on_our_recogniser(seed):
    network, x = recogniser(seed=seed), images(2, seed=seed + 5)
    maps = deep_taylor(network, x)
    for image, got in zip(x, maps, strict=True):
        expected = twin_by_hand(network, image)
        assert np.abs(got.numpy() - expected).max() < 1e-4 * expected.max()


def test_agrees_with_zennits_own_rules_one_image_at_a_time():
    network, x = recogniser(), images(3)
    chain = unfold(network, x)
    composite = SpecialFirstLayerMapComposite(
        layer_map=[((nn.Conv2d, nn.Linear), ZPlus(stabilizer=1e-9, zero_params="bias"))],
        first_map=[(nn.Conv2d, ZBox(-1.0, 1.0, stabilizer=1e-9, zero_params="bias"))],
    )
    ours = deep_taylor(network, x)
    for i in range(3):
        with composite.context(chain) as modified:
            image = x[i : i + 1].clone().requires_grad_()
            out = modified(image)
            seed = torch.where(out == out.max(), out, 0).detach()
            theirs = torch.autograd.grad(out, image, seed)[0]
        assert torch.allclose(ours[i : i + 1], theirs, rtol=1e-3, atol=1e-5 * float(theirs.max()))


def test_relevance_is_conserved_within_1e_3_where_every_active_neuron_has_a_positive_input():
    # without biases, every active neuron has one: relevance then sums to the logit
    network = recogniser(size=32)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.zero_()
            module.bias.data.zero_()
        elif isinstance(module, nn.Linear):
            module.bias.data.zero_()
    network.head.weight.data.abs_()  # every logit is positive
    x = images(16, 32)
    with torch.no_grad():
        logits = network(x)
    rows = explainable(network, x)
    assert rows.all()
    total = deep_taylor(network, x[rows]).sum((1, 2, 3))
    assert torch.allclose(total, logits[rows].amax(1), rtol=1e-3)


def test_biases_take_no_relevance_where_zennits_default_lets_them():
    network, x = recogniser(size=32), images(8, 32)
    with torch.no_grad():
        logits = network(x).amax(1)
    ours = deep_taylor(network, x).sum((1, 2, 3)) / logits
    chain = unfold(network, x)
    composite = SpecialFirstLayerMapComposite(
        layer_map=[((nn.Conv2d, nn.Linear), ZPlus())], first_map=[(nn.Conv2d, ZBox(-1.0, 1.0))]
    )
    with composite.context(chain) as modified:
        image = x.clone().requires_grad_()
        out = modified(image)
        default = torch.autograd.grad(
            out, image, torch.where(out == out.amax(1, keepdim=True), out, 0).detach()
        )[0]
    default = default.sum((1, 2, 3)) / logits
    assert (ours - 1).abs().max() < 1e-3
    assert default.max() < 0.95  # with zennit's default the biases keep the rest


def test_maps_are_never_negative_and_do_not_depend_on_the_batch():
    network, x = recogniser(), images(7)
    maps = deep_taylor(network, x)
    assert maps.shape == x.shape
    assert maps.min() >= 0
    alone = torch.cat([deep_taylor(network, x[i : i + 1]) for i in range(7)])
    for other in (alone, deep_taylor(network, x, batch=3)):
        assert torch.allclose(maps, other, rtol=1e-3, atol=1e-6 * float(maps.max()))


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("bias", [-1.0, 0.0, 1.0])
def test_constant_images_and_extreme_biases_give_finite_maps(value, bias):
    network = recogniser()
    network.dense[1].bias.data.fill_(bias)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data.fill_(bias)
    x = torch.full((1, 1, 16, 16), value)
    if not bool(explainable(network, x)):
        with pytest.raises(ValueError, match="logit <= 0"):
            deep_taylor(network, x)
        return
    maps = deep_taylor(network, x)
    assert torch.isfinite(maps).all()
    with torch.no_grad():
        logit = float(network(x).max())
    assert float(maps.sum()) <= logit * (1 + 1e-3)  # biases may keep relevance, never add it


def test_a_neuron_that_only_its_bias_makes_active_gives_no_relevance_further():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2))
    network[0].weight.data = torch.tensor([1.0, 1.0]).reshape(2, 1, 1, 1)
    network[0].bias.data = torch.tensor([0.0, 3.0])
    network[3].weight.data = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    network[3].bias.data = torch.zeros(2)
    at_floor = deep_taylor(
        network, torch.full((1, 1, 1, 1), -1.0), 0
    )  # (x - low) w+ = 0: nothing can be given
    assert float(at_floor.sum()) == 0
    inside = deep_taylor(network, torch.full((1, 1, 1, 1), 0.5), 0)
    assert float(inside.sum()) == pytest.approx(4.0)  # 0.5 and 3.5 both arrive


def test_the_network_is_left_as_it_was():
    network = recogniser().train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    deep_taylor(network, images(2))
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in network.modules()
    )


def test_batch_norm_is_merged_without_changing_the_logits():
    network, x = recogniser(size=32), images(5, 32)
    chain = unfold(network, x)
    assert not any(isinstance(layer, (nn.BatchNorm2d, nn.Dropout)) for layer in chain)
    with torch.no_grad():
        assert torch.allclose(chain(x), network(x), atol=1e-5)


def test_a_target_class_can_be_chosen_for_all_or_for_each_image():
    network, x = recogniser(classes=3), images(3)
    one = deep_taylor(network, x, 1)
    each = deep_taylor(network, x, torch.tensor([1, 2, 1]))
    assert torch.equal(one[[0, 2]], each[[0, 2]])
    assert not torch.allclose(one[1], each[1])
    with pytest.raises(ValueError, match="class 3 of a network with 3"):
        deep_taylor(network, x, 3)
    with pytest.raises(ValueError, match="one class or one per image"):
        deep_taylor(network, x, torch.tensor([1, 2]))


def test_a_logit_of_zero_or_less_is_refused_and_named():
    network, x = recogniser(), images(3)
    network.head.weight.data.zero_()
    network.head.bias.data = torch.tensor([-1.0, 0.0])
    assert not explainable(network, x).any()
    with pytest.raises(ValueError, match="image 0 \\(and 2 more\\) has a logit <= 0"):
        deep_taylor(network, x)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = (
            nn.Conv2d(1, 1, 3, padding=1),
            nn.ReLU(),
            nn.Linear(256, 2),
        )

    def forward(self, x):
        return self.head((x + self.relu(self.conv(x))).flatten(1))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(392, 2)),
            "unsupported layer LeakyRe",
        ),
        (
            nn.Sequential(
                nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(392, 2)
            ),
            "must directly",
        ),
        (nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.Linear(8, 2)), "without a ReLU"),
        (Skip(), "not a plain chain"),
    ],
)
def test_network_with_an_unsupported_layer(network, message):
    with pytest.raises(ValueError, match=message):
        deep_taylor(network, images(2))


def test_image_of_another_size():
    with pytest.raises(ValueError, match="images are 32x32, the network was made for 16x16"):
        deep_taylor(recogniser(), images(2, 32))
    with pytest.raises(ValueError, match="do not fit this network"):
        deep_taylor(nn.Sequential(nn.Flatten(), nn.Linear(256, 2)), images(2, 32))


def test_values_outside_the_box_and_nan():
    x = images(2)
    for wrong in (x * 255, torch.full_like(x, float("nan"))):
        with pytest.raises(ValueError, match=r"must lie in \[-1.0, 1.0\]"):
            deep_taylor(recogniser(), wrong)


def test_no_image_gives_no_map():
    assert deep_taylor(recogniser(), images(0)).shape == (0, 1, 16, 16)
    assert explainable(recogniser(), images(0)).shape == (0,)
