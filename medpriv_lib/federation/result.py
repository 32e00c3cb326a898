"""What a federation leaves in its folder: the recogniser with its card, and what happened."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from medpriv_lib.core import weights as store
from medpriv_lib.core.files import write_json
from medpriv_lib.federation.coordinator import Round
from medpriv_lib.federation.local import weights_of
from medpriv_lib.recognition.networks import Recogniser

NAME, ROUNDS = "recogniser", "rounds.json"
KIND = "federated disease recogniser"


def save_recogniser(
    network: Recogniser,
    rounds: Sequence[Round],
    folder: Path,
    *,
    data_hash: str,
    command: str,
    seed: int,
    metrics: Mapping[str, float],
) -> None:
    """Write `recogniser.safetensors` with its card and `rounds.json` into a folder.

    `data_hash` is "" where nobody has all images.
    """
    config = {
        "size": network.size,
        "channels": network.channels,
        "pooling": getattr(network, "pooling", None),
        "model": type(network).__name__,
        "threshold": rounds[-1].threshold,
    }
    card = {
        "kind": KIND,
        "data_hash": data_hash,
        "config": config,
        "seed": seed,
        "command": command,
        "metrics": dict(metrics),
        "curve": {"loss": [one.loss for one in rounds], "f1": [one.f1 for one in rounds]},
    }
    store.save(folder / NAME, weights_of(network), card)
    write_json(folder / ROUNDS, {"rounds": [asdict(one) for one in rounds]})
