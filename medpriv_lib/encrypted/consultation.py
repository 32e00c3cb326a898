"""A consultation between two parties: an encrypted vector is scored, and cases come with the score.

The server holds a linear model and a gallery of privatised cases. It sends the whole gallery to
every client before it is asked anything, so that which case is looked at is never said. The client
keeps image, vector, secret key, score and choice. Both follow the protocol; TLS keeps out all
others.

What crosses, in this order: greetings; the client's public keys, once a session; the public scale
of the features, the gallery and how each case was filed; then per image one ciphertext up and one
down, of one size each.
"""

import secrets
import socket
import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from medpriv_lib.core.promise import Promise
from medpriv_lib.encrypted.certificates import DATA_OWNER, MODEL_OWNER, context
from medpriv_lib.encrypted.scoring import DEGREE, ScoreClient, ScoreServer
from medpriv_lib.encrypted.session import (
    AGAIN,
    END,
    PROTOCOL,
    Address,
    Say,
    guarded,
    hello,
    number_of,
    serve,
)
from medpriv_lib.encrypted.wire import SessionError, Wire, accept, connect

SERVICE = "consultation"
MOST_KEYS, MOST_MESSAGE = 1 << 27, 1 << 21  # bytes: some 63 MB and 0.4 MB are usual
MOST_CASES, MOST_SIZE = 1000, 1024
QUESTIONS = 20  # of one session: a linear model of F features is solved for with F + 1 of them


@dataclass(frozen=True, eq=False)
class Model:
    """What the server tells nobody: `weights` (F,), `bias`, and the `reach` of the cubic."""

    weights: Float[np.ndarray, " f"]
    bias: float
    reach: float


