"""Does a relevance map depend on what the network has learned? The sanity checks of Adebayo et al.
(2018).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor, nn

from medpriv_lib.explanation.relevance_methods import other_class, relevance
from medpriv_lib.explanation.unfold import LINEAR, unfold


@dataclass(frozen=True, eq=False)
class Check:
    """One comparison of maps: `changed` names what was changed, `correlation` (N,) the rank
    correlation per image.
    """

    method: str
    changed: str
    correlation: Float[np.ndarray, " n"]

    @property
    def mean(self) -> float:
        """The mean rank correlation; 1: the map did not react at all, 0: nothing is left of it."""
        return (
            float(np.nanmean(self.correlation))
            if np.isfinite(self.correlation).any()
            else float("nan")
        )


def rank_correlation(
    a: Float[np.ndarray, "n ..."], b: Float[np.ndarray, "n ..."]
) -> Float[np.ndarray, " n"]:
    """Return Spearman's rank correlation of each pair of maps in [-1, 1]; ties share a rank; nan
    for a constant map.
    """
    if a.shape != b.shape:
        raise ValueError(f"maps of shapes {a.shape} and {b.shape} cannot be compared")
    ranks = [rankdata(m.reshape(len(m), -1), axis=1) for m in (a, b)]
    ranks = [r - r.mean(1, keepdims=True) for r in ranks]
    spread = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, (ranks[0] * ranks[1]).sum(1) / spread, np.nan)


def cascade(
    method: str,
    network: nn.Module,
    x: Float[Tensor, "n 1 h w"],
    generator: torch.Generator,
    *,
    steps: int = 32,
) -> list[Check]:
    """Randomise the layers from the last to the first, one more each time, and compare each map
    with the true one.

    Batch norm is merged first (`unfold`); a layer's weights and biases are then drawn from a normal
    distribution of the same standard deviation, mean 0. The class stays the one that the intact
    network predicts. Absolute values of the maps are compared by rank. A method that explains the
    decision must lose its map; z+ hardly reacts to later layers, because its backward pass
    multiplies positive matrices, whose product approaches rank one (Sixt, Granz, Landgraf 2020).
    `method` is one of `RELEVANCE_METHODS`; `steps` are those of integrated gradients. Returns one
    `Check` per layer, `changed` "last", "last 2", …, "all".
    """
    chain = unfold(network, x[:2])
    target, _ = other_class(chain, x)
    true = _absolute(method, chain, x, target, steps)
    layers = [i for i, layer in enumerate(chain) if isinstance(layer, LINEAR)]
    chain, checks = copy.deepcopy(chain), []
    for count, index in enumerate(reversed(layers), 1):
        layer = chain[index]
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        _randomise(layer, generator)
        name = "all" if count == len(layers) else "last" if count == 1 else f"last {count}"
        checks.append(
            Check(method, name, rank_correlation(true, _absolute(method, chain, x, target, steps)))
        )
    return checks


def other_class_check(
    method: str, network: nn.Module, x: Float[Tensor, "n 1 h w"], *, steps: int = 32
) -> Check:
    """Compare the map of the predicted class with that of the second most likely one, by rank of
    absolute values.

    Near 1, the map shows what the network looks at, not what speaks for this class and against the
    other.
    """
    first, second = other_class(network, x)
    pair = [_absolute(method, network, x, target, steps) for target in (first, second)]
    return Check(method, "other class", rank_correlation(*pair))


def _absolute(method: str, network: nn.Module, x: Tensor, target: Tensor, steps: int) -> np.ndarray:
    return relevance(method, network, x, target, steps=steps).abs().cpu().numpy()


def _randomise(layer: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    for parameter in (layer.weight, layer.bias):
        if parameter is not None:
            values = parameter.detach()
            scale = float(values.std()) if values.numel() > 1 else float(values.abs().sum())
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            parameter.data = (noise * scale).to(parameter.dtype).to(parameter.device)
