"""A sample of the prior: PPRL-VGAN without its encoder."""

from typing import Any, Protocol, Self

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_uint8
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer, Resources
from medpriv_lib.privatizers.replacement import POLICIES
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN


class PriorDecoder(Protocol):
    """What a prior sample needs of PPRL-VGAN: the length of a code, identities, and a decoder."""

    @property
    def latent(self) -> int:
        """The length of a code z."""

    def draw_identities(
        self, cohort: Cohort, generator: torch.Generator, count: int = 1, policy: str | None = None
    ) -> Int64[np.ndarray, "n count"]:
        """Draw `count` identities per image."""

    def decode(
        self, z: Float[Tensor, "n z"], identity: Int64[Tensor, " n"]
    ) -> Float[Tensor, "n c s s"]:
        """Return codes shown as patients, in [-1, 1]."""


class PriorSample(Privatizer):
    """Let PPRL-VGAN's decoder draw an eye without looking at the source: z from the prior N(0, 1).

    What the decoder shows of the disease here comes from the identity code alone; the encoder
    counts only by what PPRL-VGAN shows above this. `vgan` is a trained `PPRLVGAN`, or an object
    that decodes like one; `policy` its way to choose the identity.
    """

    name = "prior-sample"
    title = "Sample of the prior"
    marker = "^"
    parameters = (
        Parameter("policy", "random", "which patients may lend their identity", choices=POLICIES),
    )
    needs = "weights"
    # four samples of each image, from which its draws are taken
    compared = (
        Compared("prior sample, random identities", {"policy": "random"}, random=True, shared=4),
        Compared(
            "prior sample, same pathology",
            {"policy": "same"},
            labels="true",
            random=True,
            shared=4,
        ),
    )
    control = True

    def __init__(self, vgan: PriorDecoder, policy: str = "random") -> None:
        """Take a trained generator and the replacement policy."""
        self.check({"policy": policy})
        self.vgan, self.policy = vgan, policy

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method over the PPRL-VGAN that is trained, in `weights`, or shipped.

        `resources.trained` may hold a decoder of its own for this control, under its name.
        """
        cls.check(settings)
        own: PriorDecoder | None = resources.trained.get(cls.name)
        return cls(PPRLVGAN.of(resources) if own is None else own, **settings)

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one sampled image per image of `cohort`; `contributors` (N, 1) names the identity
        code used.
        """
        identity = self.vgan.draw_identities(cohort, generator, 1, self.policy)
        z = torch.randn(len(cohort), self.vgan.latent, generator=generator)
        return Release(
            images=to_uint8(self.vgan.decode(z, torch.as_tensor(identity)[:, 0])),
            source=np.arange(len(cohort), dtype=np.int64),
            contributors=np.asarray(identity).astype(np.int64),
            method=self.name,
            parameters=self.settings,
        )
