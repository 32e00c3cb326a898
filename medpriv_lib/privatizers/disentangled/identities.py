"""Identities to show an eye with: one that belongs to nobody, the mean of several, a donor's.

The synthetic identities are those of Montenegro, Cardoso 2023: a small variational autoencoder on
the frozen identity vectors of the training images, taught besides that the patient's head finds
what it makes of noise equally like everybody (maximum entropy, closed-set form), or that it keeps
away from every training patient (hinge, verification form). Ours on top: of several candidates the
first is taken that is no nearer to a training patient than people are to each other.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from medpriv_lib.privatizers.disentangled.losses import distances, negative_entropy
from medpriv_lib.privatizers.disentangled.networks import Head, normalised

CANDIDATES = 16
QUANTILE = 0.05
QUARTER = 4  # the hidden layer is a quarter as wide as a vector


@dataclass(frozen=True)
class Synthesis:
    """How the autoencoder of identities is taught: `code` entries between its halves, `dropout`,
    the weights `kl`, `entropy` (of the head's sum of p log p) and `apart` (of the hinge), `rounds`
    steps at `rate` with `batch` vectors; `seed`.
    """

    code: int = 16
    dropout: float = 0.2
    kl: float = 1e-3
    entropy: float = 0.05
    apart: float = 1.0
    rounds: int = 3000
    batch: int = 256
    rate: float = 1e-3
    seed: int = 0


class IdentityVAE(nn.Module):
    """Identity vectors (N, d) to a code and back; noise to vectors that nobody has."""

    def __init__(
        self, length: int, code: int = 16, dropout: float = 0.2, unit: bool = True
    ) -> None:
        """Build both halves; `unit` normalises what is decoded, as the encoder's vectors are."""
        super().__init__()
        hidden = max(2, length // QUARTER)
        self.code, self.unit = code, unit
        self.read = nn.Sequential(nn.Linear(length, hidden), nn.LeakyReLU(0.2))
        self.drop = nn.Dropout(dropout)
        self.statistics = nn.Linear(hidden, 2 * code)
        self.write = nn.Sequential(
            nn.Linear(code, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, length)
        )

    def decode(self, code: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        """Return the vectors of codes."""
        made = self.write(code)
        return normalised(made) if self.unit else made

    def forward(
        self, vectors: Float[Tensor, "n d"], noise: Float[Tensor, "n c"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n c"], Float[Tensor, "n c"]]:
        """Return the vectors again, and mean and log-variance of their codes."""
        mean, log_variance = self.statistics(self.drop(self.read(vectors))).chunk(2, dim=1)
        return self.decode(mean + (log_variance / 2).exp() * noise), mean, log_variance


def fit_identities(
    vectors: Float[Tensor, "n d"],
    centroids: Float[Tensor, "p d"],
    head: Head | None,
    known: Bool[Tensor, " p"],
    margin: float,
    settings: Synthesis,
    unit: bool = True,
) -> IdentityVAE:
    """Return the autoencoder taught on the identity vectors of training images, on their device.

    `centroids` are the patients' mean vectors, `known` which of them have images. With a `head`
    (closed-set form) what is made of noise shall look like nobody to it; without one it shall keep
    `margin` (mean squared difference) away from all known centroids.
    """
    device = vectors.device
    cuda = [device] if device.type == "cuda" else []
    vectors, real = vectors.detach(), centroids[known].detach()
    numbers = known.nonzero()[:, 0]
    with torch.random.fork_rng(devices=cuda):  # first weights and dropout are torch's global ones
        torch.manual_seed(settings.seed)
        vae = (
            IdentityVAE(vectors.shape[1], settings.code, settings.dropout, unit).to(device).train()
        )
        optimiser = torch.optim.AdamW(vae.parameters(), settings.rate, weight_decay=0.0)
        slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.rounds)
        for _ in range(settings.rounds):
            rows = torch.randint(len(vectors), (settings.batch,), device=device)
            noise = torch.randn(2, settings.batch, settings.code, device=device)
            again, mean, log_variance = vae(vectors[rows], noise[0])
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
            loss = F.mse_loss(again, vectors[rows]) + settings.kl * kl
            invented = vae.decode(noise[1])
            if head is not None:
                loss = loss + settings.entropy * negative_entropy(head(invented), numbers).mean()
            else:
                nearest = distances(invented, real).amin(dim=1)
                loss = loss + settings.apart * (margin - nearest).clamp_min(0).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            slower.step()
    return vae.eval()


@dataclass(frozen=True, eq=False)
class Identities:
    """The identity vectors that can be lent.

    `centroids` (P, d) the training patients' mean vectors; `known` bool (P,) who has one; `vae`
    makes new ones; `threshold` is how near (mean squared difference) two different people come in 5
    % of the cases: a new identity shall not be nearer to a training patient.
    """

    centroids: Float[Tensor, "p d"]
    known: Bool[Tensor, " p"]
    vae: IdentityVAE
    threshold: float

    @torch.no_grad()
    def synthetic(self, n: int, generator: torch.Generator) -> Float[Tensor, "n d"]:
        """Return n identities of nobody, drawn from the CPU `generator` and from nothing else.

        Of 16 candidates the first that keeps the threshold, the farthest where none does.
        """
        device = self.centroids.device
        codes = torch.randn(n * CANDIDATES, self.vae.code, generator=generator).to(device)
        made = self.vae.decode(codes)
        near = self.nearest(made)[0].view(n, CANDIDATES)
        apart = near >= self.threshold
        first = torch.arange(CANDIDATES, 0, -1, device=device) * apart
        pick = torch.where(apart.any(1), first.argmax(1), near.argmax(1))
        return made.view(n, CANDIDATES, -1)[torch.arange(n, device=device), pick]

    def nearest(
        self, vectors: Float[Tensor, "n d"], k: int = 1
    ) -> tuple[Float[Tensor, "..."], Int64[Tensor, "..."]]:
        """Return distance and number of the k nearest training patients, (N, k); (N,) for k = 1.

        Raises `ValueError` where there are fewer than k.
        """
        there = int(self.known.sum())
        if not 1 <= k <= there:
            raise ValueError(f"k = {k}, but {there} training patients have an identity vector")
        apart = distances(vectors, self.centroids).masked_fill(~self.known, torch.inf)
        found = apart.topk(k, dim=1, largest=False)
        values, indices = found.values, found.indices
        return (values[:, 0], indices[:, 0]) if k == 1 else (values, indices)

    def mean(self, numbers: Int64[Tensor, "n k"]) -> Float[Tensor, "n d"]:
        """Return the mean vector of these patients, as long as the encoder's are."""
        mean = self.centroids[numbers].mean(dim=1)
        return normalised(mean) if self.vae.unit else mean


class Nearness(NamedTuple):
    """How near identities come to the training patients, in mean squared difference.

    `synthetic` (S,) to the nearest; `own` (M,) held-out images to their own patient (empty where
    their patients are not in the training); `impostor` (M,) to the nearest other patient; `limit`
    the 5 % quantile of `impostor`; `share` of the synthetic ones under it, 5 % for images of other
    real people by construction.
    """

    synthetic: Float[np.ndarray, " s"]
    own: Float[np.ndarray, " o"]
    impostor: Float[np.ndarray, " m"]
    limit: float
    share: float


def nearness(
    synthetic: Float[Tensor, "s d"],
    centroids: Float[Tensor, "p d"],
    known: Bool[Tensor, " p"],
    vectors: Float[Tensor, "m d"],
    patient: Int64[Tensor, " m"],
) -> Nearness:
    """Compare new identities with how near held-out images of real people come.

    `vectors` of held-out images of `patient` (-1: in no training image).
    """
    apart = distances(vectors, centroids).masked_fill(~known, torch.inf)
    mine = F.one_hot(patient.clamp_min(0), len(centroids)).bool() & (patient >= 0)[:, None]
    impostor = apart.masked_fill(mine, torch.inf).amin(dim=1)
    own = apart[mine & known]
    near = distances(synthetic, centroids).masked_fill(~known, torch.inf).amin(dim=1)
    limit = float(torch.quantile(impostor.float(), QUANTILE))
    share = float((near < limit).float().mean()) if len(near) else float("nan")
    return Nearness(
        near.cpu().numpy(), own.cpu().numpy(), impostor.cpu().numpy(), limit=limit, share=share
    )


def centroids_of(
    vectors: Float[Tensor, "n d"], patient: Int64[Tensor, " n"], patients: int, unit: bool
) -> tuple[Float[Tensor, "p d"], Bool[Tensor, " p"]]:
    """Return the mean vector of each patient, zeros where there is none, and who has one."""
    total = vectors.new_zeros(patients, vectors.shape[1]).index_add_(0, patient, vectors)
    count = torch.bincount(patient, minlength=patients)
    mean = total / count.clamp_min(1)[:, None]
    known = count > 0
    mean = torch.where(known[:, None], normalised(mean), mean) if unit else mean
    return mean, known
