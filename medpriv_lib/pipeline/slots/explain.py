"""The arrow from a decision to a case that is shown beside it."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.promise import Promise
from medpriv_lib.explanation.retrieval import privatize_cases
from medpriv_lib.pipeline.slots.technology import (
    PLAIN,
    Context,
    Given,
    Seen,
    Table,
    Technology,
    slot,
)
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import privatizer

WHOM = "whoever is shown the case"
BLUR = Promise("fine detail of the eye", WHOM, "nobody", "a recogniser that learnt on blurred eyes")
GROUP = Promise(
    "which of K patients a case is of",
    WHOM,
    "that the K patients resemble each other by chance alone",
    "intersections of several releases; the group, which resembles its members",
)
GENERATED = Promise(
    "the patient of the case, behind another identity",
    WHOM,
    "a network that was trained on the patients",
    "the replacement, who is a patient too",
)
TRANSFER = Promise(
    "the patient of the case, behind an invented eye",
    WHOM,
    "the network that reads the signs",
    "what the signs themselves tell",
)


def nearest_of_decision(
    queries: np.ndarray, called: np.ndarray, table: Table, ill: np.ndarray
) -> Int64[np.ndarray, " q"]:
    """Return for each query vector the row of the nearest vector of the table with its decision.

    `called` (Q,) and `ill` (N,) are decisions. Where no case has the decision, the nearest of all.
    """
    square = (
        (queries**2).sum(1)[:, None] - 2 * queries @ table.features.T + (table.features**2).sum(1)
    )
    other = called[:, None] != ill[None]
    square[other & ~other.all(axis=1, keepdims=True)] = np.inf
    return square.argmin(axis=1)


def shown(name: str, **settings: object) -> Callable[[np.ndarray, Context], Given]:
    """Return the work of showing cases by a privatiser, "" for the originals."""

    def work(rows: np.ndarray, context: Context) -> Given:
        part = context.cohort.take(context.rows)
        if not name:
            images = part.images[rows]
        else:
            images = _Method(name, settings, context, part).images_of(rows)
        seen = Seen("whoever is shown the case", "pictures",
                    {"images": images, "patient": part.patient[rows]})  # fmt: skip
        return Given(images, [seen], images.nbytes)

    return work


class _Method:
    """A privatiser that is ready for a cohort and shows its cases."""

    def __init__(self, name: str, settings: dict, context: Context, part: Cohort) -> None:
        cls = privatizer(name)
        own = weights.FOLDER / context.cohort.name.rpartition("-")[2]
        folder = own if cls.needs == "weights" and (own / f"{name}.safetensors").is_file() else None
        self.method = cls.ready(Resources(context.cohort, folder), **settings)
        self.context, self.part = context, part

    def images_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the released images of these rows, in their order."""
        release = privatize_cases(self.part, rows, self.method, self.context.generator)
        return release.images


EXPLAINING = slot(
    Technology("original", "the case itself", PLAIN, "explaining-with-cases", shown("")),
    Technology("blur", "blur, kernel 9", BLUR, "blur", shown("blur", kernel=9)),
    Technology("k-same", "K-Same-Select, K = 6", GROUP, "k-same-select",
               shown("k-same-select", k=6)),
    Technology("pprl-vgan", "PPRL-VGAN", GENERATED, "pprl-vgan", shown("pprl-vgan", policy="same")),
    Technology("sign-transfer", "sign transfer", TRANSFER, "sign-transfer", shown("sign-transfer")),
)  # fmt: skip
