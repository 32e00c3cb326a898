"""How PPRL-VGAN is trained: every option of the training, with our defaults, and why they are what
they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from medpriv_lib.learning.augment import Augmentation


@dataclass(frozen=True)
class Training:
    """How PPRL-VGAN is trained; everything here is written into the card of the weights.

    `batch` counts over all processes. `decay_from` is the share of the rounds after which the
    learning rate falls linearly to zero; `ema` the decay per round of the averaged generator, the
    one that is kept. `augmentation` distorts what D sees, None leaves it alone. `warmup` steps come
    before the first round (None: a tenth as many as rounds), in which D learns to name patients and
    labels of real images alone, so that the generator learns to please a head that knows the
    patients. `reconstruction` steps follow (None: a tenth as many), in which G alone learns to show
    each image as its own patient: a plain conditional variational autoencoder with an L1 loss. It
    ends with blurred eyes, but eyes, from which the adversarial rounds set out; no pixel loss takes
    part in these. `discriminator_steps` a round, 1 or 2, follow the last of its two generator
    steps. `reals` real images in D's batch come on every made one. `r1` weighs the squared slope of
    D^1 at real images (Mescheder, Geiger, Nowozin 2018, arXiv 1801.04406), added every `r1_every`
    rounds, that many times. `frozen_recognisers` identity recognisers, trained before for
    `recogniser_epochs` on the same images, share the identity term of the generator with D^2
    (`recognisers` says why; 0 leaves it to D^2, as Chen et al.). They join after the share
    `recognisers_from` of the rounds, when the code has learned to carry the label. `precision`
    "auto" takes bfloat16 where the processor multiplies it natively.
    """

    rounds: int = 4800
    batch: int = 32
    optimiser: str = "adam"
    learning_rate: float = 2e-4
    discriminator_rate: float | None = 4e-4
    discriminator_steps: int = 2
    betas: tuple[float, float] = (0.5, 0.99)
    decay_from: float = 0.6
    ema: float = 0.998
    smoothing: float = 0.1
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    warmup: int | None = None
    reconstruction: int | None = None
    reals: int = 1
    discriminator_dropout: float = 0.5
    weight_decay: float = 0.0
    r1: float = 0.05
    r1_every: int = 8
    frozen_recognisers: int = 2
    recogniser_epochs: int = 60
    recognisers_from: float = 0.5
    precision: str = "auto"
    seed: int = 0
    validate_every: int = 100

    def before(self) -> tuple[int, int]:
        """Return how many steps of warm-up and of reconstruction precede the first round."""
        tenth = self.rounds // 10
        return (
            tenth if self.warmup is None else self.warmup,
            tenth if self.reconstruction is None else self.reconstruction,
        )

    def optimiser_of(
        self, parameters: Iterable[torch.nn.Parameter], rate: float
    ) -> torch.optim.Optimizer:
        """Return what moves the parameters, at this learning rate: "rmsprop" as Chen et al."""
        if self.optimiser == "rmsprop":
            return torch.optim.RMSprop(parameters, rate, alpha=0.9, eps=1e-7, foreach=True)
        return torch.optim.AdamW(
            parameters, rate, self.betas, weight_decay=self.weight_decay, fused=True
        )

    def slowing(self, done: int) -> float:
        """Return the share of the learning rates that is used after `done` rounds."""
        return min(1.0, (1 - done / self.rounds) / max(1e-9, 1 - self.decay_from))
