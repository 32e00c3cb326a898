"""The rows of the federated comparison: who trains with whom, and what hides what is sent."""

import math
from dataclasses import dataclass

from medpriv_lib.federation.sites import How
from medpriv_lib.study.federated_rows import PROBE

PROXIMAL = 0.1
EPSILONS = (8.0, 3.0, 1.0)


@dataclass(frozen=True)
class Arm:
    """One row for each seed: who trains with whom. `dealt` None: all patients at one site.

    `secure`: the coordinator sees sums only. `clip` 0 cuts no patient's gradient; `epsilon` is what
    each patient is promised, with noise in shares under secure aggregation, infinite for nothing.
    Both are of the linear layer, whose arms' names begin with `PROBE`.
    """

    name: str
    dealt: How | None
    proximal: float = 0.0
    alone: bool = False
    secure: bool = False
    clip: float = 0.0
    epsilon: float = math.inf

    @property
    def probe(self) -> bool:
        """Whether a linear layer is trained, in place of the network."""
        return self.name.startswith(PROBE)


def _probes(how: How) -> tuple[Arm, ...]:
    """Return the arms of the linear layer for one way to deal."""
    name = PROBE
    plain = Arm(name + "federated", how), Arm(name + "alone", how, alone=True)
    masked = Arm(name + "secure", how, secure=True)
    clipped = Arm(name + "clipped", how, secure=True, clip=1.0)
    noisy = (
        Arm(f"{name}epsilon {epsilon:g}", how, secure=True, clip=1.0, epsilon=epsilon)
        for epsilon in EPSILONS
    )
    return *plain, masked, clipped, *noisy


ARMS = (
    Arm("pooled", None),
    Arm("federated", "even"),
    Arm("alone", "even", alone=True),
    Arm("federated", "size"),
    Arm("alone", "size", alone=True),
    Arm("fedprox", "size", proximal=PROXIMAL),
    Arm(PROBE + "pooled", None),
    *_probes("even"),
    *_probes("size"),
    Arm("secure", "even", secure=True),
)
