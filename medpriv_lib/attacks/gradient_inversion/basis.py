"""What public images tell of an unknown one: coordinates in which a search moves."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Basis:
    """Coordinates of images of one kind, each with the spread of the public images as its unit.

    An image is `mean` (c, h, w) + `directions` (c*h*w, k) times k numbers + waves. The directions
    are the principal ones of the public images, as long as these spread along them; `spread` (h, w)
    is how strong each wave (of the cosine transform) is in what the directions leave over.
    """

    mean: Float[Tensor, "c h w"]
    directions: Float[Tensor, "p k"]
    spread: Float[Tensor, "h w"]

    @classmethod
    def of(cls, public: Float[Tensor, "m c h w"], most: int) -> Self:
        """Return the basis of at least two public images, with at most `most` directions.

        The spread of a wave is the mean over all waves as long as it. Raises `ValueError` for fewer
        than two images or no direction.
        """
        if len(public) < 2 or most < 1:
            raise ValueError(
                f"a basis needs at least two public images and one direction, not {len(public)} "
                f"and {most}"
            )
        mean = public.mean(dim=0)
        apart = (public - mean).flatten(1)
        # the Gram matrix is smaller than the covariance where there are fewer images than pixels
        values, vectors = torch.linalg.eigh((apart @ apart.T).double())
        count = min(most, len(public) - 1)
        values = values.flip(0)[:count].clamp_min(1e-9)
        unit = apart.T @ (vectors.flip(1)[:, :count] / values.sqrt()).to(apart)
        left = (apart - (apart @ unit) @ unit.T).view_as(public)
        directions = unit * (values / len(public)).sqrt().to(apart)
        return cls(mean, directions, _by_length(waves(left).square().mean(dim=(0, 1)).sqrt()))

    def start(self, count: int) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n c h w"]]:
        """Return the coordinates of `count` mean images."""
        along = self.mean.new_zeros(count, self.directions.shape[1])
        return along, self.mean.new_zeros(count, *self.mean.shape)

    def images(
        self, along: Float[Tensor, "n k"], rest: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n c h w"]:
        """Return the images at these coordinates, not clamped."""
        shaped = (along @ self.directions.T).view(len(along), *self.mean.shape)
        return self.mean + shaped + from_waves(rest * self.spread)


def waves(x: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
    """Return the cosine transform of each image, which keeps lengths and angles."""
    return _cosines(x.shape[-2], x) @ x @ _cosines(x.shape[-1], x).T


def from_waves(z: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
    """Return the images of these transforms."""
    return _cosines(z.shape[-2], z).T @ z @ _cosines(z.shape[-1], z)


def _cosines(size: int, like: Tensor) -> Float[Tensor, "s s"]:
    along = torch.arange(size, dtype=torch.float64)
    rows = torch.cos(math.pi / size * along[:, None] * (along + 0.5)) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows.to(like)


def _by_length(spread: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Return each wave's spread as the root mean square over all waves of its length."""
    up, across = (torch.arange(size, device=spread.device) for size in spread.shape)
    length = (up[:, None] ** 2 + across**2).double().sqrt().round().long().flatten()
    total = torch.zeros(int(length.max()) + 1, dtype=spread.dtype, device=spread.device)
    counted = total.index_add(0, length, torch.ones_like(spread).flatten())
    total = total.index_add(0, length, spread.square().flatten())
    return (total / counted.clamp_min(1)).sqrt()[length].view_as(spread)
