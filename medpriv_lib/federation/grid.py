"""Flower's apps within one process: no server, no port, nothing left behind."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from medpriv_lib.federation.log import bytes_of

COORDINATOR = 1  # the node that the messages come from
Disturb = Callable[[Message, Message], Message | None]


class InProcessGrid(Grid):
    """Calls each site's `ClientApp` in turn where Flower would send a message to its node.

    `sites` maps node numbers to apps. `sent` and `received` count the coordinator's bytes.
    `disturb(message, reply)` may return another reply, or None for one that never arrives; tests
    and chapters lose sites with it. An app that raises answers with an error, as in a process of
    its own.
    """

    def __init__(self, sites: Mapping[int, ClientApp], disturb: Disturb | None = None) -> None:
        """Give each site an empty context, which it keeps from message to message."""
        self.sites, self.disturb = dict(sites), disturb
        self.contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in self.sites}
        self.sent = self.received = 0
        self._count = 0
        self._replies: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        """There is one run only."""

    @property
    def run(self) -> Run:
        """The one run."""
        return Run.create_empty(1)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message to a site."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the sites' nodes."""
        return list(self.sites)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Have each message answered, and return under which names the replies wait."""
        names = []
        for message in messages:
            self._count += 1
            names.append(name := str(self._count))
            message.metadata.__dict__["_message_id"] = name
            self.sent += bytes_of(message)
            reply: Message | None = self._answer(message)
            if self.disturb and reply is not None:
                reply = self.disturb(message, reply)
            if reply is not None:
                self.received += bytes_of(reply)
                self._replies[name] = reply
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that are there, each once."""
        return [self._replies.pop(name) for name in message_ids if name in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Return the replies to messages; nobody is waited for."""
        return self.pull_messages(self.push_messages(messages))

    def _answer(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        try:
            return self.sites[node](message, self.contexts[node])
        except Exception as error:  # as in Flower's own process: what fails there is an error here
            return Message(Error(0, f"{type(error).__name__}: {error}"), reply_to=message)


@contextlib.contextmanager
def as_coordinator() -> Iterator[None]:
    """Let this process make messages: Flower asks who runs here, which only its own processes
    know. Whoever it was before is put back.
    """
    names = ("_task_id", "_run_id", "_node_id")
    before = [getattr(TaskIdentity, name) for name in names]
    try:
        for name in names:
            setattr(TaskIdentity, name, COORDINATOR)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(TaskIdentity, name, value)


def run_in_process(coordinator: ServerApp, grid: InProcessGrid) -> None:
    """Run a coordinator's app over a grid to its end; what it raises comes out here."""
    with as_coordinator():
        coordinator(grid, Context(1, COORDINATOR, {}, RecordDict(), {}))
