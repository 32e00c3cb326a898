"""The mean sign on an invented eye, as strong as a judge is sure: one number of the source."""

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.controls.on_strangers import PUPIL, OnStrangers, bank_of
from medpriv_lib.privatizers.painting import Painting
from medpriv_lib.privatizers.protocol import Compared, Parameter, Resources
from medpriv_lib.privatizers.strangers import Strangers
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

STRENGTH = 3.0
JUDGES = "judges"  # in `Resources.trained`


class Stencil(OnStrangers):
    """Release s + strength x p(x) x m on a stranger s.

    p(x) is the disease judge's probability that the source is diseased, m the mean of x - t over
    all diseased training images that have a twin. It meets every requirement that asks for a label
    and for signs in general, and holds nothing of the patient's own. Raises `NotApplicable` where
    no training image has signs and a twin.
    """

    name = "stencil"
    title = "Mean sign on a stranger"
    marker = "^"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        PUPIL,
        Parameter("strength", STRENGTH, "how strongly the mean sign is painted", least=0, most=100),
    )
    compared = (
        Compared(
            "mean sign on a stranger",
            {"pupil": "freed", "strength": STRENGTH},
            random=True,
            needs_visits=True,
        ),
    )

    def __init__(
        self,
        bank: Strangers,
        judge: Recogniser,
        pupil: str = "freed",
        strength: float = STRENGTH,
        mean: Float[np.ndarray, "s s"] | None = None,
    ) -> None:
        """Take strangers and a disease judge; `mean` comes from `fit`."""
        super().__init__(bank, pupil)
        self.check({"strength": strength})
        self.judge, self.strength, self.mean = judge, float(strength), mean

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the control with the judges in memory, of the weights' folder, or shipped."""
        cls.check(settings)
        judges: Judges | None = resources.trained.get(JUDGES)
        if judges is None:
            judges = Judges.load(resources.weights, resources.cohort)
        return cls(bank_of(resources), judges.disease, **settings).fit(resources.train(cls.name))

    def fit(self, train: Cohort) -> Self:
        """Take the mean sign from training images and return the control itself."""
        if train.twin is None or not train.diseased.any():
            raise NotApplicable("no training image has signs and a twin without them")
        ill = train.diseased
        signs = train.images[ill].astype(np.float32) - train.twin[ill]
        self.mean = signs.mean(axis=0)
        return self

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return a stranger with the mean sign for each image."""
        return self.released(self.strangers(cohort, generator) + self._signs(cohort))

    def painting(self, cohort: Cohort) -> Painting:
        """Return the mean sign, as strong as it would be painted for each image."""
        bare = super().painting(cohort)
        return replace(bare, ink=self._signs(cohort).astype(np.float32))

    def _signs(self, cohort: Cohort) -> Float[np.ndarray, "n s s"]:
        if self.mean is None:
            raise ValueError(f"{self.name} has no mean sign yet; call fit(train) first")
        sure = logits(self.judge, cohort.images).softmax(1)[:, 1].numpy()
        return self.strength * sure[:, None, None] * self.mean
