"""The loop of private training: draw patients, clip each, add noise, make a step; goes on after a
stop.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from medpriv_lib.core.randomness import fresh
from medpriv_lib.federation.private.patient_gradients import (
    Mechanism,
    clipped_sum,
    draw_images,
    draw_patients,
    noised,
    patient_gradients,
    refuse_mixing,
)
from medpriv_lib.learning.checkpoint import (
    named,
    optimiser_tensors,
    part_of,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)

BATCH = 256  # images judged at once


@dataclass(frozen=True)
class Settings:
    """How a network is trained privately.

    `mechanism` of each step; `rate` the learning rate of Adam; `class_weights` (healthy, diseased)
    of the loss. The weights must be known from outside: weights counted from these patients would
    be a statistic of them, to be charged.
    """

    mechanism: Mechanism
    rate: float = 2e-3
    class_weights: tuple[float, float] = (1.0, 1.0)


class PrivateTraining:
    """A training that goes on by steps, as `learning.rounds.run` wants one.

    `images` (N, C, H, W) as the network takes them, `labels` int64 (N,), `patient` int64 (N,) whose
    each image is; to protect images instead of patients give each image a number of its own.
    `entropy` gives the generator of step s, from which patients, images and noise are drawn: None
    is the operating system's entropy, anew for each step, and protects. A seeded one is for tests
    and studies: whoever knows the seed takes the noise off again. The number of patients is taken
    as public. Raises `ValueError` for lengths that differ, for fewer than two patients and for a
    network that mixes patients.
    """

    def __init__(
        self,
        network: nn.Module,
        images: Float[Tensor, "n c h w"],
        labels: Int64[Tensor, " n"],
        patient: np.ndarray,
        settings: Settings,
        entropy: Callable[[int], torch.Generator] | None = None,
    ) -> None:
        """Take a network with its first weights."""
        if not len(images) == len(labels) == len(patient):
            raise ValueError(
                f"{len(images)} images, {len(labels)} labels, {len(patient)} patients' numbers: "
                "give one of each per image"
            )
        refuse_mixing(network)
        numbers, index = np.unique(patient, return_inverse=True)
        if len(numbers) < 2:
            raise ValueError(
                f"{len(numbers)} patients: one patient cannot hide among others; join a site that "
                "has more"
            )
        self.network, self.images, self.labels = network, images, labels
        self.settings, self.entropy = settings, entropy or (lambda step: fresh())
        self.members = [torch.from_numpy(np.flatnonzero(index == k)) for k in range(len(numbers))]
        self.optimiser = torch.optim.Adam(network.parameters(), settings.rate)
        self.weights = torch.tensor(settings.class_weights)
        self.done, self.seconds = 0, 0.0
        self.lengths: list[float] = []  # median gradient length of each step; not for release
        self.device = images.device

    @property
    def patients(self) -> int:
        """How many patients may be drawn."""
        return len(self.members)

    def step(self) -> None:
        """Make one step. A step in which nobody was drawn is a step of noise alone: leaving it out
        would tell that nobody was there.
        """
        mechanism, generator = self.settings.mechanism, self.entropy(self.done)
        drawn = draw_patients(self.patients, mechanism.rate, generator)
        total = {k: torch.zeros_like(p) for k, p in self.network.named_parameters()}
        if len(drawn):
            rows, weight = draw_images([self.members[k] for k in drawn], mechanism.most, generator)
            each = patient_gradients(
                self.network, self.images[rows], self.labels[rows], weight, self.weights
            )
            total, norms = clipped_sum(each, mechanism.clip)
            self.lengths.append(float(norms.median()))
        scale = mechanism.noise * mechanism.clip if mechanism.noise else 0.0
        total = noised(total, scale, generator)
        # the expected number: how many were drawn would be a statistic of the patients
        expected = mechanism.rate * self.patients
        for key, parameter in self.network.named_parameters():
            parameter.grad = total[key].detach() / expected
        self.optimiser.step()
        self.done += 1

    def save(self, folder: Path) -> None:
        """Write the checkpoint: network and optimiser, both of them results of noised sums.

        The state of the noise is not in it: who read it could take the noise off.
        """
        tensors = named("network", self.network.state_dict())
        tensors |= named("optimiser", optimiser_tensors(self.optimiser))
        state = {"done": self.done, "seconds": self.seconds}
        write_checkpoint(folder, tensors, state, self._training())

    def load(self, folder: Path) -> bool:
        """Go on from a checkpoint, where there is one; errors as of `read_checkpoint`.

        Steps after it are drawn anew. Nobody saw their results, so they count once.
        """
        found = read_checkpoint(folder, self._training())
        if found is None:
            return False
        tensors, state = found
        self.network.load_state_dict(part_of(tensors, "network"))
        restore_optimiser(self.optimiser, part_of(tensors, "optimiser"))
        self.done, self.seconds = state["done"], state["seconds"]
        return True

    def _training(self) -> dict:
        settings = asdict(self.settings)
        settings["mechanism"]["clip"] = str(settings["mechanism"]["clip"])  # JSON has no infinity
        return {
            "settings": settings,
            "patients": self.patients,
            "images": len(self.images),
            "network": type(self.network).__name__,
        }


@torch.no_grad()
def disease_scores(network: nn.Module, images: Float[Tensor, "n c h w"]) -> Float[np.ndarray, " n"]:
    """Return logit of disease minus logit of health of each image."""
    network.eval()
    output = torch.cat([network(part) for part in images.split(BATCH)])
    return (output[:, 1] - output[:, 0]).double().numpy()
