"""How a coordinator asks for updates and puts them together: in the open, or in another way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from flwr.app import ArrayRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from medpriv_lib.federation.average import average, require_fit
from medpriv_lib.federation.local import Update, Weights


class RoundFailed(ValueError):
    """A round could not be completed; the rounds before it are kept."""


@dataclass(frozen=True, eq=False)
class Combined:
    """What a round's updates came to.

    `weights` of all `patients` together; `answered` the nodes whose update is in them; `refused`
    the reason for each node whose update was left out; `metrics` the mean over the answers,
    weighted by patients; `notes` what else there is to say.
    """

    weights: Weights
    patients: int
    answered: tuple[int, ...]
    refused: Mapping[int, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Aggregation(Protocol):
    """How the coordinator gets from replies to new weights; both hooks may talk to the sites."""

    def ask(
        self, number: int, record: RecordDict, nodes: Sequence[int], grid: Grid, patience: float
    ) -> list[Message]:
        """Return round `number`'s messages to the nodes; `record` is what each is sent."""

    def combine(
        self, number: int, replies: Sequence[Message], like: Weights, fewest: int
    ) -> Combined:
        """Return what the replies, those without an error, come to.

        `like` are the weights before the round. Raises `RoundFailed` for fewer than `fewest`
        updates that can be used.
        """


class InTheOpen:
    """Federated averaging: the coordinator sees each site's update."""

    def ask(
        self, number: int, record: RecordDict, nodes: Sequence[int], grid: Grid, patience: float
    ) -> list[Message]:
        """Return the same message to each node."""
        return train_messages(record, nodes)

    def combine(
        self, number: int, replies: Sequence[Message], like: Weights, fewest: int
    ) -> Combined:
        """Return the average of the updates that are fit to be averaged."""
        updates: dict[int, Update] = {}
        refused: dict[int, str] = {}
        for reply in replies:
            node = reply.metadata.src_node_id
            try:
                update = update_in(reply)
                require_fit(update, like)
            except ValueError as error:  # one site's fault must not end the others' round
                refused[node] = str(error)
                continue
            updates[node] = update
        require_enough(number, len(updates), fewest, refused)
        patients = sum(update.patients for update in updates.values())
        names = sorted({name for update in updates.values() for name in update.metrics})
        metrics = {
            name: sum(one.patients * one.metrics.get(name, 0.0) for one in updates.values())
            / patients
            for name in names
        }
        weights = average(list(updates.values()))
        return Combined(weights, patients, tuple(updates), refused, metrics)


def train_messages(record: RecordDict, nodes: Sequence[int]) -> list[Message]:
    """Return one message of a round to each node, each with a record of its own."""
    return [Message(copied(record), node, MessageType.TRAIN) for node in nodes]


def copied(record: RecordDict) -> RecordDict:
    """Return a record with the same parts, to which a message may add its own."""
    return RecordDict(dict(record.items()))


def update_in(reply: Message) -> Update:
    """Return the update that a site's reply holds. Raises `ValueError` where it holds none."""
    content = reply.content
    name = site_of(reply)
    if "arrays" not in content.array_records or "metrics" not in content.metric_records:
        raise ValueError(f"the reply of {name} holds no update")
    metrics = {
        key: float(value)
        for key, value in content.metric_records["metrics"].items()
        if isinstance(value, int | float)
    }
    patients = int(metrics.pop("patients", 0))
    return Update(
        name, dict(content.array_records["arrays"].to_torch_state_dict()), patients, metrics
    )


def site_of(reply: Message) -> str:
    """Return the name under which a site answered, or its node's number."""
    config = reply.content.config_records.get("config") if reply.has_content() else None
    name = config.get("site") if config else None
    return name if isinstance(name, str) else f"node {reply.metadata.src_node_id}"


def require_enough(number: int, have: int, fewest: int, refused: Mapping[int, str]) -> None:
    """Raise `RoundFailed` where fewer than `fewest` updates can be used."""
    if have >= fewest:
        return
    why = f" ({'; '.join(refused.values())})" if refused else ""
    raise RoundFailed(
        f"round {number}: {have} update(s) can be used and at least {fewest} are needed{why}; the "
        "rounds before are kept: start the same again when the sites are back"
    )


def arrays_of(weights: Weights) -> ArrayRecord:
    """Return weights as a message holds them."""
    return ArrayRecord(weights)
