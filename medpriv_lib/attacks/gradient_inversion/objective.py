"""What the search makes small: angle to the gradients, roughness, error of the dense input."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from medpriv_lib.attacks.gradient_inversion.dense import dense_layers
from medpriv_lib.attacks.gradient_inversion.gradients import Gradients, gradients_of

TINY = 1e-20  # far below the gradients of a network that is sure
Distance = Literal["cosine", "layers", "squared"]


@dataclass(frozen=True)
class Terms:
    """How the parts of the objective are weighed.

    `distance` between gradients: "cosine", 1 - the cosine of their angle, which does not see their
    length (Geiping et al. 2020); "layers", the same for each parameter alone and their mean, so
    that a dense layer with large gradients does not drown the convolutions; "squared", the squared
    distance over the squared length of the given ones (Zhu et al. 2019). `roughness` weighs total
    variation, `dense` the relative error of
    what enters the first dense layer (used where one image made the update).
    """

    distance: Distance = "layers"
    roughness: float = 0.03
    dense: float = 1.0


def roughness(x: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Return the total variation: mean |difference| of neighbours along rows plus along columns."""
    across = (x[..., 1:] - x[..., :-1]).abs().mean()
    return across + (x[..., 1:, :] - x[..., :-1, :]).abs().mean()


def cosine_distance(found: Gradients, wanted: Gradients) -> Float[Tensor, ""]:
    """Return 1 - <found, wanted> / (|found| |wanted|) over all parameters as one vector."""
    a = torch.cat([found[name].flatten() for name in wanted])
    b = torch.cat([wanted[name].flatten() for name in wanted])
    return 1 - (a / (a.norm() + TINY)) @ (b / (b.norm() + TINY))


def squared_distance(found: Gradients, wanted: Gradients) -> Float[Tensor, ""]:
    """Return |found - wanted|^2 / |wanted|^2 over all parameters as one vector."""
    a = torch.cat([found[name].flatten() for name in wanted])
    b = torch.cat([wanted[name].flatten() for name in wanted])
    return (a - b).square().sum() / (b.square().sum() + TINY)


def layers_distance(found: Gradients, wanted: Gradients) -> Float[Tensor, ""]:
    """Return the mean of 1 - cosine over the parameters, each as a vector of its own.

    Parameters whose given gradient is 0 are left out: they have no direction.
    """
    apart = [
        cosine_distance({name: found[name]}, {name: wanted[name]})
        for name in wanted
        if bool(wanted[name].any())
    ]
    return torch.stack(apart).mean()


DISTANCES = {
    "cosine": cosine_distance,
    "layers": layers_distance,
    "squared": squared_distance,
}


class Objective:
    """The number that is to become small, as a function of the images alone."""

    def __init__(
        self,
        network: nn.Module,
        gradients: Gradients,
        labels: Int64[Tensor, " n"],
        terms: Terms,
        entered: Float[Tensor, " i"] | None = None,
    ) -> None:
        """Take what is known; `entered` is what entered the first dense layer, None where it is
        not known.
        """
        self.network, self.gradients, self.labels = network, gradients, labels
        self.terms, self.entered = terms, entered
        self.layer = next((layer for _, layer in dense_layers(network, gradients)), None)

    def __call__(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """Return the objective of these images, differentiable, and its parts as numbers."""
        seen: list[Tensor] = []
        watched = (
            self.layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
            if self.layer is not None and self.entered is not None
            else None
        )
        try:
            found = gradients_of(self.network, x, self.labels, create_graph=True)
        finally:
            if watched is not None:
                watched.remove()
        angle = DISTANCES[self.terms.distance](found, self.gradients)
        rough = roughness(x)
        total, parts = angle + self.terms.roughness * rough, {"gradients": float(angle.detach())}
        if self.entered is not None and seen:
            off = (seen[0] - self.entered).norm() / (self.entered.norm() + TINY)
            total, parts["dense"] = total + self.terms.dense * off, float(off.detach())
        return total, parts | {"roughness": float(rough.detach()), "total": float(total.detach())}
