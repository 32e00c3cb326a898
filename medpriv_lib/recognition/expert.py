"""The expert: a disease judge that was taught on thousands of invented people who are in no cohort.

A judge that is trained on a cohort may remember its patients and recall their label. The expert has
met none of them, so that what it says of a cohort's images, or of what a method made of them, is
said of strangers; its threshold comes from further invented people. Several networks that differ in
their seed share the verdict: the mean of three moves less from one training to the next than any of
them, and a study's figure should not hang on one training's luck. How far the three differ stands
in the card.

The *development* expert has another make (`wide.DEVELOPMENT`) and another seed. Whatever is chosen
while something is trained is chosen by it, so that the expert of the tables is only ever asked at
the end.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.precision import halved, in_full
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.wide import Shape, Wide

NAME = "expert"
DEVELOPMENT_NAME = "expert-development"


@dataclass(frozen=True, eq=False)
class Expert:
    """Disease judges taught on people outside every cohort, as one.

    `networks` share the verdict; an image is called ill from a score of `threshold` on; `card` says
    how they were made. Images are read once: what was said is remembered.
    """

    networks: tuple[Wide, ...]
    threshold: float
    card: dict[str, Any] = field(default_factory=dict)
    _memory: Memory = field(default_factory=Memory, repr=False)

    def __post_init__(self) -> None:
        """Refuse an expert without a network."""
        if not self.networks:
            raise ValueError("an expert needs at least one network")

    def score(self, images: Images) -> Float[np.ndarray, " n"]:
        """Return how ill each image looks: the mean over the networks of logit of disease minus
        logit of health, float64.

        Raises `ValueError` for images of another size, type or number of channels.
        """
        return self.each(images).mean(axis=0)

    def each(self, images: Images) -> Float[np.ndarray, "k n"]:
        """Return what each network says by itself, as `score`. An image is read once: what was said
        of it is remembered.
        """
        if len(images) == 0:
            return np.zeros((len(self.networks), 0))
        return self._memory.recall(keys_of(images), lambda r: self._read(images[r])).T

    def _read(self, images: Images) -> Float[np.ndarray, "n k"]:
        outputs = [logits(network, images).double().numpy() for network in self.networks]
        return np.stack([out[:, 1] - out[:, 0] for out in outputs], axis=1)

    def ill(self, images: Images) -> Bool[np.ndarray, " n"]:
        """Return which images are called ill."""
        return np.asarray(self.score(images) >= self.threshold)

    def to(self, device: str | torch.device) -> Self:
        """Move all networks to a device, in place, and return the expert."""
        for network in self.networks:
            network.to(device)
        return self

    def save(self, path: str | os.PathLike) -> Path:
        """Write the networks (float16), the threshold and the card; errors as of `weights.save`."""
        tensors = {
            f"{number}.{key}": value
            for number, network in enumerate(self.networks)
            for key, value in halved(network.state_dict()).items()
        }
        first = self.networks[0]
        config = {
            "threshold": float(self.threshold),
            "size": first.size,
            "channels": first.channels,
            "shape": asdict(first.shape),
            "networks": len(self.networks),
        }
        card = self.card | {"config": self.card.get("config", {}) | config}
        return weights.save(path, tensors, card)

    @classmethod
    def load(cls, path: str | os.PathLike | None = None, *, development: bool = False) -> Self:
        """Read an expert written by `save` (None: the one that ships), ready to judge in float32.

        Raises `FileNotFoundError` where there is none, and `ValueError` where the file is damaged
        or holds the other of the two kinds of expert.
        """
        name = DEVELOPMENT_NAME if development else NAME
        file = weights.shipped(name) if path is None else Path(path)
        tensors, card = weights.load(file, kind=name)
        with weights.fitting(file):
            config = card["config"]
            networks = tuple(
                _network(tensors, number, config) for number in range(config["networks"])
            )
            return cls(networks, float(config["threshold"]), card)

    def halved(self) -> Self:
        """Return the expert as it will be after `save` and `load`: its weights rounded."""
        networks = []
        for one in self.networks:
            copy = Wide(2, one.size, one.channels, one.shape)
            copy.load_state_dict(in_full(halved(one.state_dict())))
            networks.append(copy.eval())
        return type(self)(tuple(networks), self.threshold, self.card)


def _network(tensors: Mapping[str, Tensor], number: int, config: Mapping[str, Any]) -> Wide:
    network = Wide(2, config["size"], config["channels"], shape_of(config["shape"]))
    start = f"{number}."
    own = {k[len(start) :]: value for k, value in tensors.items() if k.startswith(start)}
    network.load_state_dict(in_full(own))
    return network.eval()


def shape_of(written: Mapping[str, Any]) -> Shape:
    """Return the shape that a card holds as lists and words."""
    ready = {key: tuple(one) if isinstance(one, list) else one for key, one in written.items()}
    return Shape(**ready)  # type: ignore[arg-type]


def best_threshold(
    scores: Float[np.ndarray, " n"], ill: Bool[np.ndarray, " n"], prevalence: float | None = None
) -> float:
    """Return the score from which on calling people ill gives the highest F1.

    With `prevalence`, the ill and the healthy are weighed so that this share of all is ill: a
    threshold found where half are ill would call too many of a cohort where a quarter is. It lies
    half way between two neighbouring scores. Raises `ValueError` where all have one label.
    """
    scores, ill = np.asarray(scores, dtype=np.float64), np.asarray(ill, dtype=bool)
    if ill.all() or not ill.any():
        raise ValueError("a threshold needs people of both labels")
    share = ill.mean() if prevalence is None else prevalence
    weight = np.where(ill, share / ill.sum(), (1 - share) / (~ill).sum())
    order = np.argsort(-scores, kind="stable")
    values, called = scores[order], np.cumsum(weight[order])
    hits = np.cumsum((weight * ill)[order])
    last = np.append(values[1:] != values[:-1], True)  # equal scores are called together
    f1 = np.where(last, 2 * hits / (called + share), -1)
    best = int(f1.argmax())
    return float((values[best] + values[best + 1]) / 2 if best + 1 < len(values) else values[best])
