"""The networks whose updates are read."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.intervals import area
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.randomness import seeded
from medpriv_lib.recognition.grouped import Grouped
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.wide import Shape, Wide
from medpriv_lib.study.gradient_inversion.rows import Make

EPOCHS, BATCH, RATE = 4, 32, 2e-3
# the recogniser's own widths, with average pooling
NORMED = Shape((32, 32, 32, 32), (5, 5, 3, 3), "average", 32)


def network_of(make: Make, size: int, seed: int) -> Recogniser:
    """Return a disease recogniser with random weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if make == "batch norm":
            return Wide(2, size, shape=NORMED).eval()
        return Grouped(2, size, pooling=make).eval()


def trained(network: Recogniser, train: Cohort, seed: int, epochs: int = EPOCHS) -> Recogniser:
    """Return the network after some epochs on the cohort's labels, as late in a training, in
    evaluation mode.
    """
    network = copy.deepcopy(network)
    tool = torch.optim.Adam(network.parameters(), RATE)
    x, y = to_tensor(train.images), torch.from_numpy(train.diseased).long()
    generator = seeded(seed, "gradient inversion", "training")
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            tool.zero_grad()
            cross_entropy(network(x[rows]), y[rows]).backward()
            tool.step()
    return network.eval()


def auc_of(network: Recogniser, test: Cohort) -> float:
    """Return how well a network reads the disease of images it did not learn from."""
    says = logits(network, test.images)
    return area((says[:, 1] - says[:, 0]).numpy(), test.diseased)


def with_statistics(network: Recogniser, x: Float[Tensor, "n c h w"]) -> Recogniser:
    """Return the network with the batch norm statistics of these images, in evaluation mode."""
    network = copy.deepcopy(network)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # the mean over all batches
    network.train()
    with torch.no_grad():
        for some in x.split(64):
            network(some)
    return network.eval()
