"""How a disentangled network is trained: every option, our defaults, and the published ones."""

from dataclasses import dataclass, field
from typing import Literal

from medpriv_lib.learning.augment import Augmentation

Form = Literal["closed", "verification"]
Swap = Literal["donor", "published", "none"]
FORMS: tuple[str, ...] = ("closed", "verification")
SWAPS: tuple[str, ...] = ("donor", "published", "none")
MOVED = Augmentation(
    shift=0.03, rotation=4.0, scale=0.03, contrast=0.06, brightness=0.04, turned=0.3, noise=0.0
)


@dataclass(frozen=True)
class Training:
    """How a disentangled network is trained; all of it is written into the card of the weights.

    `form` "closed" names the training patients (cross-entropy); "verification" pulls two images of
    one patient together and pushes others at least `margin` apart (mean squared difference of the
    identity vectors), so that it also serves patients whom it never saw. `swap` "donor" compares a
    swapped vector with its donor's; "published" is the fault of the authors' closed-set script,
    which compares it with the first image's; "none" leaves the nine terms out: a plain autoencoder
    with three heads.

    Stages: for the first share `alone` of the rounds only the reconstruction, the heads and the
    adversaries' own learning; then the swap terms, the discriminator, the frozen recognisers and
    the reversed gradients grow linearly over the share `ramp`. The learning rate falls linearly to
    zero after the share `decay_from`. `ema` is the decay per round of the averaged networks, those
    that are kept.

    Weights: of the reconstruction `l1`, `ssim` (1 - SSIM), `gradient` (L1 of the slopes at three
    scales), `psnr` ((48 - PSNR) / 24), `features` (L1 of the discriminator's features of image and
    reconstruction, Wang et al. 2018, arXiv 1711.11585); `disease` and `identity` of the heads;
    `adversarial`; `swapped` of the sum of the nine terms; `named` of what the
    `frozen_recognisers` (trained before on the same images for `recogniser_epochs`) say of swapped
    images: the encoder alone is easily pleased by patterns that no other network sees;
    `reverse_patient` and `reverse_label` of the reversed gradients (Ganin, Lempitsky 2015, arXiv
    1409.7495) that remove the patient from "medical" and "other", the label from "identity" and
    "other"; the adversaries learn at `adversary_rate`.

    `detach` stops gradients at the targets of the swap terms; `noise` is the standard deviation of
    what is added to the vectors, `image_noise` to swapped images before they are encoded again, so
    that nothing can be carried in faint patterns. `inputs` moves images a little before they are
    encoded (and reconstructed), `seen` distorts what the discriminator sees. `r1` weighs the
    squared slope of the discriminator at real images, every `r1_every` rounds. `precision` "auto"
    takes bfloat16 where the processor multiplies it natively. `compile` compiles the networks.
    Raises `ValueError` for a form or a swap that does not exist, and batches below 4.
    """

    rounds: int = 20_000
    batch: int = 96
    form: Form = "closed"
    swap: Swap = "donor"
    seed: int = 0
    rate: float = 3e-4
    discriminator_rate: float = 3e-4
    adversary_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.99)
    decay_from: float = 0.6
    ema: float = 0.999
    alone: float = 0.2
    ramp: float = 0.2
    l1: float = 8.0
    ssim: float = 1.0
    gradient: float = 8.0
    psnr: float = 0.0
    features: float = 0.5
    disease: float = 0.5
    identity: float = 0.5
    margin: float = 1.0
    smoothing: float = 0.05
    adversarial: float = 0.1
    swapped: float = 0.2
    named: float = 0.1
    frozen_recognisers: int = 1
    recogniser_epochs: int = 40
    reverse_patient: float = 1.0
    reverse_label: float = 0.3
    detach: bool = True
    noise: float = 0.2
    image_noise: float = 0.03
    inputs: Augmentation | None = MOVED
    seen: Augmentation | None = field(default_factory=Augmentation)
    r1: float = 0.05
    r1_every: int = 8
    precision: str = "auto"
    compile: bool = False
    validate_every: int = 1000

    def __post_init__(self) -> None:
        """Refuse what would train something else than it says."""
        if self.form not in FORMS:
            raise ValueError(f"form {self.form!r}: choose {' or '.join(FORMS)}")
        if self.swap not in SWAPS:
            raise ValueError(f"swap {self.swap!r}: choose {', '.join(SWAPS)}")
        if self.batch < 4 or self.batch % 2:
            raise ValueError(f"batch {self.batch}: pairs of images need an even batch of 4 or more")
        if self.rounds < 1:
            raise ValueError(f"rounds {self.rounds}: at least one is needed")

    def strength(self, done: int) -> float:
        """Return how strong what follows the reconstruction is after `done` rounds: 0 to 1."""
        start, long = self.alone * self.rounds, self.ramp * self.rounds
        return min(1.0, max(0.0, (done - start) / max(long, 1e-9)))

    def slowing(self, done: int) -> float:
        """Return the factor of the learning rate after `done` rounds: 1, then down to 0."""
        return min(1.0, (1 - done / self.rounds) / max(1e-9, 1 - self.decay_from))


# What the authors' code does, but for the length: their closed-set script with its fault in the
# swap terms, and the face script's weights. The vectors are not normalised there: give
# `Architecture(normalise=False, pool="average", norm="batch", medical=256, ...)` with these.
_THEIRS = {
    "rate": 2e-5, "discriminator_rate": 2e-5, "betas": (0.9, 0.999), "batch": 32, "alone": 0.0,
    "ramp": 0.0, "decay_from": 1.0, "l1": 0.0, "gradient": 0.0, "features": 0.0, "psnr": 1.0,
    "named": 0.0, "frozen_recognisers": 0, "reverse_patient": 0.0, "reverse_label": 0.0,
    "detach": False, "noise": 0.1, "image_noise": 0.0, "inputs": None, "r1": 0.0, "smoothing": 0.0,
}  # fmt: skip
PUBLISHED: dict[str, dict] = {
    "closed": _THEIRS
    | {"swap": "published", "disease": 1.0, "identity": 1.0, "adversarial": 0.1, "swapped": 5.0},
    "verification": _THEIRS
    | {
        "form": "verification", "swap": "donor", "disease": 0.5, "identity": 10.0, "margin": 0.1,
        "adversarial": 0.02, "ssim": 10.0, "swapped": 10.0,
    },
}  # fmt: skip
