"""What a recogniser says about images, in plaintext or between parties who see nothing."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from medpriv_lib.core import weights as store
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.encrypted.certificates import make_certificates
from medpriv_lib.encrypted.in_process import InProcess
from medpriv_lib.encrypted.parties import Answer, infer_as_data_owner
from medpriv_lib.encrypted.session import Address
from medpriv_lib.pipeline.loopback import on_loopback, start_party
from medpriv_lib.recognition.judges import NAME as JUDGES
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits as plain_logits


@dataclass(frozen=True, eq=False)
class Inference:
    """What came out: `logits` float64 (n, classes), and of an encrypted run what it cost per image.

    `sent` and `received` are bytes of the data owner, `rounds` messages that wait for each other,
    `seconds` online; all but the logits are 0 in plaintext. `saw` says what each party saw.
    """

    logits: Float[np.ndarray, "n classes"]
    sent: int = 0
    received: int = 0
    rounds: int = 0
    seconds: float = 0.0
    key_bytes: int = 0
    comparisons: int = 0
    saw: dict[str, str] = field(default_factory=dict)

    @property
    def decisions(self) -> np.ndarray:
        """The class of the largest logit of each image, int64 (n,)."""
        return self.logits.argmax(axis=1)


def infer(
    image: UInt8[np.ndarray, "..."],
    encrypted: bool = False,
    network: Recogniser | None = None,
    processes: bool = False,
    weights: str | os.PathLike | None = None,
) -> Inference:
    """Return the disease logits of an image (h, w) or of images (n, h, w), grey levels 0..255.

    `network` None takes the disease recogniser of `weights` (None: the shipped ones). `encrypted`
    computes them on shares, between a model owner, a data owner and a dealer within this process,
    or, with `processes`, as three processes that speak TLS on this machine (then `weights` and not
    `network` names the model, which only the model owner's process reads). Raises `ValueError` for
    images of another size than the network's, and `ImportError` where the extra is not installed.
    """
    images = np.asarray(image)
    images = images[None] if images.ndim == 2 else images
    if images.ndim < 3 or images.dtype != np.uint8 or not len(images):
        raise ValueError(
            f"an image is uint8 (h, w), several are (n, h, w), not {images.dtype} of shape "
            f"{images.shape}"
        )
    if encrypted and processes:
        if network is not None:
            raise ValueError("processes read the model from `weights`; leave `network` out")
        return infer_on_loopback(images, weights)
    network = Judges.load(weights).disease if network is None else network
    require_size(images, network.size)
    if not encrypted:
        return Inference(plain_logits(network, images).double().numpy())
    session, rows = InProcess(network), []
    for one in to_tensor(images).numpy():
        logits, ledger = session.infer(one)
        rows.append(logits)
    return Inference(
        np.stack(rows),
        ledger.sent[1],
        ledger.sent[0],
        ledger.rounds,
        ledger.online,
        ledger.key_bytes,
        ledger.comparisons,
        saw(ledger.sent[1], ledger.sent[0], network.size, len(rows)),
    )


def require_size(images: np.ndarray, size: int) -> None:
    """Raise `ValueError` where images are not as large as the network's."""
    if images.shape[1:3] != (size, size):
        raise ValueError(
            f"the images are {images.shape[1]}x{images.shape[2]}, the network sees {size}x{size}; "
            f"prepare them with --size {size}"
        )


def _size_of(weights: str | os.PathLike | None) -> int:
    """Return how large images the network of these weights sees, read from their card alone."""
    path = store.shipped(JUDGES) if weights is None else Path(weights) / JUDGES
    with store.fitting(path):
        return int(store.read_card(path)["config"]["size"])


def infer_on_loopback(
    images: UInt8[np.ndarray, "n h w"], weights: str | os.PathLike | None = None
) -> Inference:
    """Return the logits from three processes on this machine; this one is the data owner.

    Certificates are made for the run and thrown away. Errors as for `infer_as_data_owner`; no
    process is left behind, whatever happens.
    """
    require_size(images, _size_of(weights))  # before any process is started
    with tempfile.TemporaryDirectory(prefix="medpriv-") as made:
        folder = str(make_certificates(Path(made) / "certificates"))
        with loopback(folder, weights) as (model_owner, dealer, _):
            return infer_with_parties(images, model_owner, dealer, folder)


def infer_with_parties(
    images: UInt8[np.ndarray, "n h w"], model_owner: Address, dealer: Address, folder: str
) -> Inference:
    """Return the logits as the data owner, from a model owner and a dealer that listen already."""
    answer = infer_as_data_owner(list(to_tensor(images).numpy()), model_owner, dealer, folder)
    return from_answer(answer)


def from_answer(answer: Answer) -> Inference:
    """Return an answer of the parties with the medians over its images."""
    middle = {
        name: float(np.median([getattr(costs, name) for costs in answer.costs]))
        for name in ("sent", "received", "rounds", "online", "key_bytes")
    }
    sent, received = int(middle["sent"]), int(middle["received"])
    return Inference(
        answer.logits,
        sent,
        received,
        int(middle["rounds"]),
        middle["online"],
        2 * int(middle["key_bytes"]),
        answer.architecture.comparisons(),
        saw(sent, received, answer.architecture.size, len(answer.logits)),
    )


def saw(sent: int, received: int, size: int, images: int) -> dict[str, str]:
    """Return for each party what it saw, in a sentence."""
    return {
        "model owner": (
            f"its weights, and {_mb(sent)} of hidden numbers per image; neither image nor logits"
        ),
        "data owner": (
            f"its image, the logits, the weights behind masks, and {_mb(received)} of hidden "
            "numbers per image"
        ),
        "dealer": (
            f"that {images} image(s) of {size}x{size} pixels were asked about; neither image, "
            "weights nor logits"
        ),
    }


@contextlib.contextmanager
def loopback(
    folder: str, weights: str | os.PathLike | None = None
) -> Iterator[tuple[Address, Address, list[subprocess.Popen]]]:
    """Start a dealer and a model owner as processes on this machine, for one session.

    Yields their addresses and the processes; at the end both are ended, however the block ends.
    """
    with on_loopback() as processes:
        here = ["--listen", "127.0.0.1:0", "--certificates", folder, "--once"]
        dealer = start_party("dealer", ["infer", "--role", "dealer", *here], processes)
        ask = ["--dealer", f"{dealer.host}:{dealer.port}", *here]
        ask += [] if weights is None else ["--weights", os.fspath(weights)]
        command = ["infer", "--role", "model-owner", *ask]
        yield start_party("model-owner", command, processes), dealer, processes


def _mb(count: int) -> str:
    return f"{count / 1e6:.2f} MB"
