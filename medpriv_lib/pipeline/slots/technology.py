"""What a slot holds: a technology's name, its promise, the chapter that builds it, its work."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.promise import Promise
from medpriv_lib.federation.private.accountant import Charge, agreed, noise_for

NOTHING = "nothing"
# from epsilon, delta, rate and steps to the noise multiplier and the epsilon that it costs
Price = Callable[[float, float, float, int], tuple[float, float]]


@functools.cache
def priced(epsilon: float, delta: float, rate: float, steps: int) -> tuple[float, float]:
    """Return the noise multiplier that epsilon allows for so many noised sums, and what it costs,
    by both accountants. Remembered: every training of a run has the same price.

    Without sampling, `steps` sums with noise s are one sum with noise s / sqrt(steps), for normal
    noise, exactly: so one is computed for all.
    """
    if rate == 1:
        noise, spent = _one(epsilon, delta)
        return noise * math.sqrt(steps), spent
    noise = noise_for(epsilon, delta, rate, steps)
    return noise, agreed([Charge(noise, rate, steps)], delta)


@functools.cache
def _one(epsilon: float, delta: float) -> tuple[float, float]:
    noise = noise_for(epsilon, delta, 1.0, 1)
    return noise, agreed([Charge(noise, 1.0, 1)], delta)


@dataclass(frozen=True, eq=False)
class Table:
    """Vectors of images: `features` (N, F), `diseased` (N,), `patient` (N,) the true numbers, which
    a study needs and nobody else has, `group` (N,) which rows are known to belong together.
    """

    features: Float[np.ndarray, "n f"]
    diseased: Bool[np.ndarray, " n"]
    patient: Int64[np.ndarray, " n"]
    group: Int64[np.ndarray, " n"]

    def take(self, rows: np.ndarray) -> "Table":
        """Return the chosen rows."""
        return Table(self.features[rows], self.diseased[rows], self.patient[rows], self.group[rows])


@dataclass(frozen=True, eq=False)
class Seen:
    """What somebody who is not trusted with the patients gets to see.

    `who` that is; of `kind` "vectors" (with `values`, `patient`, `group`, and the attacker's own
    `gallery` with its `owner`), "model" (`score`, a function, and `trained`, the patients, where
    they are fewer than all), "sums" (`rounds` of model and sites'
    sums, the sites' `treated` patients), "pictures" (`images` and the `patient` of each), or what
    `attacks.table.lists` reads: "names", "list", "facts".
    """

    who: str
    kind: str
    what: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Context:
    """What a slot's work may use beside its input.

    `generator` of all that is random in it (fresh entropy in earnest); `epsilon` and `delta` that a
    patient may spend; `photographs` other images of the patients, which an attacker is assumed to
    have; `cohort` the images, `rows` those of the training; `describe` turns images into vectors;
    `few` is how many images go through what is slow, such as encryption, the others through the
    same in the clear; `price` is what noise a budget allows, and what it costs.
    """

    generator: torch.Generator
    epsilon: float
    delta: float
    photographs: Table
    cohort: Cohort
    rows: Int64[np.ndarray, " n"]
    describe: Callable[[np.ndarray], Float[np.ndarray, "n f"]]
    few: int = 20
    price: Price = priced


@dataclass(frozen=True, eq=False)
class Model:
    """What a training hands on: `score` maps vectors (N, F) to logits of disease (N,); `weights`
    (F + 1,), the last the intercept, where the model is linear.
    """

    score: Callable[[Float[np.ndarray, "n f"]], Float[np.ndarray, " n"]]
    weights: Float[np.ndarray, " g"] | None = None


@dataclass
class Given:
    """What a slot hands on: `result`, what was `seen`, the `sent` bytes; `notes` are numbers
    worth a line in the results, such as an error or an epsilon. `seconds` of CPU where the work's
    own time says something else: where a few were asked in earnest, or an attack was prepared.
    """

    result: Any
    seen: list[Seen] = field(default_factory=list)
    sent: int = 0
    notes: dict[str, float | str] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Technology:
    """`name` in a declaration, `title` on the map, `promise`, the `chapter` that builds it (a file
    name without its ending), and its `work`.
    """

    name: str
    title: str
    promise: Promise
    chapter: str
    work: Callable[..., Given]


PLAIN = Promise(NOTHING, "nobody", "everybody who handles the data", "anybody who looks")


def slot(*technologies: Technology) -> dict[str, Technology]:
    """Return technologies by their names. Raises `ValueError` where two share a name."""
    found = {one.name: one for one in technologies}
    if len(found) < len(technologies):
        raise ValueError("two technologies of a slot have one name")
    return found


def vectors(who: str, table: Table, context: Context, gallery: np.ndarray | None = None) -> Seen:
    """Return a table as something that is seen, beside the attacker's own vectors."""
    own = context.photographs
    return Seen(
        who,
        "vectors",
        {
            "values": table.features,
            "patient": table.patient,
            "group": table.group,
            "gallery": own.features if gallery is None else gallery,
            "owner": own.patient,
        },
    )
