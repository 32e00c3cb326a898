r"""What a network reads in people whom it was not taught on, measured as the study measures it.

Every scene gives two sources, its first two eyes, and for each a stranger, the twin of one of its
last two. With D(x) the change that the network makes for a sick eye, D(t) for its twin,

    e = <D(x) - D(t), x - t>_M / ||x - t||^2_M,

per image, and weighted by energy (sum of numerators over sum of denominators). Beside the network
stand three who do the same work without reading: `ceiling`, the true signs of the stranger;
`stencil`, the true place filled with one level; and `average`, everybody's mean sign.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medpriv_lib.privatizers.sign_transfer.distort import sampled, softened
from medpriv_lib.privatizers.sign_transfer.losses import LEVEL, Batch, total, wanted
from medpriv_lib.privatizers.sign_transfer.network import Network, Reading, mirrored_too
from medpriv_lib.privatizers.sign_transfer.scenes import EYES, KINDS, TARGETS, Scenes
from medpriv_lib.privatizers.sign_transfer.training import Held, Row

FOUND = 0.3  # an alpha above this somewhere counts as a sign that was found, or added
DARK = -10 / LEVEL  # a sign that darkens a pixel by more than ten grey levels
GAINS = tuple(1 + 0.02 * step for step in range(16))
PART = 256  # images at once


@dataclass(frozen=True)
class Trial:
    """How the sources are distorted for a trial: the eye `zoom` times as large, a `gamma`, a blur
    of `blur` px, noise of a deviation of `noise` grey levels.
    """

    zoom: float = 1.0
    gamma: float = 1.0
    blur: float = 0.0
    noise: float = 0.0


TRIALS = {
    "zoom .8": Trial(zoom=0.8),
    "zoom .9": Trial(zoom=0.9),
    "zoom 1.1": Trial(zoom=1.1),
    "zoom 1.25": Trial(zoom=1.25),
    "gamma .7": Trial(gamma=0.7),
    "gamma 1.4": Trial(gamma=1.4),
    "blur 1.2": Trial(blur=1.2),
    "noise 5": Trial(noise=5.0),
}


@dataclass(frozen=True, eq=False)
class Read:
    """What was read in the sources of some scenes, on the device: M sick eyes and their twins.

    `batch` the sources undistorted but for the trial; `ill`, `well` the readings of x and of t;
    `scene` (M,) which scene each is of.
    """

    batch: Batch
    ill: Reading
    well: Reading
    scene: np.ndarray


@torch.no_grad()
def read(
    network: Network, scenes: Scenes, device: str | torch.device, trial: Trial | None = None
) -> Read:
    """Read the first two eyes of every scene, and their twins, with their mirror images."""
    held, count = Held(scenes, device), len(scenes)
    scene = torch.arange(count, device=device).repeat(EYES - TARGETS)
    i = torch.arange(EYES - TARGETS, device=device).repeat_interleave(count)
    sick = torch.zeros(len(scene), dtype=torch.bool, device=device)
    batch = held.pairs(scene, i, i + TARGETS, sick)
    if trial is not None:
        batch = _tried(batch, trial)
    ill, well = (_in_parts(network, images) for images in (batch.x, batch.t))
    return Read(batch, ill, well, scene.cpu().numpy())


def figures(found: Read, scenes: Scenes, gain: float = 1.0) -> Row:
    """Return the numbers of a reading, by name; the shares are of 1.

    `e` and `e_image` over all signs, `e_KIND` where a kind stands alone, `e_dark` over darkened
    pixels, `e_weak` and `e_strong` in the thirds of least and most energy; `other` and `auc`: the
    same coefficient with another image's signs, and how often one's own are shown better; `added`
    the share of twins in which a sign was found, `missed` of sick eyes without; `pupil` the mean
    error.
    """
    delta = _laid(found.ill, found, gain) - _laid(found.well, found, gain)
    row = evidence(delta, found, scenes)
    added = found.well.alpha.amax((1, 2, 3)) > FOUND
    missed = found.ill.alpha.amax((1, 2, 3)) <= FOUND
    shown = total(found.batch.mask) > 0
    return row | {
        "added": float(added.float().mean()),
        "missed": float(missed[shown].float().mean()),
        "touched": float((found.well.alpha > 0).float().mean()),
        "pupil": float((found.ill.ratio - found.batch.ratio).abs().mean()),
    }


def evidence(delta: Tensor, found: Read, scenes: Scenes) -> Row:
    """Return what changes (M, 1, S, S) show of the sources' signs: the part of `figures` that is
    about evidence, for whoever made the changes.
    """
    batch = found.batch
    sign = (batch.x - batch.t) * batch.mask
    top, energy = total(delta * sign), total(sign * sign)
    there = energy > 0
    row = {
        "e": _ratio(top, energy, there),
        "e_image": float((top[there] / energy[there]).mean()),
        "rough": _ratio(total((delta - sign).square() * batch.mask), energy, there),
    }
    dark = (sign < DARK).float()
    row["e_dark"] = _ratio(total(delta * sign * dark), total(sign * sign * dark), there)
    low, high = torch.quantile(energy[there], torch.tensor([1 / 3, 2 / 3], device=energy.device))
    row["e_weak"] = _ratio(top, energy, there & (energy <= low))
    row["e_strong"] = _ratio(top, energy, there & (energy > high))
    alone = scenes.kinds.sum(axis=1) == 1
    for place, kind in enumerate(KINDS):
        rows = torch.from_numpy((alone & scenes.kinds[:, place])[found.scene])
        row[f"e_{kind}"] = _ratio(top, energy, there & rows.to(there.device))
    return row | _own_and_other(delta[there], sign[there], found.scene[there.cpu().numpy()])


def ceiling(found: Read) -> Tensor:
    """Return the changes of who knows the truth: the stranger's own rendering with these signs,
    where the source shows them.
    """
    return wanted(found.batch)


def stencil(found: Read) -> Tensor:
    """Return the changes of who knows where the signs are and not what they look like: the place
    filled with the mean level of all signs.
    """
    batch = found.batch
    level = (batch.x * batch.mask).sum() / batch.mask.sum().clamp_min(1)
    return batch.mask * (level - batch.s)


def average(found: Read) -> Tensor:
    """Return the changes of who knows the label alone: everybody's mean sign."""
    batch = found.batch
    mean = ((batch.x - batch.t) * batch.mask).mean(0, keepdim=True)
    return mean.expand_as(batch.x)


