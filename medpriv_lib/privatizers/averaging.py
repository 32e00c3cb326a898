"""Averaged sets: K privatised images of one source in one, so that no single replacement is
exposed.
"""

import numpy as np
import torch
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_uint8
from medpriv_lib.core.release import Release


class Averaged:
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

    def __init__(self, vgan, k: int = 6, policy: str = "random") -> None:
        """Take a trained generator, the number of images per mean and the replacement policy."""
        if not isinstance(k, int | np.integer) or k < 2:
            raise ValueError(
                f"k must be a whole number of at least 2, not {k!r}: the own identity and k - 1 others"
            )
        if policy not in ("random", "same"):
            raise ValueError(
                f'the identities to average are drawn by the policy "random" or "same", not {policy!r}'
            )
        self.vgan, self.k, self.policy = vgan, int(k), policy

    def fit(self, train: Cohort) -> "Averaged":
        """Return the method itself: the generator is trained already."""
        return self

    def identities(self, cohort: Cohort, generator: torch.Generator) -> Int64[np.ndarray, "n k"]:
        """Draw the identities to average for each image (N, k): the source's own first, then the k
        - 1 others.

        Raises `ValueError` where the generator knows no code for a source's patient, or a pool is
        empty.
        """
        pools = self.vgan.pools
        own = pools.known(cohort)
        lacking = np.flatnonzero((own < 0) | ~pools.has_label.any(axis=1)[own])
        if len(lacking):
            name = cohort.patient_names[cohort.patient[lacking[0]]]
            raise ValueError(
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

    def privatize(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return the mean of k decoded images for every image; `contributors` (N, k) are the
        identities used.

        The source's own patient is among them. Raises `ValueError` as `identities` does.
        """
        drawn = self.identities(cohort, generator)
        z = self.vgan.encode(cohort.images, generator)
        total = torch.zeros(len(cohort), 1, *cohort.images.shape[1:])
        for column in drawn.T:
            total += self.vgan.decode(z, torch.from_numpy(column.copy()))
        return Release(
            images=to_uint8(total / self.k),
            source=np.arange(len(cohort), dtype=np.int64),
            contributors=drawn,
            method=self.name,
            parameters={"k": self.k, "policy": self.policy},
        )