@dataclass(frozen=True, eq=False)
class Offer:
    """What the server sends to every client, whatever is asked.

    `mean` and `spread` (F,) of the features, from people who were invented, and the multiple of the
    spread at which a feature is `cut`; `cases` uint8 (G, S, S), privatised, in an order that says
    nothing; `diseased` (G,) how each was filed; `method` and its `promise` in words.
    """

    mean: Float[np.ndarray, " f"]
    spread: Float[np.ndarray, " f"]
    cut: float
    cases: UInt8[np.ndarray, "g s s"]
    diseased: Bool[np.ndarray, " g"]
    method: str
    promise: Promise

    def __post_init__(self) -> None:
        """Refuse what does not fit together; on the client's side what a server made up."""
        fits = self.mean.shape == self.spread.shape and len(self.cases) == len(self.diseased) > 0
        finite = np.isfinite(self.mean).all() and np.isfinite(self.spread).all() and self.cut > 0
        if not (fits and finite and (self.spread > 0).all()):
            raise SessionError("the offer holds no valid scale or gallery; ask the server's owner")

    def scale(self, vectors: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f"]:
        """Return vectors in multiples of the public spread, cut.

        Raises `SessionError` where they have another number of features than the model.
        """
        if vectors.shape[1] != len(self.mean):
            raise SessionError(
                f"the image has {vectors.shape[1]} features and the model {len(self.mean)}; "
                "install the same version of medpriv on both sides"
            )
        return np.clip((vectors - self.mean) / self.spread, -self.cut, self.cut)


@dataclass(frozen=True, eq=False)
class Consulted:
    """What a client has in the end: the `offer`, the `probability` (N,) of disease that only it can
    read, the bytes of its `keys`, of one `question` and of one `answer`, all bytes `received`, and
    the `seconds` that keys, and that questions, took.
    """

    offer: Offer
    probability: Float[np.ndarray, " n"]
    keys: int
    question: int
    answer: int
    received: int
    seconds: tuple[float, float]


def serve_consultations(
    model: Model,
    offer: Offer,
    at: Address,
    folder: str,
    say: Say,
    *,
    once: bool = False,
    timeout: float | None = None,
) -> None:
    """Answer one client after another, until interrupted (`once`: one session).

    `folder` holds the certificate of a model owner. A session that fails is reported with `say` in
    one line. Raises `SessionError` where the port is in use and, with `once`, where the session
    fails; as `context` does where certificates are missing or no good.
    """
    context(folder, MODEL_OWNER, server=True)

    def session(server: socket.socket) -> None:
        client = accept(server, folder, MODEL_OWNER, (DATA_OWNER,), timeout)
        guarded([client], lambda: answer_client(client, model, offer, say))

    serve(at, session, say, once)


def answer_client(client: Wire, model: Model, offer: Offer, say: Say) -> None:
    """Hold the server's half of a session on a connection that is open already."""
    theirs = hello(client, {"service": str})
    if theirs["service"] != SERVICE:
        raise SessionError(f"this is a {SERVICE}; a {str(theirs['service'])[:40]!r} was asked for")
    nonce, (count, size) = secrets.token_hex(16), offer.cases.shape[:2]
    client.tell(
        {"protocol": PROTOCOL, "nonce": nonce, "service": SERVICE, "features": len(offer.mean)}
        | {"cases": count, "size": size, "method": offer.method, "cut": float(offer.cut)}
        | {"hides": offer.promise.hides, "whom": offer.promise.whom}
        | {"trusts": offer.promise.trusts, "not_against": offer.promise.not_against},
        "greeting",
    )
    client.session = number_of(theirs["nonce"], nonce)
    server = _server(_receive(client, "keys", MOST_KEYS), model)
    filed = offer.diseased.astype(np.uint8)
    client.send([offer.mean, offer.spread, offer.cases, filed], "the offer")
    answered, seen = 0, 0
    while client.hear("wish", {"next": str})["next"] == AGAIN:
        if answered == QUESTIONS:
            raise SessionError(
                f"{QUESTIONS} questions were answered in this session, and no more are: many "
                "answers tell the weights"
            )
        question = _receive(client, "question", MOST_MESSAGE)
        _send(client, _scored(server, question, model.reach), "answer")
        answered, seen = answered + 1, seen + len(question)
    say(
        f"answered {answered} question(s); saw {seen} bytes of ciphertext, no image, no vector, no "
        f"score, and not which of the {count} cases was looked at"
    )


def _server(keys: bytes, model: Model) -> ScoreServer:
    try:
        return ScoreServer(keys, model.weights, model.bias)
    except SessionError:
        raise
    except (ValueError, RuntimeError, TypeError) as error:
        raise SessionError(f"the keys that came are none: {_line(error)}") from error


def _scored(server: ScoreServer, question: bytes, reach: float) -> bytes:
    try:
        return server.probability(question, reach)
    except (ValueError, RuntimeError, TypeError, IndexError) as error:
        raise SessionError(f"the question cannot be computed with: {_line(error)}") from error


def consult_server(vectors: Float[np.ndarray, "n f"], server: Address, folder: str) -> Consulted:
    """Have the features of N images scored by a server that listens; they leave encrypted.

    `vectors` are as measured; the server's public scale is laid over them here. Raises
    `SessionError` with one line where the server is not there, leaves, or sends what does not
    belong, and `ValueError` for no vectors, too many, or some that are not finite.
    """
    require_vectors(vectors)
    wire = connect(*server, folder, DATA_OWNER, MODEL_OWNER)
    return guarded([wire], lambda: ask_server(wire, vectors))


def require_vectors(vectors: np.ndarray) -> None:
    """Raise `ValueError` for what cannot be asked about."""
    if vectors.ndim != 2 or not 1 <= len(vectors) <= QUESTIONS or vectors.shape[1] > DEGREE // 2:
        raise ValueError(
            f"one session answers 1 to {QUESTIONS} images, each with a vector (F,); "
            f"{vectors.shape} came"
        )
    if not np.isfinite(vectors).all():
        raise ValueError("the features hold NaN or infinity; such an image cannot be asked about")


def ask_server(
    wire: Wire, vectors: Float[np.ndarray, "n f"], client: ScoreClient | None = None
) -> Consulted:
    """Hold the client's half of a session on a connection that is open already.

    `client` holds the keys; None draws new ones, so that two sessions are not known as one asker's.
    """
    nonce, start = secrets.token_hex(16), time.perf_counter()
    wire.tell({"protocol": PROTOCOL, "nonce": nonce, "service": SERVICE}, "greeting")
    words = dict.fromkeys(("service", "method", "hides", "whom", "trusts", "not_against"), str)
    theirs = hello(wire, words | {"features": int, "cases": int, "size": int, "cut": float})
    width, count, size = (theirs[name] for name in ("features", "cases", "size"))
    limits = (width, DEGREE // 2), (count, MOST_CASES), (size, MOST_SIZE)
    if not all(1 <= value <= most for value, most in limits):
        raise SessionError(f"the server offers {count} cases of {size} pixels; that is no gallery")
    wire.session = number_of(nonce, theirs["nonce"])
    client = client or ScoreClient()
    keys = client.public()
    _send(wire, keys, "keys")
    parts = [((width,), np.float64), ((width,), np.float64)]
    gallery = [((count, size, size), np.uint8), ((count,), np.uint8)]
    mean, spread, cases, filed = wire.receive([*parts, *gallery], "the offer")
    promise = Promise(*(theirs[name] for name in ("hides", "whom", "trusts", "not_against")))
    offer = Offer(mean, spread, theirs["cut"], cases, filed > 0, theirs["method"], promise)
    scaled, ready = offer.scale(vectors), time.perf_counter()
    probability = np.empty(len(scaled))
    for row, vector in enumerate(scaled):
        wire.tell({"next": AGAIN}, "wish")
        question = client.encrypt(vector)
        _send(wire, question, "question")
        answer = _receive(wire, "answer", MOST_MESSAGE)
        probability[row] = _opened(client, answer)
    wire.tell({"next": END}, "wish")
    seconds = ready - start, time.perf_counter() - ready
    return Consulted(
        offer, probability, len(keys), len(question), len(answer), wire.received, seconds
    )


def _opened(client: ScoreClient, answer: bytes) -> float:
    try:
        return client.decrypt(answer)
    except (ValueError, RuntimeError, TypeError, IndexError) as error:
        raise SessionError(f"the answer cannot be decrypted: {_line(error)}") from error


def _send(wire: Wire, content: bytes, what: str) -> None:
    wire.tell({"bytes": len(content)}, f"size of the {what}")
    wire.send([np.frombuffer(content, np.uint8)], what)


def _receive(wire: Wire, what: str, most: int) -> bytes:
    count = wire.hear(f"size of the {what}", {"bytes": int})["bytes"]
    if not 1 <= count <= most:
        raise SessionError(f"the {wire.partner} announces {count} bytes of {what}; {most} at most")
    return wire.receive([((count,), np.uint8)], what)[0].tobytes()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
