"""The three parties as processes of their own: model owner, data owner and dealer, over TLS.

The data owner connects to the model owner, and both to the dealer. Per session the dealer gives the
model owner masks for the weights, and the model owner sends the masked weights to the data owner.
Per image the dealer deals; both prepare; only then the image is touched, and only masked numbers
travel. The model owner's share of the logits goes to the data owner, who alone learns them.

Everybody's secrets hold as long as each follows the protocol and the dealer tells nobody what was
dealt. A message that is changed on its way, sent twice or belongs elsewhere ends the session; a
party that lies about its own shares is not detected.
"""

import secrets
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Float

from medpriv_lib.encrypted import gates
from medpriv_lib.encrypted.architecture import Architecture
from medpriv_lib.encrypted.certificates import DATA_OWNER, DEALER, MODEL_OWNER, context
from medpriv_lib.encrypted.recogniser import (
    Party,
    Weights,
    deal,
    encode_image,
    hidden_weights,
    logits_of,
    weight_masks,
)
from medpriv_lib.encrypted.session import (
    AGAIN,
    END,
    PROTOCOL,
    Address,
    Say,
    ask,
    carried,
    guarded,
    hello,
    number_of,
    read_architecture,
    read_number,
    receive_parts,
    serve,
)
from medpriv_lib.encrypted.shares import Ring
from medpriv_lib.encrypted.wire import TIMEOUT, SessionError, Wire, accept, connect


@dataclass
class Costs:
    """What one image cost the data owner: bytes over its connection to the model owner, rounds,
    bytes of the dealer's numbers, and seconds until they are here and prepared, until the model
    owner has prepared too, and online.
    """

    sent: int = 0
    received: int = 0
    rounds: int = 0
    key_bytes: int = 0
    dealing: float = 0.0
    preparing: float = 0.0
    online: float = 0.0


@dataclass
class Answer:
    """The logits of each image, float64 (n, classes), what each cost, and bytes once a session."""

    logits: Float[np.ndarray, "n classes"]
    costs: list[Costs] = field(default_factory=list)
    session_bytes: int = 0
    architecture: Architecture = field(default_factory=Architecture)


def serve_dealer(
    at: Address, folder: str, say: Say, once: bool = False, timeout: float | None = None
) -> None:
    """Deal for one session after another, until interrupted (`once`: one session).

    A session that fails is reported with `say` in one line and the next one awaited. Raises
    `SessionError` where the port is in use, and, with `once`, where the session fails; before that
    as `context` does where the certificates are missing or no good.
    """
    context(folder, DEALER, server=True)  # a certificate that is no good is said before listening
    served: set[bytes] = set()

    def session(server: socket.socket) -> None:
        first = accept(server, folder, DEALER, (MODEL_OWNER, DATA_OWNER), timeout)
        try:
            other = DATA_OWNER if first.partner == MODEL_OWNER else MODEL_OWNER
            second = accept(server, folder, DEALER, (other,), timeout or TIMEOUT)
        except SessionError as error:
            first.complain(str(error))
            first.close()
            raise
        wires = sorted((first, second), key=lambda wire: wire.partner != MODEL_OWNER)
        guarded(wires, lambda: _deal_session(wires[0], wires[1], served, say))

    serve(at, session, say, once)


def _deal_session(owner: Wire, holder: Wire, served: set[bytes], say: Say) -> None:
    needed: dict[str, type] = {"session": str, "architecture": dict}
    asked = [wire.hear("request", needed) for wire in (owner, holder)]
    if asked[0] != asked[1]:
        raise SessionError("the two parties ask for different sessions or architectures")
    session = read_number(asked[0]["session"])
    if session in served:
        raise SessionError("this session was dealt for already: nothing may be dealt twice")
    served.add(session)
    owner.session = holder.session = session
    architecture = read_architecture(asked[0]["architecture"])
    masks = weight_masks(architecture)
    owner.send(masks, "masks of the weights")
    count = 0
    while True:
        wants = [wire.hear("wish", {"next": str})["next"] for wire in (owner, holder)]
        if wants[0] != wants[1] or wants[0] not in (AGAIN, END):
            raise SessionError("the two parties do not agree on whether there is another image")
        if wants[0] == END:
            break
        _deal_image(owner, holder, architecture, masks)
        count += 1
    say(
        f"dealt for {count} image(s); saw the architecture ({architecture.size}x"
        f"{architecture.size}, {architecture.classes} classes), no weights and no image"
    )


def _deal_image(owner: Wire, holder: Wire, architecture: Architecture, masks: list[Ring]) -> None:
    """Send both parties their parts for one image; one part travels while the next is drawn."""
    with ThreadPoolExecutor(max_workers=2) as lines:
        on_way: list[Future[None]] = []
        for number, parts in enumerate(deal(architecture, masks)):
            for one in on_way:  # at most one part waits in memory
                one.result()
            on_way = [
                lines.submit(wire.send, part.arrays(), f"part {number}")
                for wire, part in zip((owner, holder), parts, strict=True)
            ]
        for one in on_way:
            one.result()