def best_gain(found: Read, scenes: Scenes) -> float:
    """Return the least of `GAINS` with which e, weighted by energy, comes nearest to 1.

    For validation people, never for those on whom the method is judged.
    """
    off = [abs(figures(found, scenes, gain)["e"] - 1) for gain in GAINS]
    return round(GAINS[int(np.argmin(off))], 2)


def report(
    network: Network, scenes: Scenes, device: str | torch.device, gain: float = 1.0
) -> dict[str, Row]:
    """Return the figures of every part: all, by camera, by trial, and those who do not read."""
    found = read(network, scenes, device)
    out = {"all": figures(found, scenes, gain)}
    for name in sorted(set(scenes.camera.tolist())):
        some = scenes.take(scenes.camera == name)
        if some.evidence[:, : EYES - TARGETS].any():
            out[f"camera {name}"] = figures(read(network, some, device), some, gain)
    for name, trial in TRIALS.items():
        out[name] = figures(read(network, scenes, device, trial), scenes, gain)
    for name, changes in (("ceiling", ceiling), ("stencil", stencil), ("average", average)):
        out[name] = evidence(changes(found), found, scenes)
    return out


def _laid(reading: Reading, found: Read, gain: float) -> Tensor:
    alpha = (gain * reading.alpha).clamp(max=1)
    return alpha * (reading.v - found.batch.s)


def _ratio(top: Tensor, bottom: Tensor, rows: Bool[Tensor, " m"]) -> float:
    """Return the ratio of the sums over some rows; 0 where there are none."""
    below = float(bottom[rows].sum())
    return float(top[rows].sum()) / below if below > 0 else 0.0


def _own_and_other(delta: Tensor, sign: Tensor, scene: np.ndarray) -> Row:
    """Return how much better changes show their own image's signs than those of other scenes."""
    a, b = delta.flatten(1).double(), sign.flatten(1).double()
    # scores[i, j]: what change i shows of sign j
    scores = (a @ b.T) / b.square().sum(1).clamp_min(1e-9)
    other = torch.from_numpy(scene[:, None] != scene[None]).to(scores.device)
    own = scores.diagonal()
    better = (own[None] > scores).double() + 0.5 * (own[None] == scores).double()
    count = other.sum().clamp_min(1)
    return {
        "other": float((scores * other).sum() / count),
        "auc": float((better * other).sum() / count),
    }


def _in_parts(network: Network, images: Float[Tensor, "m 1 s s"]) -> Reading:
    parts = [mirrored_too(network, images[k : k + PART]) for k in range(0, len(images), PART)]
    return Reading(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _tried(batch: Batch, trial: Trial) -> Batch:
    """Return the sources under a trial; strangers and targets stay as they are."""
    x, t, mask = batch.x, batch.t, batch.mask
    if trial.zoom != 1:
        theta = torch.zeros(len(x), 2, 3, device=x.device)
        theta[:, 0, 0] = theta[:, 1, 1] = 1 / trial.zoom
        x, t, mask = sampled(torch.cat([x, t, mask], 1), theta).split(1, 1)
        mask = (mask > 0.5).float()
    generator = torch.Generator(x.device).manual_seed(0)
    x, t = (_photographed(image, trial) for image in (x, t))
    noise = torch.randn(x.shape, generator=generator, device=x.device) * trial.noise / LEVEL
    x, t = (image + noise for image in (x, t))
    return batch._replace(source=x, x=x, t=t, mask=mask, ratio=batch.ratio * trial.zoom)


def _photographed(image: Tensor, trial: Trial) -> Tensor:
    if trial.blur:
        image = softened(image, trial.blur)
    return 2 * ((image + 1) / 2).clamp(0, 1).pow(trial.gamma) - 1
