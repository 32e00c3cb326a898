"""Train one recogniser at several sites whose images stay where they are."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.extra import FEDERATED
from medpriv_lib.core.intervals import area, auc_interval
from medpriv_lib.core.pixels import channels_of, size_of
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.local import Fit, LocalTraining, fit_site
from medpriv_lib.federation.sites import Site
from medpriv_lib.recognition.grouped import Grouped

if TYPE_CHECKING:  # Flower is an extra
    from flwr.clientapp.typing import Mod

    from medpriv_lib.federation.aggregation import Aggregation
    from medpriv_lib.federation.apps import GeneratorOf
    from medpriv_lib.federation.coordinator import Progress, Round
    from medpriv_lib.federation.grid import Disturb
    from medpriv_lib.federation.log import Left
    from medpriv_lib.federation.plan import Plan

ROUNDS = 20


@dataclass(frozen=True, eq=False)
class Federation:
    """What a federated training came to.

    `network`, ready to judge; `threshold`, the probability from which an image is called diseased,
    chosen on the sites' validation images; `rounds`, what happened in each; `left`, what left each
    site by its name, message by message.
    """

    network: Grouped
    threshold: float
    rounds: "tuple[Round, ...]"
    left: "dict[str, list[Left]]"

    def score(self, cohort: Cohort) -> Float[np.ndarray, " n"]:
        """Return the probability of the disease, float64 (N,), for the images of a cohort."""
        from medpriv_lib.federation.validation import score

        return score(self.network, cohort)


def federate(
    sites: Sequence[Site],
    *,
    rounds: int = ROUNDS,
    training: LocalTraining | None = None,
    seed: int = 0,
    pooling: Literal["average", "max"] = "max",
    fewest: int | None = None,
    folder: str | os.PathLike | None = None,
    aggregation: "Aggregation | None" = None,
    mods: "Callable[[Site], Sequence[Mod]] | None" = None,
    phases: Sequence[str] = (),
    fit: Fit = fit_site,
    progress: "Progress | None" = None,
    disturb: "Disturb | None" = None,
    validate: bool = True,
) -> Federation:
    """Train a disease recogniser over the sites, in this process: each site's app in turn, through
    the messages that would be sent between machines.

    In each of the `rounds` every site trains from the common weights as `training` says, and their
    weights are averaged, each site's weighted by its patients. A round counts where at least
    `fewest` sites answered (None: all but one, and at least one). With a `folder`, a training that
    was stopped goes on after its last round. What is left to choose are the parts: `aggregation`
    how updates are put together, with `mods` and `phases` the sites' side of it; `fit` how a site
    trains; `disturb` what happens to replies on their way (`InProcessGrid`). The same `seed` gives
    the same network on the same machine. Raises `ValueError` where sites share a name or have
    images of different sizes, `RoundFailed` where too few answered, and `ImportError` where Flower
    is not installed.
    """
    FEDERATED.need("flwr.app")
    from medpriv_lib.federation.apps import coordinator_app, site_app
    from medpriv_lib.federation.coordinator import Coordinator, Outcome
    from medpriv_lib.federation.grid import InProcessGrid, run_in_process

    plan = plan_of(sites, rounds, training or LocalTraining(), pooling, fewest)
    left: dict[str, list[Left]] = {site.name: [] for site in sites}
    apps = {
        node: site_app(
            site,
            fit=fit,
            generator_of=_drawn(seed, site.name),
            mods=mods(site) if mods else (),
            phases=phases,
            note=left[site.name].append,
        )
        for node, site in enumerate(sites, 1)
    }
    coordinator = Coordinator(
        plan,
        plan.first_weights(seeded(seed, "first weights")),
        folder=None if folder is None else Path(folder),
        data={"seed": seed, "sites": {site.name: site.cohort.hash() for site in sites}},
        progress=progress,
        validate=validate,
    )
    if aggregation is not None:
        coordinator.aggregation = aggregation
    found: list[Outcome] = []
    run_in_process(coordinator_app(coordinator, found.append), InProcessGrid(apps, disturb))
    network = plan.network()
    network.load_state_dict(found[0].weights)
    return Federation(network.eval(), found[0].threshold, found[0].rounds, left)


def _drawn(seed: int, name: str) -> "GeneratorOf":
    return lambda number: seeded(seed, name, number)


def plan_of(
    sites: Sequence[Site],
    rounds: int,
    training: LocalTraining,
    pooling: Literal["average", "max"] = "max",
    fewest: int | None = None,
) -> "Plan":
    """Return the plan for these sites. Errors as of `federate`."""
    from medpriv_lib.federation.plan import Plan

    if not sites:
        raise ValueError("a federation needs at least one site")
    names = [site.name for site in sites]
    if len(set(names)) < len(names):
        raise ValueError(f"two sites have the same name; the names are {', '.join(sorted(names))}")
    kinds = {(size_of(one.cohort.images), channels_of(one.cohort.images)) for one in sites}
    if len(kinds) > 1:
        shown = ", ".join(f"{size}x{size} with {c} channel(s)" for size, c in sorted(kinds))
        raise ValueError(f"the sites' images differ: {shown}; prepare them alike, with --size")
    (size, channels) = kinds.pop()
    if fewest is None:
        fewest = max(1, len(sites) - 1)
    return Plan(rounds, size, channels, pooling, training, fewest)


def written(
    found: Federation, cohort: Cohort, out: Path, command: str, seed: int
) -> dict[str, float]:
    """Write the recogniser with its card, and `rounds.json`, into a folder; return how good it is
    on the cohort's test images: AUC with its interval over patients, F1 at the threshold, and the
    F1 of calling everybody diseased.
    """
    from medpriv_lib.federation.result import save_recogniser

    test = cohort.of("test")
    scores, ill = found.score(test), test.diseased
    called = scores >= found.threshold
    low, high = auc_interval(scores, ill, test.patient)
    quality = {
        "auc": area(scores, ill),
        "auc_low": low,
        "auc_high": high,
        "f1": 2 * float((called & ill).sum()) / max(1, int(called.sum() + ill.sum())),
        "all_ill": float(2 * ill.mean() / (1 + ill.mean())),
        "threshold": found.threshold,
        "test_patients": len(np.unique(test.patient)),
        "test_images": len(test),
    }
    quality = {name: round(value, 4) for name, value in quality.items()}
    save_recogniser(
        found.network,
        found.rounds,
        out,
        data_hash=cohort.hash(),
        command=command,
        seed=seed,
        metrics=quality,
    )
    return quality
