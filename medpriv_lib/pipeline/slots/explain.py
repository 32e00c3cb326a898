"""The arrow from a decision to a case that is shown beside it."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int64, UInt8

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

METHODS: dict[str, tuple[str, dict]] = {  # by which privatiser, with which settings
    "blur": ("blur", {"kernel": 9}),
    "k-same": ("k-same-select", {"k": 6}),
    "pprl-vgan": ("pprl-vgan", {"policy": "same"}),
    "sign-transfer": ("sign-transfer", {}),
}
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


def released(
    name: str, cohort: Cohort, rows: Int64[np.ndarray, " q"], generator: torch.Generator
) -> UInt8[np.ndarray, "q s s"]:
    """Return images of a cohort privatised by a method of `METHODS`, in the order of `rows`.

    Weights are those made for the cohort where such ones ship, else the shipped ones.
    Raises `ValueError` for another name, and what the method raises.
    """
    if name not in METHODS:
        raise ValueError(f"cases are shown by {', '.join(METHODS)}, not {name!r}")
    cls = privatizer(METHODS[name][0])
    own = weights.FOLDER / cohort.name.rpartition("-")[2]
    there = cls.needs == "weights" and (own / f"{cls.name}.safetensors").is_file()
    method = cls.ready(Resources(cohort, own if there else None), **METHODS[name][1])
    return privatize_cases(cohort, rows, method, generator).images


def shown(name: str) -> Callable[[np.ndarray, Context], Given]:
    """Return the work of showing cases by a method of `METHODS`, "" for the originals."""

    def work(rows: np.ndarray, context: Context) -> Given:
        own = context.rows[rows]
        images = context.cohort.images[own]
        if name:
            images = released(name, context.cohort, own, context.generator)
        seen = Seen("whoever is shown the case", "pictures",
                    {"images": images, "patient": context.cohort.patient[own]})  # fmt: skip
        return Given(images, [seen], images.nbytes)

    return work


EXPLAINING = slot(
    Technology("original", "the case itself", PLAIN, "explaining-with-cases", shown("")),
    Technology("blur", "blur, kernel 9", BLUR, "blur", shown("blur")),
    Technology("k-same", "K-Same-Select, K = 6", GROUP, "k-same-select",
               shown("k-same")),
    Technology("pprl-vgan", "PPRL-VGAN", GENERATED, "pprl-vgan", shown("pprl-vgan")),
    Technology("sign-transfer", "sign transfer", TRANSFER, "sign-transfer", shown("sign-transfer")),
)  # fmt: skip
