"""A site's side of secure aggregation over Flower: a mod around the app that trains."""

import hashlib
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod
from jaxtyping import Float

from medpriv_lib.federation.secure_aggregation import fixed_point
from medpriv_lib.federation.secure_aggregation.identity import Identity, Roster
from medpriv_lib.federation.secure_aggregation.keys import joined
from medpriv_lib.federation.secure_aggregation.member import Member, Memory
from medpriv_lib.federation.secure_aggregation.messages import (
    Agreements,
    Inbox,
    Keys,
    Survivors,
    plain,
    read,
)

if TYPE_CHECKING:  # it imports torch, which keys and shares do without
    from medpriv_lib.federation.local import Weights

PHASES = ("advertise", "share", "agree", "reveal")  # the queries that the mod answers
RECORD = "masks"  # the record of a message that holds what the protocol says
METRICS = ("images", "loss", "steps")  # ride in the sum, so that no site's own are seen
Enrolled = Callable[[Context], tuple[Identity, Roster]]
Kind = TypeVar("Kind")


def masking_mod(enrolled: Enrolled) -> Mod:
    """Return a mod that lets no update leave this site but under masks.

    `enrolled` returns the site's identity and its roster; both come from the site's own disk and
    never from the coordinator (`from_files`). Give `site_app` the mod, and `PHASES` as `phases`.
    A request to train that brings no shares of other sites is refused: a coordinator cannot ask for
    an update in the open. Counts of validation images are not masked.
    """

    def mod(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        kind = message.metadata.message_type
        known = {f"query.{name}": name for name in PHASES}
        if kind not in known and kind != MessageType.TRAIN:
            return call_next(message, context)
        identity, roster = enrolled(context)
        member = Member(identity, roster, remembered(context))
        if kind == MessageType.TRAIN:
            return _trained(member, message, context, call_next)
        answer = _answer(member, known[kind], message)
        context.state[RECORD] = ConfigRecord(plain(member.memory))
        return Message(RecordDict({RECORD: ConfigRecord(plain(answer))}), reply_to=message)

    return mod


def from_files(context: Context) -> tuple[Identity, Roster]:
    """Return the identity and roster whose files the node was started with: `--node-config
    "identity='PATH' roster='PATH'"`.

    Raises `ValueError` where one is not named; errors as of `Identity.read` and `Roster.read`.
    """
    found = [context.node_config.get(name) for name in ("identity", "roster")]
    if not all(isinstance(path, str) for path in found):
        raise ValueError(
            "secure aggregation needs the node's settings 'identity' and 'roster', two files of "
            "this site"
        )
    own, sites = (os.fspath(str(path)) for path in found)
    return Identity.read(own), Roster.read(sites)


def remembered(context: Context) -> Memory | None:
    """Return what the site kept from the message before, None before its first round."""
    kept = context.state.config_records.get(RECORD)
    return read(Memory, dict(kept)) if kept else None


def told(message: Message, kind: type[Kind]) -> Kind:
    """Return what the coordinator's message says. Raises `ValueError` where it is not that."""
    record = message.content.config_records.get(RECORD)
    if record is None:
        raise ValueError(
            "this site sends its update under masks only, and the coordinator's message brings "
            f"no {kind.__name__}; start the coordinator with secure aggregation"
        )
    return read(kind, dict(record))


def digest_of(record: RecordDict) -> bytes:
    """Return the SHA-256 of what a site is asked to train: weights and settings, not the masks."""
    config = json.dumps(dict(record.config_records["config"]), sort_keys=True)
    parts: list[str | int | bytes] = ["asked", config]
    for name, array in record.array_records["arrays"].items():
        parts += [name, array.dtype, json.dumps(list(array.shape)), array.data]
    return hashlib.sha256(joined(*parts)).digest()


def flat(weights: "Weights", metrics: dict[str, Any]) -> Float[np.ndarray, " n"]:
    """Return all weights in their order, then the metrics of `METRICS`, as float64."""
    numbers = [tensor.detach().double().reshape(-1).numpy() for tensor in weights.values()]
    return np.concatenate([*numbers, [float(metrics.get(name, 0.0)) for name in METRICS]])


def shaped(values: Float[np.ndarray, " n"], like: "Weights") -> "tuple[Weights, dict[str, float]]":
    """Return the weights and metrics that `flat` laid out; integer tensors are rounded."""
    import torch

    found: Weights = {}
    place = 0
    for name, tensor in like.items():
        part = torch.from_numpy(values[place : place + tensor.numel()]).reshape(tensor.shape)
        found[name] = (part if tensor.is_floating_point() else part.round()).to(tensor.dtype)
        place += tensor.numel()
    return found, dict(zip(METRICS, map(float, values[place:]), strict=True))


def _answer(member: Member, phase: str, message: Message) -> Any:
    if phase == "advertise":
        return member.advertise(_round_in(message))
    if phase == "share":
        return member.share(told(message, Keys))
    if phase == "agree":
        return member.agree(told(message, Survivors))
    return member.reveal(told(message, Agreements))


def _round_in(message: Message) -> int:
    record = message.content.config_records.get(RECORD)
    number = record.get("round") if record else None
    if not isinstance(number, int):
        raise ValueError("the coordinator asked for keys and named no round")
    return number


def _trained(
    member: Member, message: Message, context: Context, call_next: ClientAppCallable
) -> Message:
    """Train, and return the update under masks; the inbox is looked into first."""
    inbox = told(message, Inbox)
    member.check(inbox)
    about = digest_of(message.content)
    reply = call_next(message, context)
    if reply.has_error():
        return reply
    metrics = dict(reply.content.metric_records["metrics"])
    patients = int(metrics["patients"])  # type: ignore[arg-type]
    weights = dict(reply.content.array_records["arrays"].to_torch_state_dict())
    numbers = fixed_point.encode(flat(weights, metrics), patients, len(member.roster.members))
    masked = member.mask(inbox, numbers, about)
    context.state[RECORD] = ConfigRecord(plain(member.memory))
    content = RecordDict({"masked": ArrayRecord({"numbers": Array(masked.numbers)})})
    content[RECORD] = ConfigRecord(plain(masked))
    content["config"] = reply.content.config_records["config"]
    return Message(content, reply_to=message)
