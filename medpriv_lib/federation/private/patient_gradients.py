"""One step's gradient with the patient as unit: who is drawn, what each adds, the clip, the noise.

A patient adds the mean gradient of at most `most` of the patient's images, scaled down to the
length `clip` where it is longer. So no patient moves the sum by more than `clip`, however many
images the patient has (McMahan et al. 2018 clip per user in this way; Abadi et al. 2016 per image).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

TINY = 1e-12  # keeps a gradient of length 0 from dividing by 0
Gradients = dict[str, Tensor]


@dataclass(frozen=True)
class Mechanism:
    """What one step does to the patients' gradients.

    Each patient is drawn with probability `rate`, independently (Poisson sampling); at most `most`
    of a patient's images count; `clip` is the length to which a patient's gradient is cut, infinite
    for no clipping; `noise` the noise multiplier: normal noise of standard deviation `noise * clip`
    is added to each number of the sum. Raises `ValueError` for numbers out of range, and for noise
    without a clip: no noise hides a patient whose weight has no bound.
    """

    rate: float
    clip: float = 1.0
    noise: float = 0.0
    most: int = 8

    def __post_init__(self) -> None:
        """Refuse what is no mechanism."""
        if not 0 < self.rate <= 1:
            raise ValueError(f"patients are drawn with a rate in 0..1, not {self.rate}")
        if not self.clip > 0 or not self.noise >= 0 or self.most < 1:
            raise ValueError(
                f"clip {self.clip}, noise {self.noise}, {self.most} images a patient: choose a "
                "clip above 0, a noise of at least 0 and at least one image"
            )
        if self.noise > 0 and self.clip == float("inf"):
            raise ValueError("noise without clipping hides nobody; choose a finite clip")


def draw_patients(count: int, rate: float, generator: torch.Generator) -> Int64[Tensor, " k"]:
    """Return which of `count` patients take part in a step, each with probability `rate` for
    itself; perhaps nobody.

    The accountants assume this draw. Batches of a fixed size, or a walk through a shuffled list,
    are another mechanism with another epsilon.
    """
    return torch.nonzero(torch.rand(count, generator=generator) < rate)[:, 0]


def draw_images(
    members: Sequence[Int64[Tensor, " i"]], most: int, generator: torch.Generator
) -> tuple[Int64[Tensor, "k m"], Float[Tensor, "k m"]]:
    """Return at most `most` images of each patient, and the weight of each: 1 / their number.

    `members` holds the rows of each patient's images. Where a patient has fewer, the last rows are
    the patient's first image again, with weight 0. Raises `ValueError` for a patient without image.
    """
    if any(len(rows) == 0 for rows in members):
        raise ValueError("a patient without image cannot take part; leave the patient out")
    width = min(most, max((len(rows) for rows in members), default=1))
    drawn = torch.zeros(len(members), width, dtype=torch.long)
    weight = torch.zeros(len(members), width)
    for place, rows in enumerate(members):
        order = torch.randperm(len(rows), generator=generator)[:width]
        drawn[place], weight[place, : len(order)] = rows[0], 1 / len(order)
        drawn[place, : len(order)] = rows[order]
    return drawn, weight


def patient_gradients(
    network: nn.Module,
    images: Float[Tensor, "k m c h w"],
    labels: Int64[Tensor, "k m"],
    weight: Float[Tensor, "k m"],
    class_weights: Float[Tensor, " classes"] | None = None,
) -> Gradients:
    """Return each of K patients' gradient of the weighted cross-entropy over the patient's M
    images: parameter name -> (K, *parameter's shape).

    The network must treat each image for itself: a batch norm mixes patients, and `ValueError` says
    so. Its dropout is off.
    """
    refuse_mixing(network)
    parameters = {key: value.detach() for key, value in network.named_parameters()}
    buffers = {key: value.detach() for key, value in network.named_buffers()}

    def loss(parameters: Gradients, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        output = functional_call(network, (parameters, buffers), (x,))
        return (functional.cross_entropy(output, y, class_weights, reduction="none") * w).sum()

    training = network.training
    network.eval()
    try:
        return vmap(grad(loss), in_dims=(None, 0, 0, 0))(parameters, images, labels, weight)
    finally:
        network.train(training)


def clipped_sum(gradients: Gradients, clip: float) -> tuple[Gradients, Float[Tensor, " k"]]:
    """Return the sum over patients of gradients of length at most `clip`, and the K lengths before.

    A patient's length is that of all parameters together.
    """
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients.values()]).norm(dim=0)
    factor = (clip / norms.clamp_min(TINY)).clamp(max=1)
    return {key: torch.tensordot(factor, value, dims=1) for key, value in gradients.items()}, norms


def noised(total: Gradients, scale: float, generator: torch.Generator) -> Gradients:
    """Return the sum with normal noise of standard deviation `scale` added to each number.

    Numbers of 32 bits are not the real numbers of the proof: an attacker who sees all bits of one
    sum may exclude some values (Mironov 2012). Secure aggregation's fixed point, or the mean of
    many steps, leaves little of that; nothing here rules it out.
    """
    if scale == 0:
        return total
    return {
        key: value + scale * torch.randn(value.shape, generator=generator)
        for key, value in total.items()
    }


def refuse_mixing(network: nn.Module) -> None:
    """Raise `ValueError` for a network with batch norm."""
    mixing = [
        n for n, m in network.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    if mixing:
        raise ValueError(
            f"layer {mixing[0]} is a batch norm: its statistics are of several patients, so no "
            "patient's part can be cut; take `recognition.grouped.Grouped`"
        )
