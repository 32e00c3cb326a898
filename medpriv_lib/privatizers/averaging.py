"""Averaged sets: K privatised images of one source in one, so that no single replacement is
exposed.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images, to_uint8
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer, Resources
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN

AVERAGED = 6


class Averaged(Privatizer):
    """Release the mean of k images that PPRL-VGAN makes of the source, one of them with the
    source's own identity.

    Montenegro et al. (2021) average six. The other k - 1 identities follow `policy`, "random" or
    "same", as in `replacement.Pools.candidates`. They are drawn without replacement, so that k
    patients share the image; where an image's pool holds fewer than k - 1 patients they are drawn
    with replacement. All k images decode one code z, drawn once per source: they differ in the
    identity alone. The mean is taken in float32 and rounded once. `vgan` is a trained `PPRLVGAN`.
    Raises `ValueError` for k below 2 or another policy.
    """

    name = "averaged"
    title = "PPRL-VGAN, averaged"
    marker = "o"
    parameters = (
        Parameter(
            "k", AVERAGED, "images per mean, the own identity and k - 1 others", least=2, most=1000
        ),
        Parameter(
            "policy",
            "random",
            'who else lends an identity: any other patient ("random") or one of the label ("same")',
            choices=("random", "same"),
        ),
    )
    needs = "weights"
    compared = (
        Compared(
            f"average of {AVERAGED} with random identities",
            {"k": AVERAGED, "policy": "random"},
            random=True,
            experiment="pprl-vgan",
        ),
        Compared(
            f"average of {AVERAGED} with the same pathology",
            {"k": AVERAGED, "policy": "same"},
            labels="true",
            random=True,
            experiment="pprl-vgan",
        ),
    )

    def __init__(self, vgan: PPRLVGAN, k: int = AVERAGED, policy: str = "random") -> None:
        """Take a trained generator, the number of images per mean and the replacement policy."""
        self.check({"k": k, "policy": policy})
        self.vgan, self.k, self.policy = vgan, int(k), policy

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method over the PPRL-VGAN that is trained, in `weights`, or shipped."""
        cls.check(settings)
        return cls(PPRLVGAN.of(resources), **settings)

    @classmethod
    def claims_k(cls, settings: Mapping[str, Any]) -> int:
        """Return k: that many patients lend an image its identity."""
        return int(settings["k"])

    def identities(self, cohort: Cohort, generator: torch.Generator) -> Int64[np.ndarray, "n k"]:
        """Draw the identities to average for each image (N, k): the source's own first, then the k
        - 1 others.

        Raises `NotApplicable` where the generator knows no code for a source's patient, or a pool
        is empty.
        """
        pools = self.vgan.pools
        own, trained = pools.numbers(cohort), np.asarray(pools.has_label.any(axis=1))
        lacking = np.flatnonzero((own < 0) | ~trained[own])
        if len(lacking):
            name = cohort.patient_names[cohort.patient[lacking[0]]]
            raise NotApplicable(
                f"image {lacking[0]}: an averaged set needs the identity code of its own patient, "
                f"but {name} has no image in the generator's training; "
                "use the method pprl-vgan instead"
            )
        few = pools.candidates(cohort, self.policy).sum(axis=1) < self.k - 1
        drawn = np.empty((len(cohort), self.k), dtype=np.int64)
        drawn[:, 0] = own
        for rows, replace in ((np.flatnonzero(~few), False), (np.flatnonzero(few), True)):
            if len(rows):
                some = cohort.take(rows)
                drawn[rows, 1:] = self.vgan.draw_identities(
                    some, generator, self.k - 1, self.policy, replace
                )
        return drawn

    def posterior(self, images: Images) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
        """Return mean and standard deviation of each image's code; see `codes.Coded`."""
        return self.vgan.posterior(images)

    def lend(self, cohort: Cohort, generator: torch.Generator) -> Int64[np.ndarray, "n k"]:
        """Draw the k identities of each mean; the same as `identities`."""
        return self.identities(cohort, generator)

    def decode(self, z: Float[Tensor, "n z"], identity: Tensor) -> Float[Tensor, "n c s s"]:
        """Return codes shown as one patient each: what is averaged."""
        return self.vgan.decode(z, identity)

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return the mean of k decoded images for every image; `contributors` (N, k) are the
        identities used.

        The source's own patient is among them. Raises `NotApplicable` as `identities` does.
        """
        drawn = self.identities(cohort, generator)
        z = self.vgan.encode(cohort.images, generator)
        own, *others = (torch.from_numpy(column.copy()) for column in drawn.T)
        total = self.vgan.decode(z, own)
        for column in others:
            total += self.vgan.decode(z, column)
        return Release(
            images=to_uint8(total / self.k),
            source=np.arange(len(cohort), dtype=np.int64),
            contributors=drawn,
            method=self.name,
            parameters=self.settings,
        )
