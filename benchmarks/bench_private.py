"""A private step with the patient as unit beside the plain step and beside Opacus' three ways.

One step on 64 images, one of each of 64 patients, by the recogniser with group norm at 32x32. All
take turns in one run; the figures are medians of CPU seconds. Half a minute on one core.
"""

import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.private.patient_gradients import (
    clipped_sum,
    noised,
    patient_gradients,
)
from medpriv_lib.recognition.grouped import Grouped

REPEATS, IMAGES, SIZE = 5, 64, 32
MODES = ("hooks", "functorch", "ghost")


def made() -> Grouped:
    torch.manual_seed(0)
    network = Grouped(2, SIZE)
    network.dropout.p = 0.0
    return network.train()


def ours(x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    network, weight = made(), torch.ones(IMAGES, 1)
    optimiser, generator = torch.optim.SGD(network.parameters(), 0.01), seeded(0)

    def step() -> None:
        each = patient_gradients(network, x[:, None], y[:, None], weight)
        total = noised(clipped_sum(each, 1.0)[0], 1.0, generator)
        for key, parameter in network.named_parameters():
            parameter.grad = total[key] / IMAGES
        optimiser.step()

    return step


def plain(x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    network = made()
    return stepped(
        network, torch.optim.SGD(network.parameters(), 0.01), nn.CrossEntropyLoss(), x, y
    )


def opacus(mode: str, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    from opacus import PrivacyEngine

    network, criterion = made(), nn.CrossEntropyLoss()
    data = torch.utils.data.TensorDataset(x, y)
    found = PrivacyEngine(accountant="prv").make_private(
        module=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.01),
        data_loader=torch.utils.data.DataLoader(data, batch_size=IMAGES),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        grad_sample_mode=mode,
        poisson_sampling=False,
        **({"criterion": criterion} if mode == "ghost" else {}),
    )
    if mode == "ghost":
        criterion = found[2]
    return stepped(found[0], found[1], criterion, x, y)


def stepped(
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    criterion: Callable[..., torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
) -> Callable[[], None]:
    def step() -> None:
        optimiser.zero_grad()
        criterion(network(x), y).backward()
        optimiser.step()

    return step


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    x, y = torch.randn(IMAGES, 1, SIZE, SIZE), torch.arange(IMAGES) % 2
    works = {"ours": ours(x, y), "the plain step": plain(x, y)}
    works |= {f"Opacus, {mode}": opacus(mode, x, y) for mode in MODES}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(REPEATS + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    middle = {name: median(each[1:]) for name, each in seconds.items()}  # the first warms up
    own = middle.pop("ours")
    return [
        {
            "name": f"a private step of {IMAGES} images at {SIZE}x{SIZE}, beside {name}",
            "ours": own,
            "peer": each,
            "ratio": each / own,
            "unit": "CPU s",
        }
        for name, each in middle.items()
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<72} {row['ours']:8.3f} {row['unit']}   peer {row['peer']:8.3f}  "
            f"ratio {row['ratio']:.2f}"
        )
