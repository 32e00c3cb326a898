"""The search for images whose gradients are the given ones: Adam with a cosine decay."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from medpriv_lib.attacks.gradient_inversion.basis import Basis
from medpriv_lib.attacks.gradient_inversion.kinks import Kink
from medpriv_lib.attacks.gradient_inversion.objective import Objective

Watcher = Callable[[int, Tensor, dict], None]


class Guess(Protocol):
    """What a search moves, and the images that it stands for."""

    moved: list[Tensor]

    def images(self) -> Float[Tensor, "n c h w"]:
        """Return the images, differentiable in `moved`."""

    def settle(self) -> None:
        """Bring back what a step has taken out of range."""


class Pixels:
    """A guess pixel by pixel, in [-1, 1]."""

    def __init__(self, start: Float[Tensor, "n c h w"]) -> None:
        """Take where the search starts."""
        self.moved = [start.detach().clone().requires_grad_(True)]

    def images(self) -> Float[Tensor, "n c h w"]:
        """Return the pixels themselves."""
        return self.moved[0]

    def settle(self) -> None:
        """Bring each pixel back to [-1, 1]."""
        with torch.no_grad():
            self.moved[0].clamp_(-1, 1)


class Coordinates:
    """A guess in the coordinates of a basis, added to a start; not clamped on the way."""

    def __init__(self, start: Float[Tensor, "n c h w"], basis: Basis) -> None:
        """Take where the search starts, and in which coordinates."""
        self.start, self.basis = start.detach() - basis.mean, basis
        self.moved = [one.requires_grad_(True) for one in basis.start(len(start))]

    def images(self) -> Float[Tensor, "n c h w"]:
        """Return the images at these coordinates."""
        return self.start + self.basis.images(*self.moved)

    def settle(self) -> None:
        """Leave all as it is: the spread of the public images is what holds a guess in range."""


def search(
    objective: Objective,
    guess: Guess,
    steps: int,
    rate: float,
    signed: bool = False,
    watch: Watcher | None = None,
    kinks: Sequence[Kink] = (),
    narrow: float = 1.0,
) -> tuple[Float[Tensor, "n c h w"], dict[str, float]]:
    """Return the images after `steps` steps of the guess, in [-1, 1], and the parts of their
    objective.

    The rate falls from `rate` to 0 along half a cosine; the width of the `kinks` falls beside it to
    `narrow` times its first value. With `signed`, Adam is given only the sign of each derivative,
    so that all pixels move at one pace whatever the size of the gradients (Geiping et al. 2020).
    `watch(step, images, parts)` is called before each step. Raises `ValueError` where the objective
    is no longer finite.
    """
    tool, wide = torch.optim.Adam(guess.moved, rate), [kink.width for kink in kinks]
    for step in range(steps):
        left = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in tool.param_groups:
            group["lr"] = rate * left
        for kink, width in zip(kinks, wide, strict=True):
            kink.width = width * (narrow + (1 - narrow) * left)
        x = guess.images()
        total, parts = objective(x)
        if not math.isfinite(parts["total"]):
            raise ValueError(
                f"the search left the finite numbers in step {step}; try a smaller rate than {rate}"
            )
        if watch is not None:
            watch(step, x.detach().clamp(-1, 1), dict(parts))
        for one, slope in zip(guess.moved, torch.autograd.grad(total, guess.moved), strict=True):
            one.grad = slope.sign() if signed else slope
        tool.step()
        guess.settle()
    found = guess.images().detach().clamp(-1, 1)
    _, parts = objective(found)
    return found, dict(parts)
