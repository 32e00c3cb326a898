"""Deep Taylor over the test images, batched, beside zennit one image at a time and beside captum's
LRP.

Ours and the peers take turns on the same images and the same recogniser (random weights: the time
does not depend on them). zennit runs its own ZPlus and ZBox on the merged network, as its
documentation shows, one image per call. captum does not run on the recogniser as it is (it has no
rule for flattening; a line of the table says what it answers) and has no z-box; given a rule for
every layer of our merged network its LRP runs with alpha-1 beta-0 (z+) throughout, batched as ours.
Before anything is timed the maps are compared. Medians; ratio = ours / peer. Half a minute on one
core.
"""

import copy
import re
import time
from statistics import median

import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import nn
from zennit.composites import SpecialFirstLayerMapComposite
from zennit.rules import ZBox, ZPlus

from medpriv_lib.explanation.deep_taylor import deep_taylor
from medpriv_lib.explanation.unfold import unfold
from medpriv_lib.recognition.networks import Recogniser

IMAGES = 359  # the test images of the default cohort
FEW = 24  # for the peer that takes one image at a time
BATCH = 16  # of ours (the default of `deep_taylor`) and of captum
REPEATS = 5


def one_at_a_time(chain: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    composite = SpecialFirstLayerMapComposite(
        layer_map=[((nn.Conv2d, nn.Linear), ZPlus(zero_params="bias"))],
        first_map=[(nn.Conv2d, ZBox(-1.0, 1.0, zero_params="bias"))],
    )
    maps = []
    with composite.context(chain) as modified:
        for image in x.split(1):
            image = image.clone().requires_grad_()
            out = modified(image)
            seed = torch.where(out == out.amax(1, keepdim=True), out, 0).detach()
            maps.append(torch.autograd.grad(out, image, seed)[0])
    return torch.cat(maps)


def with_captum(chain: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    maps = []
    for part in x.split(BATCH):
        for layer in chain:  # captum takes the rules away after each call
            if isinstance(layer, nn.Flatten):
                layer.rule = EpsilonRule()
            elif isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.rule = Alpha1_Beta0_Rule(set_bias_to_zero=True)
        maps.append(LRP(chain).attribute(part.clone().requires_grad_(), target=0).detach())
    return torch.cat(maps)


def answer_of_captum(network: nn.Module, x: torch.Tensor) -> str:
    """Return what captum's LRP says to the recogniser as it is: "runs", or why it does not."""
    try:
        LRP(copy.deepcopy(network)).attribute(x.clone().requires_grad_(), target=0)
    except TypeError as error:
        layer = re.search(r"\.(\w+)'>", str(error))
        return f"does not run: no rule for {layer[1]}" if layer else f"does not run: {error}"
    return "runs"


def compare(network: nn.Module, chain: nn.Sequential, x: torch.Tensor) -> None:
    """Raise `AssertionError` where the peers do not draw the maps that ours draws."""
    ours = deep_taylor(network, x)
    assert torch.allclose(ours, one_at_a_time(chain, x), rtol=1e-2, atol=1e-4 * float(ours.max()))
    positive = (x + 1) / 2  # without z-box, inputs must be >= 0
    ours = deep_taylor(network, positive, 0, box=None)
    assert torch.allclose(
        ours, with_captum(copy.deepcopy(chain), positive), rtol=1e-2, atol=1e-4 * float(ours.max())
    )


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Recogniser(2, 64).eval()
    network.head.bias.data += 5  # positive logits
    x = torch.rand(IMAGES, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    chain, for_captum = unfold(network, x[:1]), unfold(network, x[:1])
    compare(network, chain, x[:4])
    works = {
        "ours": (lambda: deep_taylor(network, x, batch=BATCH), IMAGES),
        "zennit, one image at a time": (lambda: one_at_a_time(chain, x[:FEW]), FEW),
        "captum's LRP, batched, z+ in all layers": (lambda: with_captum(for_captum, x), IMAGES),
    }
    speed: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(REPEATS + 1):
        for name, (work, count) in works.items():
            start = time.perf_counter()
            work()
            if repeat:  # the first round warms up
                speed[name].append(count / (time.perf_counter() - start))
    ours = median(speed.pop("ours"))
    rows = [
        {
            "name": f"Deep Taylor beside {name}",
            "ours": ours,
            "peer": median(each),
            "ratio": ours / median(each),
            "unit": "images/s",
        }
        for name, each in speed.items()
    ]
    answer = answer_of_captum(network, x[:2])
    return [
        *rows,
        {
            "name": f"Deep Taylor beside captum's LRP on the recogniser as it is ({answer})",
            "ours": ours,
            "peer": None,
            "ratio": None,
            "unit": "images/s",
        },
    ]


if __name__ == "__main__":
    for row in run():
        beside = (
            "" if row["peer"] is None else f"  peer {row['peer']:8.0f}   ratio {row['ratio']:.2f}"
        )
        print(f"{row['name']:<72} {row['ours']:8.0f} {row['unit']}{beside}")
