"""The source's true signs on an invented eye: as much evidence as can be kept without the eye."""

from dataclasses import replace

import numpy as np
import torch

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.controls.on_strangers import OnStrangers
from medpriv_lib.privatizers.painting import Painting
from medpriv_lib.privatizers.protocol import Compared
from medpriv_lib.privatizers.sign_transfer.sign_transfer import LOW_FLOOR, SignTransfer


class Transplant(OnStrangers):
    """Lay the signs of the source on a stranger: s + (x - t) inside the evidence mask.

    x is the image, t its twin, the same eye and capture without the disease; only a renderer knows
    it, so nobody can release this. What it keeps of the evidence is the ceiling for methods without
    that knowledge; how well it is linked is what the signs themselves give away. Raises
    `NotApplicable` where the cohort holds no twins or masks.
    """

    name = "transplant"
    title = "True signs on a stranger"
    marker = "^"
    compared = (
        Compared("true signs on a stranger", {"pupil": "freed"}, random=True, needs_visits=True),
        Compared(
            "true signs on a stranger, same pupil",
            {"pupil": "kept"},
            random=True,
            needs_visits=True,
        ),
        Compared(
            "true signs on a stranger, one size",
            {"pupil": "fixed"},
            random=True,
            needs_visits=True,
        ),
    )

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return a stranger with the source's signs for each image."""
        if cohort.twin is None or cohort.evidence is None:
            raise NotApplicable("the signs are not known: the cohort holds no twins and masks")
        signs = (cohort.images.astype(np.float32) - cohort.twin) * cohort.evidence
        return self.released(self.strangers(cohort, generator) + signs)

    def painting(self, cohort: Cohort) -> Painting:
        """Return the signs as the network of sign transfer reads them that ships, with the low
        floor of the study: an attacker has no twin, but that network is public.
        """
        reader = SignTransfer.load(weights.shipped(SignTransfer.name), floor=LOW_FLOOR)
        reader.strangers = self.bank
        return replace(reader.painting(cohort), ratio=super().painting(cohort).ratio)
