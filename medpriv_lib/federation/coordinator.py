"""The coordinator: rounds over Flower, sites that stop or send nonsense, going on after a kill."""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from medpriv_lib.federation.aggregation import (
    Aggregation,
    Combined,
    InTheOpen,
    RoundFailed,
    arrays_of,
    copied,
    site_of,
)
from medpriv_lib.federation.local import Weights
from medpriv_lib.federation.log import bytes_of
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.validation import Counts, added, best_threshold
from medpriv_lib.learning.checkpoint import named, part_of, read_checkpoint, write_checkpoint


@dataclass(frozen=True)
class Round:
    """What happened in one round.

    `answered` are the sites whose update counted, `missing` those who said nothing in time,
    `refused` why others were left out. `loss` is the sites' mean training loss, `f1` that of the
    new weights on all validation images at `threshold`, the best of 99 (None without any). `sent`
    and `received` are the coordinator's bytes, `notes` what the aggregation had to say.
    """

    number: int
    answered: tuple[str, ...]
    missing: tuple[str, ...]
    refused: Mapping[str, str]
    patients: int
    loss: float | None
    f1: float | None
    threshold: float
    seconds: float
    sent: int
    received: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a federation came to: the `weights` after its last round, and its `rounds`."""

    weights: Weights
    rounds: tuple[Round, ...]

    @property
    def threshold(self) -> float:
        """The probability from which an image is called diseased: that of the last round."""
        return self.rounds[-1].threshold


Progress = Callable[[int, int, Round], None]


@dataclass(eq=False)
class Coordinator:
    """Leads the rounds of a plan over a grid of sites.

    `aggregation` says how updates are put together. With a `folder`, made where missing, each
    round's end is written there, and a coordinator that is started again goes on after the last
    one. `data` is what else has to be the same then (JSON values). `progress(number, rounds,
    round)` is called after each round. `validate` False leaves the validation images out.
    """

    plan: Plan
    first: Weights
    aggregation: Aggregation = field(default_factory=InTheOpen)
    folder: Path | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    validate: bool = True

    def __post_init__(self) -> None:
        """Begin a session: replies to another one are not taken for replies to this one."""
        self.session = secrets.token_hex(8)
        self.names: dict[int, str] = {}
        self.sent = self.received = 0

    def run(self, grid: Grid) -> Outcome:
        """Run the rounds that are left and return the outcome.

        Raises `RoundFailed` for a round that fewer than `plan.fewest` sites answered, and
        `ValueError` where the folder holds a federation with another plan.
        """
        weights, rounds = self._restored()
        for number in range(len(rounds) + 1, self.plan.rounds + 1):
            started, self.sent, self.received = time.monotonic(), 0, 0
            combined, silent = self._train(number, weights, grid)
            # counts of validation images would leave without noise
            ask = self.validate and self.plan.demand is None
            counts = self._counts(number, combined.weights, grid) if ask else None
            weights = combined.weights
            rounds.append(
                Round(
                    number=number,
                    answered=self._named(combined.answered),
                    missing=self._named(silent),
                    refused={self._name(n): why for n, why in combined.refused.items()},
                    patients=combined.patients,
                    # under differential privacy no site tells its loss
                    loss=None if self.plan.demand else combined.metrics.get("loss"),
                    f1=float(counts.f1.max()) if counts and counts.ill else None,
                    threshold=best_threshold(counts) if counts else 0.5,
                    seconds=round(time.monotonic() - started, 3),
                    sent=self.sent,
                    received=self.received,
                    notes=combined.notes,
                )
            )
            self._save(weights, rounds)
            if self.progress:
                self.progress(number, self.plan.rounds, rounds[-1])
        return Outcome(weights, tuple(rounds))

    def _train(self, number: int, weights: Weights, grid: Grid) -> tuple[Combined, list[int]]:
        """Return what a round's updates came to, and who said nothing."""
        nodes = sorted(grid.get_node_ids())
        if len(nodes) < self.plan.fewest:
            raise RoundFailed(
                f"round {number}: {len(nodes)} site(s) are connected and at least "
                f"{self.plan.fewest} are needed; start the same again when the sites are back"
            )
        told = self.plan.of_round(number, self.session)
        record = RecordDict({"arrays": arrays_of(weights), "config": ConfigRecord(told)})
        asked = self.aggregation.ask(number, record, nodes, grid, self.plan.patience)
        replies, refused = self._exchange(number, asked, grid)
        combined = self._combine(number, replies, weights, refused)
        heard = {*combined.answered, *refused, *combined.refused}
        silent = [node for node in nodes if node not in heard]
        return replace(combined, refused={**refused, **combined.refused}), silent

    def _combine(
        self, number: int, replies: list[Message], weights: Weights, refused: dict[int, str]
    ) -> Combined:
        try:
            return self.aggregation.combine(number, replies, weights, self.plan.fewest)
        except RoundFailed as error:
            why = "; ".join(f"{self._name(node)}: {text}" for node, text in refused.items())
            raise RoundFailed(f"{error}{f' ({why})' if why else ''}") from error

    def _counts(self, number: int, weights: Weights, grid: Grid) -> Counts | None:
        """Return the counts of all sites' validation images under these weights."""
        told = self.plan.of_round(number, self.session)
        record = RecordDict({"arrays": arrays_of(weights), "config": ConfigRecord(told)})
        asked = [
            Message(copied(record), node, MessageType.EVALUATE)
            for node in sorted(grid.get_node_ids())
        ]
        replies, _ = self._exchange(number, asked, grid)
        counts = [found for reply in replies if (found := counts_in(reply)) is not None]
        return added(counts) if counts else None

    def _exchange(
        self, number: int, asked: Sequence[Message], grid: Grid
    ) -> tuple[list[Message], dict[int, str]]:
        """Return the replies that belong to this round, one of each site, and why others do not."""
        self.sent += sum(map(bytes_of, asked))
        good: dict[int, Message] = {}
        refused: dict[int, str] = {}
        expected = {message.metadata.dst_node_id for message in asked}
        for reply in grid.send_and_receive(asked, timeout=self.plan.patience):
            self.received += bytes_of(reply)
            node = reply.metadata.src_node_id
            if node not in expected:
                continue
            if reply.has_error():
                refused[node] = reply.error.reason or "the site failed and did not say why"
                continue
            self.names[node] = site_of(reply)
            why = self._foreign(number, reply)
            if why or node in good:
                refused[node] = why or "the site answered twice"
            else:
                good[node] = reply
        return [reply for node, reply in good.items() if node not in refused], refused

    def _foreign(self, number: int, reply: Message) -> str:
        """Return why a reply does not belong to this round, "" where it does."""
        config: Mapping[str, Any] = reply.content.config_records.get("config") or {}
        if config.get("session") == self.session and config.get("round") == number:
            return ""
        return "the reply belongs to another round: replayed, or late"

    def _restored(self) -> tuple[Weights, list[Round]]:
        found = read_checkpoint(self.folder, self._training()) if self.folder else None
        if found is None:
            return self.first, []
        tensors, state = found
        kept = part_of(tensors, "weights")
        return {name: kept[name] for name in self.first}, [round_of(row) for row in state["rounds"]]

    def _save(self, weights: Weights, rounds: Iterable[Round]) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {"rounds": [asdict(one) for one in rounds]}
        write_checkpoint(self.folder, named("weights", weights), state, self._training())

    def _training(self) -> dict[str, Any]:
        plan = asdict(self.plan)
        del plan["patience"]  # may be longer the second time
        kind = type(self.aggregation).__name__
        return {"kind": "federation", "plan": plan, "aggregation": kind, **self.data}

    def _name(self, node: int) -> str:
        return self.names.get(node, f"node {node}")

    def _named(self, nodes: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted(map(self._name, nodes)))


def round_of(row: Mapping[str, Any]) -> Round:
    """Return a round as it was before it went through JSON, which has no tuples."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
    }
    return Round(**values)


def counts_in(reply: Message) -> Counts | None:
    """Return the counts of a site's validation images, None where it has none or they do not fit
    together.
    """
    metrics = reply.content.metric_records.get("metrics")
    if metrics is None or not metrics.get("images"):
        return None
    called, hit = (np.asarray(metrics[name], dtype=np.int64) for name in ("called", "hit"))
    ill, images = int(metrics["ill"]), int(metrics["images"])  # type: ignore[arg-type]
    if called.shape != (99,) or hit.shape != (99,) or (hit > called).any() or hit.max() > ill:
        return None
    return Counts(called, hit, ill, images)
