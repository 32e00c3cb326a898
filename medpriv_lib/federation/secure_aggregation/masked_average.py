"""The coordinator's side of secure aggregation over Flower: an `Aggregation` of masked updates."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from medpriv_lib.federation.aggregation import Combined, RoundFailed, copied, require_enough
from medpriv_lib.federation.local import Weights
from medpriv_lib.federation.secure_aggregation import fixed_point
from medpriv_lib.federation.secure_aggregation.coordinator import Coordinator
from medpriv_lib.federation.secure_aggregation.identity import Roster
from medpriv_lib.federation.secure_aggregation.messages import (
    Advert,
    Agreement,
    Masked,
    Opened,
    Shares,
    plain,
    read,
)
from medpriv_lib.federation.secure_aggregation.site_mod import METRICS, RECORD, digest_of, shaped

Found = TypeVar("Found")


class MaskedAverage:
    """Federated averaging in which the coordinator sees the sum and no site's update.

    Before a round's training the sites exchange keys and shares, after it they agree on who is in
    the sum and open it. A site that fails, is silent or sends what does not fit is left out, as
    long as the roster's threshold of sites stays; the sum of fewer is never opened. The weights are
    those of `average` up to `fixed_point.error` before they are rounded to their type. The round's
    metrics are means over the sum. The validation that follows a round is not masked.
    """

    def __init__(self, roster: Roster) -> None:
        """Take the roster. The clock numbers the rounds: none comes twice, restarts included."""
        self.roster = roster
        self._last = 0

    def ask(
        self, number: int, record: RecordDict, nodes: Sequence[int], grid: Grid, patience: float
    ) -> list[Message]:
        """Exchange keys and shares; return the messages of those who take part.

        Raises `RoundFailed` where they are fewer than the threshold.
        """
        self._last = max(time.time_ns(), self._last + 1)
        self._number, self._grid, self._patience = number, grid, patience
        self._refused: dict[int, str] = {}
        weights = record.array_records["arrays"].to_torch_state_dict()
        count = sum(tensor.numel() for tensor in weights.values()) + len(METRICS) + 1
        self._round = Coordinator(self.roster, self._last, count, digest_of(record))
        self._node: dict[int, int] = {}
        first = {node: {"round": self._last} for node in nodes}
        for node, advert in self._exchange("advertise", first, Advert).items():
            self._node[advert.site] = node
        keys = plain(self._closed(self._round.keys))
        self._exchange("share", dict.fromkeys(self._node.values(), keys), Shares)
        inboxes = self._closed(self._round.inboxes)
        asked = []
        for site, inbox in inboxes.items():
            own = copied(record)
            own[RECORD] = ConfigRecord(plain(inbox))
            asked.append(Message(own, self._node[site], "train"))
        return asked

    def combine(
        self, number: int, replies: Sequence[Message], like: Weights, fewest: int
    ) -> Combined:
        """Take the masked updates, have the sum opened, and return the mean.

        Raises `RoundFailed` for fewer updates than `fewest` or the threshold, and where the sum
        does not open.
        """
        sent = {reply.metadata.src_node_id: reply for reply in replies}
        arrived = self._received(sent, Masked)
        require_enough(number, len(arrived), fewest, self._refused)
        survivors = self._closed(self._round.survivors)
        nodes = [self._node[site] for site in survivors.sites]
        self._exchange("agree", dict.fromkeys(nodes, plain(survivors)), Agreement)
        agreed = plain(self._closed(self._round.agreements))
        self._exchange("reveal", dict.fromkeys(nodes, agreed), Opened)
        total = self._closed(self._round.total)
        mean, patients = self._closed(lambda: fixed_point.decode(total, len(nodes)))
        weights, metrics = shaped(mean, like)
        lost = self._round.lost()
        notes = [f"the sum of {len(nodes)} masked updates"]
        if lost:
            notes.append(f"the masks of {len(lost)} lost site(s) were recovered")
        refused = dict(self._refused)
        notes += [refused.pop(node) for node in nodes if node in refused]  # after they had sent
        return Combined(weights, patients, tuple(nodes), refused, metrics, tuple(notes))

    def _exchange(
        self, phase: str, asked: Mapping[int, Mapping[str, Any]], kind: type[Found]
    ) -> dict[int, Found]:
        """Send each node its question of a phase; return the answers that the round took."""
        messages = [
            Message(RecordDict({RECORD: ConfigRecord(dict(one))}), node, f"query.{phase}")
            for node, one in asked.items()
        ]
        replies = self._grid.send_and_receive(messages, timeout=self._patience)
        found = {}
        for reply in replies:
            node = reply.metadata.src_node_id
            if reply.has_error():
                self._refused[node] = reply.error.reason or "the site failed and did not say why"
            elif node in asked:
                found[node] = reply
        return self._received(found, kind)

    def _received(self, replies: Mapping[int, Message], kind: type[Found]) -> dict[int, Found]:
        taken = {}
        for node, reply in replies.items():
            try:
                taken[node] = self._message(node, reply, kind)
            except ValueError as error:  # one site's fault must not end the others' round
                self._refused[node] = str(error)
        return taken

    def _message(self, node: int, reply: Message, kind: type[Found]) -> Found:
        record = reply.content.config_records.get(RECORD)
        arrays = {}
        if kind is Masked:
            held = reply.content.array_records.get("masked")
            if held is None or "numbers" not in held:
                raise ValueError("a masked update came without its numbers")
            arrays["numbers"] = held["numbers"].numpy()
        message: Any = read(kind, dict(record or {}), **arrays)
        claimed = self._node.get(message.site, node)
        if claimed != node:
            raise ValueError(f"node {node} speaks for site {message.site}, which node {claimed} is")
        self._round.receive(message)
        return message

    def _closed(self, work: Callable[[], Found]) -> Found:
        try:
            return work()
        except ValueError as error:
            why = "; ".join(self._refused.values())
            said = f"{error}{f' ({why})' if why else ''}"
            # people count rounds from 1; the clock's number is the protocol's own
            raise RoundFailed(said.replace(str(self._last), str(self._number))) from error
