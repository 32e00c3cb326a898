"""The labels of a batch, read from the gradient of the last layer's bias."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def label_of_one(grad_b: Float[Tensor, " k"]) -> int:
    """Return the label of the single image behind these gradients, exactly.

    The gradient of cross-entropy with respect to the logits is p - y, with p the softmax and y 1
    at the label, so the bias' gradient is negative at the label and nowhere else (Zhao et al.
    2020). Raises `ValueError` where there is not exactly one negative entry: the update is of
    several images, or was changed on its way.
    """
    negative = torch.nonzero(grad_b < 0).flatten()
    if len(negative) != 1:
        raise ValueError(
            f"the last bias' gradient has {len(negative)} negative entries, and that of a single "
            "image has one; say how many images made the update, or pass the labels"
        )
    return int(negative)


def labels_of(
    grad_b: Float[Tensor, " k"], count: int, expected: Float[Tensor, " k"]
) -> Int64[Tensor, " n"]:
    """Return the labels of `count` images, ascending: their order cannot be known.

    Summed over the images, count x grad_b = sum of p - how often each label occurs. The attacker
    does not know p, but has the network: `expected` is its mean softmax over public images. How
    often label k occurs is then count x (expected_k - grad_b_k), rounded so that the numbers add up
    to `count`; exact where the mean p of the batch is within 1 / (2 count) of `expected`. For a
    single image p does not matter (`label_of_one`), unless noise lies over the gradients. Raises
    `ValueError` for shapes that differ and for fewer than one image.
    """
    if grad_b.ndim != 1 or grad_b.shape != expected.shape:
        raise ValueError(
            f"the last bias' gradient {tuple(grad_b.shape)} and the expected softmax "
            f"{tuple(expected.shape)} need one entry per label each"
        )
    if count < 1:
        raise ValueError(f"an update is made of at least one image, not {count}")
    if count == 1 and int((grad_b < 0).sum()) == 1:
        return torch.tensor([label_of_one(grad_b)])
    wanted = (count * (expected - grad_b).double()).clamp_min(0)
    wanted = wanted * count / wanted.sum().clamp_min(1e-12)
    times = wanted.floor().long()
    # what is left goes to the largest remainders
    left = count - int(times.sum())
    times[torch.argsort(wanted - times, descending=True, stable=True)[:left]] += 1
    return torch.repeat_interleave(torch.arange(len(times)), times)
