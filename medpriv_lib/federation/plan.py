"""What a coordinator and its sites agree on, and how it is written into a message."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import torch

from medpriv_lib import __version__
from medpriv_lib.federation.local import LocalTraining, Weights, weights_of
from medpriv_lib.federation.private.demand import Demand
from medpriv_lib.recognition.grouped import Grouped
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.probe import Probe

PROTOCOL = 2
Model = Literal["network", "probe"]
Pooling = Literal["average", "max"]


@dataclass(frozen=True)
class Plan:
    """A federated training: `rounds` of `training` at each site, of a disease recogniser for images
    of `size` pixels and `channels`: a `Grouped` network, or a `Probe`.

    A round counts where at least `fewest` sites answered within `patience` seconds. `demand` is the
    differential privacy that every site is asked for, None for none.
    """

    rounds: int
    size: int
    channels: int = 1
    pooling: Pooling = "average"
    training: LocalTraining = LocalTraining()
    fewest: int = 2
    patience: float = 600.0
    model: Model = "network"
    demand: Demand | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.rounds < 1 or self.fewest < 1 or self.patience <= 0:
            raise ValueError(
                "a federation takes at least one round, one site that answers and some patience, "
                f"not {self.rounds} rounds, {self.fewest} sites and {self.patience} seconds"
            )

    def network(self) -> Recogniser:
        """Return the network, its weights from torch's global generator."""
        return _made(self.model, self.size, self.channels, self.pooling)

    def first_weights(self, generator: torch.Generator) -> Weights:
        """Return the weights before the first round; torch's global generator stays as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
            return weights_of(self.network())

    def of_round(self, number: int, session: str) -> dict[str, Any]:
        """Return what a site is told in round `number`, as values that a message can hold."""
        training = asdict(self.training.of_round(number, self.rounds))
        training["class_weights"] = list(training["class_weights"] or ())
        return training | {
            "round": number,
            "session": session,
            "protocol": PROTOCOL,
            "version": __version__,
            "size": self.size,
            "channels": self.channels,
            "pooling": self.pooling,
            "model": self.model,
            "demand": self.demand.plain() if self.demand else [],
            "left": self.rounds - number,
        }


def training_of(told: Mapping[str, Any]) -> LocalTraining:
    """Return how a site is told to train; errors as of `LocalTraining`."""
    names = LocalTraining.__dataclass_fields__
    values = {name: told[name] for name in names}
    weights = tuple(values["class_weights"])
    return LocalTraining(**values | {"class_weights": weights or None})


def network_of(told: Mapping[str, Any]) -> Recogniser:
    """Return the network that a site is told to train, with weights that do not matter."""
    model, pooling = cast(Model, told["model"]), cast(Pooling, told["pooling"])
    with torch.random.fork_rng(devices=[]):
        return _made(model, told["size"], told["channels"], pooling)


def _made(model: Model, size: int, channels: int, pooling: Pooling) -> Recogniser:
    if model == "probe":
        return Probe(size, channels)
    return Grouped(2, size, channels, pooling)


def require_same_protocol(told: Mapping[str, Any]) -> None:
    """Raise `ValueError` where the coordinator speaks another version of the protocol."""
    if told.get("protocol") != PROTOCOL:
        raise ValueError(
            f"the coordinator runs medpriv {told.get('version')} with protocol "
            f"{told.get('protocol')}, this site {__version__} with protocol {PROTOCOL}; install "
            "the same version on both"
        )
