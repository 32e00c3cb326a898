r"""The losses of disentanglement (Montenegro, Cardoso 2023, arXiv 2311.04833), each a function of
tensors alone.

The swap terms, for images a and b with vectors v(a), v(b): for each part p the image
G(v(a) with b's p) is generated and encoded again to w; the mean squared differences

    |w_q - v(a)_q|^2   for the two kept parts q,        |w_p - v(b)_p|^2   for the swapped part p

are nine numbers. The authors' closed-set script has |w_p - v(a)_p|^2 in the last place, which asks
the encoder not to see what was swapped: three of its nine terms pull the wrong way.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.privatizers.disentangled.networks import Vectors
from medpriv_lib.privatizers.disentangled.settings import Swap

SCALES = 3
WINDOW, SIGMA = 11, 1.5  # SSIM's window (Wang, Bovik, Sheikh, Simoncelli 2004)
K1, K2, RANGE = 0.01, 0.03, 2.0


class Swapped(NamedTuple):
    """What the swaps give: `terms` (3, 3), row the swapped part, column the compared one; `images`
    (3n, C, S, S), n for each swapped part in order; `again` their vectors.
    """

    terms: Float[Tensor, "3 3"]
    images: Float[Tensor, "m c s s"]
    again: Vectors


def swaps(a: Vectors, b: Vectors) -> list[Vectors]:
    """Return a with the medical, the identity, the other vector of b, in this order."""
    return [Vectors(*(b[q] if q == p else a[q] for q in range(3))) for p in range(3)]


def swap_terms(
    encode: Callable[[Tensor], Vectors],
    generate: Callable[[Vectors], Tensor],
    a: Vectors,
    b: Vectors,
    form: Swap = "donor",
    detach: bool = True,
    before_encoding: Callable[[Tensor], Tensor] = lambda image: image,
) -> Swapped:
    """Return the nine swap terms, with all three swaps in one pass of each network.

    `b` holds the donors of `a`, row by row. `form` "published" compares the swapped vector with
    a's. `detach` stops the gradients at the targets. `before_encoding` changes the swapped images
    before they are encoded again. An "other" vector of length 0 contributes zeros.
    """
    n = len(a.medical)
    images = generate(Vectors.cat(swaps(a, b)))
    again = encode(before_encoding(images))
    rows = []
    for p in range(3):
        for q in range(3):
            target = b[q] if q == p and form == "donor" else a[q]
            target = target.detach() if detach else target
            found = again[q][p * n : (p + 1) * n]
            rows.append(F.mse_loss(found, target) if found.shape[1] else found.sum())
    return Swapped(torch.stack(rows).view(3, 3), images, again)


def pair_loss(
    identity: Float[Tensor, "n d"],
    partner: Float[Tensor, "n d"],
    patient: Int64[Tensor, " n"],
    margin: float,
) -> Tensor:
    """Return the verification loss: two images of one patient together, of two patients at least
    `margin` apart, in mean squared difference of the identity vectors.

    Row i of `identity` and `partner` show `patient[i]`. The hinge is averaged over the pairs of
    patients that are too near (Hermans, Beyer, Leibe 2017, arXiv 1703.07737: a mean over all pairs
    fades as most of them are apart); all rows of `partner` of other patients are compared. No
    number is read back from the device.
    """
    same = F.mse_loss(identity, partner)
    apart = distances(identity, partner)
    other = patient[:, None] != patient[None]
    short = (margin - apart).clamp_min(0) * other
    return same + short.sum() / (short > 0).sum().clamp_min(1)


def distances(a: Float[Tensor, "m d"], b: Float[Tensor, "n d"]) -> Float[Tensor, "m n"]:
    """Return the mean squared differences between all rows of a and all rows of b."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T
    return squares.clamp_min(0) / a.shape[1]


def psnr_loss(made: Float[Tensor, "n c s s"], image: Float[Tensor, "n c s s"]) -> Tensor:
    """Return (48 - PSNR) / 24, PSNR in dB over the batch for values in [-1, 1]: the published
    term.
    """
    error = (made - image).square().mean().clamp_min(1e-8)
    return (48 - 10 * torch.log10(RANGE**2 / error)) / 24


def ssim(made: Float[Tensor, "n c s s"], image: Float[Tensor, "n c s s"]) -> Float[Tensor, " n"]:
    """Return the structural similarity of each pair of images in [-1, 1], 1 for equal ones.

    Gaussian window of 11 pixels, sigma 1.5, without borders (Wang et al. 2004).
    """
    height, width = (_smoothing(size, made) for size in made.shape[2:])
    n, c = made.shape[:2]
    stack = torch.cat([made, image, made * made, image * image, made * image], dim=1)
    x, y, xx, yy, xy = (height.T @ stack @ width).split(c, dim=1)
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    top = (2 * x * y + c1) * (2 * (xy - x * y) + c2)
    bottom = (x * x + y * y + c1) * (xx - x * x + yy - y * y + c2)
    return (top / bottom).reshape(n, -1).mean(dim=1)


def _smoothing(size: int, like: Tensor) -> Float[Tensor, "s t"]:
    """Return the matrix that takes `size` pixels to their means under the window, wherever that
    fits: a matrix, since convolutions on a GPU round to 10 bits, too coarse for variances.
    """
    places = torch.arange(WINDOW, dtype=like.dtype, device=like.device) - WINDOW // 2
    kernel = torch.exp(-places.square() / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    apart = torch.arange(size, device=like.device)[:, None] - torch.arange(
        size - WINDOW + 1, device=like.device
    )
    inside = (apart >= 0) & (apart < WINDOW)
    return torch.where(inside, kernel[apart.clamp(0, WINDOW - 1)], 0.0)


def gradient_loss(
    made: Float[Tensor, "n c s s"], image: Float[Tensor, "n c s s"], scales: int = SCALES
) -> Tensor:
    """Return the mean absolute difference of the slopes across and down, mean over `scales`
    halvings: edges count, wherever they lie.
    """
    difference, total = made - image, made.new_zeros(())
    for _ in range(scales):
        total = total + difference.diff(dim=3).abs().mean() + difference.diff(dim=2).abs().mean()
        difference = F.avg_pool2d(difference, 2)
    return total / scales


def feature_loss(made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Return the mean over the layers of the L1 between features of made and of real images."""
    parts = [F.l1_loss(m.float(), r.detach().float()) for m, r in zip(made, real, strict=True)]
    return torch.stack(parts).mean()


def discriminator_loss(on_real: Float[Tensor, " n"], on_made: Float[Tensor, " m"]) -> Tensor:
    """Return -log D(real) - log(1 - D(made)) from logits."""
    return F.softplus(-on_real).mean() + F.softplus(on_made).mean()


def fooling_loss(on_made: Float[Tensor, " m"]) -> Tensor:
    """Return -log D(made) from logits: the generator's, which does not saturate."""
    return F.softplus(-on_made).mean()


def negative_entropy(
    logits: Float[Tensor, "n p"], known: Int64[Tensor, " k"] | None = None
) -> Float[Tensor, " n"]:
    """Return the sum over classes of p log p of each row, with `known` classes alone: lowest, -log
    of their number, where every class is as likely.

    The authors take the mean over classes, which is this divided by their number.
    """
    logits = logits if known is None else logits[:, known]
    log_p = logits.log_softmax(dim=1)
    return (log_p.exp() * log_p).sum(dim=1)