def serve_model_owner(
    network: object,
    at: Address,
    dealer: Address,
    folder: str,
    say: Say,
    *,
    pooling: str = "max",
    once: bool = False,
    timeout: float | None = None,
) -> None:
    """Offer a `Recogniser` to one data owner after another, until interrupted (`once`: one
    session).

    Errors as for `serve_dealer`, and `ValueError` for a network that cannot be computed exactly.
    """
    from medpriv_lib.encrypted.recogniser import fixed_point

    context(folder, MODEL_OWNER, server=True)
    architecture, weights = fixed_point(network, pooling)

    def session(server: socket.socket) -> None:
        holder = accept(server, folder, MODEL_OWNER, (DATA_OWNER,), timeout)
        wires = [holder]

        def run() -> None:
            theirs = hello(holder, {"images": int})
            nonce = secrets.token_hex(16)
            holder.tell(
                {"protocol": PROTOCOL, "nonce": nonce, "architecture": asdict(architecture)},
                "greeting",
            )
            wires.append(connect(*dealer, folder, MODEL_OWNER, DEALER))
            _model_session(
                holder,
                wires[1],
                number_of(theirs["nonce"], nonce),
                (architecture, weights),
                say,
            )

        guarded(wires, run)

    serve(at, session, say, once)


def _model_session(
    holder: Wire, dealer: Wire, session: bytes, model: tuple[Architecture, Weights], say: Say
) -> None:
    architecture, weights = model
    shapes = [(layer.weight_shape(), np.uint64) for layer in architecture.layers()]
    ask(dealer, session, architecture)
    dealer.session = holder.session = session
    hidden = hidden_weights(weights, dealer.receive(shapes, "masks of the weights"))
    holder.send(hidden, "hidden weights")
    me = Party(gates.MODEL_OWNER, architecture, hidden, weights)
    blank = np.zeros(architecture.layers()[0].shape, np.uint64)
    count, before = 0, holder.received
    while holder.hear("wish", {"next": str})["next"] == AGAIN:
        dealer.tell({"next": AGAIN}, "wish")
        prepared = me.prepare(receive_parts(dealer, architecture))
        holder.tell({"ready": True}, "ready")
        share = carried(holder, me.infer(prepared, blank))
        holder.send([share], "share of the logits")
        count += 1
    dealer.tell({"next": END}, "wish")
    say(
        f"answered {count} image(s); saw {holder.received - before} bytes of numbers hidden by the "
        "dealer's masks, no image and no logits"
    )


def infer_as_data_owner(
    images: Sequence[Float[np.ndarray, "c h w"]],
    model_owner: Address,
    dealer: Address,
    folder: str,
    watch: Callable[[str], None] = lambda step: None,
) -> Answer:
    """Return the logits of images in [-1, 1], computed with a model owner and a dealer elsewhere.

    `watch` is called for each image with "prepared", when both wait for the image, and with
    "answered", for whoever measures. Raises `SessionError` with one line where a party is not
    there, leaves, or sends what does not belong to the session, and `ValueError` for images of
    another shape than the network's.
    """
    owner = connect(*model_owner, folder, DATA_OWNER, MODEL_OWNER)
    wires = [owner]

    def run() -> Answer:
        nonce = secrets.token_hex(16)
        owner.tell({"protocol": PROTOCOL, "nonce": nonce, "images": len(images)}, "greeting")
        theirs = hello(owner, {"architecture": dict})
        architecture = read_architecture(theirs["architecture"])
        encoded = [encode_image(image, architecture) for image in images]
        wires.append(connect(*dealer, folder, DATA_OWNER, DEALER))
        session = number_of(nonce, theirs["nonce"])
        ask(wires[1], session, architecture)
        wires[1].session = owner.session = session
        return _data_session(owner, wires[1], architecture, encoded, watch)

    return guarded(wires, run)


def _data_session(
    owner: Wire,
    dealer: Wire,
    architecture: Architecture,
    images: list[Ring],
    watch: Callable[[str], None],
) -> Answer:
    shapes = [(layer.weight_shape(), np.uint64) for layer in architecture.layers()]
    before = owner.received
    hidden = owner.receive(shapes, "hidden weights")
    me = Party(gates.DATA_OWNER, architecture, hidden)
    answer = Answer(np.empty((len(images), architecture.classes)), [], owner.received - before)
    answer.architecture = architecture
    for i, image in enumerate(images):
        costs, start = Costs(), time.perf_counter()
        for wire in (owner, dealer):
            wire.tell({"next": AGAIN}, "wish")
        prepared = me.prepare(receive_parts(dealer, architecture))
        costs.key_bytes = sum(a.nbytes for part in prepared.parts for a in part.arrays())
        costs.dealing, start = _since(start)
        owner.hear("ready", {"ready": bool})
        costs.preparing, _ = _since(start)
        watch("prepared")
        sent, received, rounds = owner.sent, owner.received, owner.rounds
        start = time.perf_counter()
        mine = carried(owner, me.infer(prepared, image))
        theirs = owner.receive([(mine.shape, np.uint64)], "share of the logits")[0]
        answer.logits[i] = logits_of(mine, theirs)
        costs.online, _ = _since(start)
        watch("answered")
        costs.sent, costs.received = owner.sent - sent, owner.received - received
        costs.rounds = owner.rounds - rounds + 1
        answer.costs.append(costs)
    for wire in (owner, dealer):
        wire.tell({"next": END}, "wish")
    return answer


def _since(start: float) -> tuple[float, float]:
    now = time.perf_counter()
    return now - start, now
