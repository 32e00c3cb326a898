"""How much of the source is left in what a finished network changes: an opponent is trained on it.

The opponent (`adversary.Matcher`) learns from the people that the network was taught on which eye a
change came from, and is asked about people whom neither has seen. The same opponent on the true
signs of the strangers is the ceiling: whatever shows the signs shows that much.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from medpriv_lib.privatizers.sign_transfer.adversary import Matcher, matching_loss
from medpriv_lib.privatizers.sign_transfer.losses import Batch, change, wanted
from medpriv_lib.privatizers.sign_transfer.network import Network, mirrored_too
from medpriv_lib.privatizers.sign_transfer.scenes import Scenes
from medpriv_lib.privatizers.sign_transfer.training import Held, Row

Changes = Callable[[Batch], Tensor]


def leakage(
    network: Network,
    train: Scenes,
    unseen: Scenes,
    device: str | torch.device,
    gain: float = 1.0,
    steps: int = 600,
    batch: int = 256,
    seed: int = 0,
) -> Row:
    """Return the opponent's AUC (.5: guessing) for the sick and the healthy, and the ceiling's."""

    def ours(pairs: Batch) -> Tensor:
        reading = mirrored_too(network, pairs.source)
        return change(reading._replace(alpha=(gain * reading.alpha).clamp(max=1)), pairs.s)

    row: Row = {}
    for name, changes in (("", ours), ("_ceiling", wanted)):
        matcher = _taught(changes, Held(train, device), steps, batch, seed)
        for label, share in (("ill", 0.0), ("healthy", 1.0)):
            if name and label == "healthy":
                continue  # the truth changes nothing there: guessing
            row[f"leak_{label}{name}"] = _auc(matcher, changes, Held(unseen, device), share, seed)
    return row


def _taught(changes: Changes, held: Held, steps: int, batch: int, seed: int) -> Matcher:
    """Return an opponent trained on changes of random pairs, half of them sick."""
    device = held.images.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        matcher = Matcher().to(device).train()
    optimiser = torch.optim.AdamW(matcher.parameters(), 2e-3, weight_decay=1e-3)
    generator = torch.Generator(device).manual_seed(seed)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 2e-3 * (1 - step / steps) + 1e-5
        pairs = held.draw(batch, 0.5, generator)
        with torch.no_grad():
            delta = changes(pairs)
        value = matching_loss(matcher(delta, pairs.t), pairs.healthy)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    return matcher.eval()


@torch.no_grad()
def _auc(matcher: Matcher, changes: Changes, held: Held, healthy: float, seed: int) -> float:
    """Return how often a change fits its own eye better than another's of the same label."""
    generator = torch.Generator(held.images.device).manual_seed(seed)
    pairs = held.draw(min(512, 2 * len(held)), healthy, generator)
    scores = matcher(changes(pairs), pairs.t)
    own = scores.diagonal()[:, None]
    # the same eye may be drawn twice: it is no other
    other = torch.cdist(pairs.t.flatten(1), pairs.t.flatten(1)) > 1e-3
    better = (own > scores).double() + 0.5 * (own == scores).double()
    return float((better * other).sum() / other.sum().clamp_min(1))
