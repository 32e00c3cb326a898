"""What left a site: the names, shapes and bytes of what each message held, and no content."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp.typing import ClientAppCallable, Mod


@dataclass(frozen=True)
class Piece:
    """One thing in a message: its `name`, `type`, `shape` and how many `bytes` it takes."""

    name: str
    type: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class Left:
    """One message that left: of which `kind`, in which `round` (0: of none), `pieces` and all
    `bytes`; `error` where the site only said that it could not.
    """

    kind: str
    round: int
    bytes: int
    pieces: tuple[Piece, ...]
    error: str = ""


def pieces(message: Message) -> Iterator[Piece]:
    """Yield what a message holds: tensors, numbers and texts, none where it is an error."""
    if message.has_error():
        return
    for record, arrays in message.content.array_records.items():
        for name, array in arrays.items():
            yield Piece(f"{record}.{name}", array.dtype, tuple(array.shape), len(array.data))
    for record, metrics in message.content.metric_records.items():
        for name, number in metrics.items():
            count = len(number) if isinstance(number, list) else 1
            shape = (count,) if isinstance(number, list) else ()
            yield Piece(f"{record}.{name}", "number", shape, 8 * count)
    for record, config in message.content.config_records.items():
        for name, value in config.items():
            values = value if isinstance(value, list) else [value]
            size = sum(len(one) if isinstance(one, str | bytes) else 8 for one in values)
            shape = (len(values),) if isinstance(value, list) else ()
            yield Piece(f"{record}.{name}", type(values[0]).__name__ if values else "", shape, size)


def bytes_of(message: Message) -> int:
    """Return how many bytes a message's content takes, its error's text included."""
    if message.has_error():
        return len((message.error.reason or "").encode())
    return sum(piece.bytes for piece in pieces(message))


def left_in(reply: Message, number: int) -> Left:
    """Return what a reply held."""
    error = (reply.error.reason or "") if reply.has_error() else ""
    return Left(reply.metadata.message_type, number, bytes_of(reply), tuple(pieces(reply)), error)


Note = Callable[[Left], None]


def logging_mod(note: Note) -> Mod:
    """Return a mod that notes what each reply of a site holds; put it first, so that it sees what
    all other mods made of the reply.
    """

    def mod(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        config = message.content.config_records.get("config")
        number = config.get("round") if config else 0
        reply = call_next(message, context)
        note(left_in(reply, number if isinstance(number, int) else 0))
        return reply

    return mod


def to_file(path: Path) -> Note:
    """Return a note-taker that adds one line of JSON to a file for each message."""

    def note(left: Left) -> None:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(left)) + "\n")

    return note
