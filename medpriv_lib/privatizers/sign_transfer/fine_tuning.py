"""Fine-tuning on images whose twins nobody has: what they can teach, and what they cannot.

A twin, the same eye without its disease, exists only for rendered eyes. Without it,

- healthy-labelled images can teach what is no sign: alpha has to be 0 everywhere in them. This is
  what another camera, other lamps and other healthy irises need.
- images with the disease, and those without a label, can only teach to go on reading what was read
  before, in another light too: the network is held to what it said of the undistorted image.

What cannot be learned here: signs that the renderer does not draw; how strong a sign is on this
camera; where a sign that was missed lies. A label says that there are signs, not which pixels they
change, and a network that is asked to make a label visible draws what convinces, not what is there.
"""

import copy

import numpy as np
import torch

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.precision import flushed_denormals
from medpriv_lib.privatizers.sign_transfer.distort import Distortion, lit
from medpriv_lib.privatizers.sign_transfer.network import Network, mirrored_too

QUIET = 2.0  # how much alpha in a healthy image weighs, beside what was read in the others


@torch.enable_grad()
def fine_tuned(
    network: Network,
    train: Cohort,
    labelled: bool = True,
    steps: int = 300,
    batch: int = 32,
    rate: float = 2e-4,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Network:
    """Return a copy of the network, fine-tuned on the images of `train`, in evaluation mode.

    Without `labelled` all images count as unlabelled: the network only learns to say the same in
    another light. Statistics of batch normalisation stay as they are. Raises `ValueError` for
    images of another size, for a cohort whose images are all of the disease where labels are used,
    and for a budget below one step.
    """
    if steps < 1 or batch < 1:
        raise ValueError(f"{steps} steps of {batch} images: take at least one of each")
    ill = train.diseased if labelled else np.ones(len(train), dtype=bool)
    if labelled and ill.all():
        raise ValueError(
            "no image is labelled healthy, so none says what is no sign; pass labelled=False to "
            "learn from the light alone"
        )
    teacher = copy.deepcopy(network).to(device).eval().requires_grad_(False)
    learner = copy.deepcopy(teacher).requires_grad_(True)
    images = to_tensor(train.images, device)
    healthy = torch.from_numpy(~ill).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    optimiser = torch.optim.AdamW(learner.parameters(), rate, weight_decay=0.0)
    distortion = Distortion()
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        rows = torch.randint(len(images), (batch,), generator=generator, device=device)
        x, well = images[rows], healthy[rows][:, None, None, None]
        with torch.no_grad():
            before = mirrored_too(teacher, x)
        with flushed_denormals():
            now = learner(lit(x, distortion, generator))
            asked = torch.where(well, 0.0, before.alpha)
            off = (now.alpha - asked).square() + asked * (now.v - before.v).square()
            weight = torch.where(well, QUIET, 1.0)
            value = (weight * off).mean() + 0.1 * (now.ratio - before.ratio).square().mean()
            value = value + 0.05 * (now.alpha * well).mean()
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    return learner.eval().requires_grad_(False)
