"""What a training step of PPRL-VGAN draws, on one device and from one generator: training images,
identities, noise, labels and distortions.
"""

import numpy as np
import torch
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.learning.augment import Augmentation


class Draws:
    """The training images and all that is drawn for a step.

    `images` float32 (N, C, H, W) in [-1, 1], `patient` and `task` int64 (N,), all on `device`;
    `random` the generator, whose state is all that a draw depends on.
    """

    def __init__(self, train: Cohort, batch: int, device: torch.device, seed: int) -> None:
        """Move the images to the device; `batch` images are drawn at once."""
        self.batch, self.device = batch, device
        self.images = to_tensor(train.images, device)
        self.patient = torch.from_numpy(train.patient).to(device)
        self.task = torch.from_numpy(train.diseased.astype(np.int64)).to(device)
        self.random = torch.Generator(device).manual_seed(seed)

    def rows(self, times: int = 1) -> Tensor:
        """Return `times` batches of training images, as rows of `images`, with replacement."""
        return torch.randint(
            len(self.images), (times * self.batch,), generator=self.random, device=self.device
        )

    def identities(self, patients: int) -> Tensor:
        """Return a batch of replacement identities, each patient as likely as any other."""
        return torch.randint(patients, (self.batch,), generator=self.random, device=self.device)

    def noise(self, latent: int) -> Tensor:
        """Return a batch of normal noise (batch, latent)."""
        return torch.randn(self.batch, latent, generator=self.random, device=self.device)

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        """Return `count` numbers between `low` and `high`."""
        return torch.rand(count, generator=self.random, device=self.device) * (high - low) + low

    def distorted(self, images: Tensor, augmentation: Augmentation | None) -> Tensor:
        """Return what D sees of the images; they are as they were without an augmentation."""
        return images if augmentation is None else augmentation(images, self.random)
