"""From grey levels to what networks see, and back: the one place that knows channels and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

if TYPE_CHECKING:  # what prepares images needs no network, and torch takes seconds to import
    import torch
    from torch import Tensor

Images = UInt8[np.ndarray, "n h w"] | UInt8[np.ndarray, "n h w 3"]


def to_tensor(images: Images, device: str | torch.device = "cpu") -> Float[Tensor, "n c h w"]:
    """Turn levels 0..255 into the float32 in [-1, 1] that every network here sees.

    Grey images (N, H, W) become (N, 1, H, W), colour images (N, H, W, 3) become (N, 3, H, W).
    """
    import torch

    x = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    x = x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)
    return x.float().div_(127.5).sub_(1)


def to_uint8(tensor: Float[Tensor, "n c h w"]) -> Images:
    """Turn values in [-1, 1] back into levels: rounded, clipped to 0..255, channels last.

    One channel gives grey images (N, H, W), three give colour images (N, H, W, 3).
    """
    import torch

    x = tensor.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    x = x.squeeze(1) if x.shape[1] == 1 else x.permute(0, 2, 3, 1)
    return x.contiguous().cpu().numpy()


def channels_of(images: Images) -> int:
    """Return 1 for grey images (N, H, W) and 3 for colour images (N, H, W, 3)."""
    return 1 if images.ndim == 3 else images.shape[3]


def require_images(images: Images, size: int, channels: int, reader: str) -> None:
    """Raise `ValueError` for anything but uint8 images of this size and number of channels.

    `reader` is what reads them, for the message.
    """
    wanted = (size, size) if channels == 1 else (size, size, channels)
    if images.dtype == np.uint8 and images.shape[1:] == wanted:
        return
    shape, kind = ", ".join(map(str, wanted)), {1: "grey", 3: "colour"}.get(channels, channels)
    remedy = f"prepare them with --size {size}"
    if images.dtype == np.uint8 and images.ndim in (3, 4) and channels_of(images) != channels:
        remedy = f"prepare them as {kind} images"
    raise ValueError(
        f"this {reader} reads uint8 images (N, {shape}), {kind} ones, not {images.dtype} "
        f"{images.shape}; {remedy}"
    )


def size_of(images: Images) -> int:
    """Return the height and width of square images in pixels.

    Raises `ValueError` for images that are not square: the networks here need one size.
    """
    height, width = images.shape[1:3]
    if height != width:
        raise ValueError(
            f"the images are {height}x{width}; prepare them square, with --size {height}"
        )
    return height
