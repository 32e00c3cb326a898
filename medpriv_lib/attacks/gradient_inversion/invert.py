"""The attack as a whole: from a network and the gradients of a step to images."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from medpriv_lib.attacks.gradient_inversion.basis import Basis
from medpriv_lib.attacks.gradient_inversion.dense import dense_input, dense_layers
from medpriv_lib.attacks.gradient_inversion.gradients import Gradients, require_gradients
from medpriv_lib.attacks.gradient_inversion.kinks import with_kinks
from medpriv_lib.attacks.gradient_inversion.labels import labels_of
from medpriv_lib.attacks.gradient_inversion.objective import Objective, Terms
from medpriv_lib.attacks.gradient_inversion.search import Coordinates, Pixels, Watcher, search

PURE = 1e-3  # up to this share of unexplained gradient, one image made the update


@dataclass(frozen=True)
class Search:
    """How long and how the search runs.

    `steps` of it from `rate` down to 0, `signed` or not (`search`), `noise` the standard deviation
    of what is laid over the public start, `terms` the objective's weights. With a `width` above 0
    the search follows the jumps of the gradients at the kinks of the network's ReLU (`Kink`), with
    a bump that narrows to `narrow` times its width.
    """

    steps: int = 60
    rate: float = 0.02
    noise: float = 0.02
    signed: bool = False
    terms: Terms = field(default_factory=Terms)
    width: float = 0.0
    narrow: float = 1 / 6


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What an update gave away: `images` (n, C, H, W) in [-1, 1] and their `labels` (n,), in an
    order of their own; `parts`, the objective's parts at the end; `entered`, what entered the
    first dense layer, where one image made the update, else None.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    parts: dict[str, float]
    entered: Float[Tensor, " i"] | None


def invert(
    network: nn.Module,
    gradients: Gradients,
    public: Float[Tensor, "m c h w"],
    generator: torch.Generator,
    *,
    count: int = 1,
    labels: Int64[Tensor, " n"] | None = None,
    basis: Basis | None = None,
    how: Search | None = None,
    watch: Watcher | None = None,
) -> Reconstruction:
    """Return the images that a step's gradients were made of, as far as the search finds them.

    Knowledge: the network with its weights before the step, the gradients of one step by the names
    of the parameters, how many images made them, and some public images of the same kind, of
    nobody in the training. `public` in [-1, 1], of the images' size: their mean is where the
    search starts, their mean softmax tells how labels are counted in a batch. `labels` None means:
    read from the last bias (`labels_of`). The network is judged in evaluation mode; batch norm
    then uses the statistics that the network holds, which the attacker may know or not. The noise
    over the start is drawn from `generator`. With a `basis` of public images the search moves in
    its coordinates, without one pixel by pixel. `watch(step, images, parts)` is called before each
    step. Raises `ValueError` for gradients that do not belong to the network
    (`require_gradients`), public images and a basis that do not fit, fewer than one image or step,
    and a network without a dense layer where the labels are not given. Source: Geiping et al. 2020
    (cosine, total variation, Adam); Phong et al. 2018 (the dense layer).
    """
    how = how or Search()
    require_gradients(network, gradients)
    gradients = {name: found.detach() for name, found in gradients.items()}
    if basis is not None and basis.mean.shape != public.shape[1:]:
        raise ValueError(
            f"the basis is of images of {tuple(basis.mean.shape)} and the public ones are "
            f"{tuple(public.shape[1:])}; make the basis of public images of the same size"
        )
    if count < 1 or how.steps < 1 or how.rate <= 0 or how.noise < 0:
        raise ValueError(
            f"a search needs at least one image and one step, a rate above 0 and a noise of 0 or "
            f"more, not {count} images, {how.steps} steps, {how.rate} and {how.noise}"
        )
    with in_evaluation(network):
        expected = _mean_softmax(network, public)
        layers = list(dense_layers(network, gradients))
        if labels is None:
            if not layers:
                raise ValueError(
                    "the network has no dense layer with a bias, from which labels could be read; "
                    "pass `labels`"
                )
            labels = labels_of(gradients[f"{layers[-1][0]}.bias"], count, expected)
        elif labels.shape != (count,):
            raise ValueError(
                f"{count} images need {count} labels, not {tuple(labels.shape)}; pass one for each"
            )
        entered = None
        if count == 1 and layers:
            name = layers[0][0]
            found = dense_input(gradients[f"{name}.weight"], gradients[f"{name}.bias"])
            entered = found.values if found is not None and found.mixed < PURE else None
        twin, kinks = with_kinks(network, how.width) if how.width > 0 else (network, [])
        objective = Objective(twin, gradients, labels, how.terms, entered)
        start = start_from(public, count, how.noise, generator)
        guess = Coordinates(start, basis) if basis is not None else Pixels(start)
        images, parts = search(
            objective, guess, how.steps, how.rate, how.signed, watch, kinks, how.narrow
        )
    return Reconstruction(images, labels, parts, entered)


def start_from(
    public: Float[Tensor, "m c h w"], count: int, noise: float, generator: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Return where a search starts: the mean of the public images, `count` times, each under noise
    of its own.
    """
    mean = public.mean(dim=0, keepdim=True)
    over = torch.randn((count, *mean.shape[1:]), generator=generator).to(mean)
    return (mean + noise * over).clamp(-1, 1)


@contextlib.contextmanager
def in_evaluation(network: nn.Module) -> Iterator[None]:
    """Set a network in evaluation mode for a block; each part is put back afterwards."""
    before = {part: part.training for part in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def _mean_softmax(network: nn.Module, public: Float[Tensor, "m c h w"]) -> Float[Tensor, " k"]:
    if public.ndim != 4 or len(public) == 0 or not bool(torch.isfinite(public).all()):
        raise ValueError(
            f"public images are (m, C, H, W) in [-1, 1], at least one, not {tuple(public.shape)} "
            "or not finite"
        )
    with torch.no_grad():
        try:
            return network(public).softmax(dim=1).mean(dim=0)
        except RuntimeError as error:
            raise ValueError(
                f"the network does not read public images of {tuple(public.shape[1:])} "
                f"({' '.join(str(error).split())[:120]}); give public images of the size that "
                "the network was made for"
            ) from error
