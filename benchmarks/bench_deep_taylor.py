"""Deep Taylor over the test images, batched, beside zennit one image at a time and beside captum's LRP.

Ours and the peers take turns on the same images and the same recogniser (random weights: the time does not depend on
them). zennit runs its own ZPlus and ZBox on the merged network, as its documentation shows, one image per call; captum
has no z-box, so its LRP runs alpha-1 beta-0 (z+) throughout, on the same merged network, batched. Medians; ratio =
ours / peer.
"""

import time
from statistics import median

import torch
from torch import nn
from zennit.composites import SpecialFirstLayerMapComposite
from zennit.rules import ZBox, ZPlus

from medpriv_lib.explanation.deep_taylor import deep_taylor
from medpriv_lib.explanation.unfold import unfold
from medpriv_lib.recognition.networks import Recogniser

IMAGES = 359  # the test images of the default cohort
FEW = 24  # for the peer that takes one image at a time
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
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
    for layer in chain:
        layer.rule = EpsilonRule() if isinstance(layer, nn.Flatten) else Alpha1_Beta0_Rule(set_bias_to_zero=True)
    return LRP(chain).attribute(x.clone(), target=0)


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    torch.manual_seed(0)
    network = Recogniser(2, 64).eval()
    network.head.bias.data += 5  # a positive logit
    x = torch.rand(IMAGES, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    chain = unfold(network, x[:1])
    works = {
        "ours": (lambda: deep_taylor(network, x), IMAGES),
        "zennit one image at a time": (lambda: one_at_a_time(chain, x[:FEW]), FEW),
        "captum's LRP, batched": (lambda: [with_captum(unfold(network, x[:1]), part) for part in x.split(16)],
                                  IMAGES),
    }
    speed = {name: [] for name in works}
    for repeat in range(REPEATS + 1):
        for name, (work, count) in works.items():
            start = time.perf_counter()
            work()
            if repeat:  # the first round warms up
                speed[name].append(count / (time.perf_counter() - start))
    ours = median(speed.pop("ours"))
    return [{"name": f"Deep Taylor beside {name}", "ours": ours, "peer": median(each), "ratio": ours / median(each),
             "unit": "images/s"} for name, each in speed.items()]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<48} {row['ours']:8.0f} {row['unit']}  peer {row['peer']:8.0f}   ratio {row['ratio']:.2f}")
