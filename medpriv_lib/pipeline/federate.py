"""Train one recogniser at several sites whose images stay where they are."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.extra import FEDERATED
from medpriv_lib.core.intervals import area, auc_interval
from medpriv_lib.core.pixels import channels_of, size_of
from medpriv_lib.core.randomness import seeded
from medpriv_lib.federation.conduct import ROUNDS, Rounds
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.private.at_site import Guard
from medpriv_lib.federation.private.demand import Demand
from medpriv_lib.federation.private.privacy import Privacy
from medpriv_lib.federation.sites import Site
from medpriv_lib.recognition.networks import Recogniser

if TYPE_CHECKING:  # Flower is an extra
    from flwr.clientapp import ClientApp

    from medpriv_lib.federation.apps import GeneratorOf
    from medpriv_lib.federation.coordinator import Progress, Round
    from medpriv_lib.federation.exchange import Exchange
    from medpriv_lib.federation.grid import Disturb
    from medpriv_lib.federation.log import Left
    from medpriv_lib.federation.plan import Model, Plan


@dataclass(frozen=True, eq=False)
class Federation:
    """What a federated training came to.

    `network`, ready to judge; `threshold`, the probability from which an image is called diseased,
    chosen on the sites' validation images (.5 under differential privacy, which tells no counts of
    them); `rounds`, what happened in each; `left`, what left each site by its name, message by
    message; `spent`, the epsilon of each site's ledger after the training, none without privacy.
    """

    network: Recogniser
    threshold: float
    rounds: "tuple[Round, ...]"
    left: "dict[str, list[Left]]"
    spent: dict[str, float] = field(default_factory=dict)

    def score(self, cohort: Cohort) -> Float[np.ndarray, " n"]:
        """Return the probability of the disease, float64 (N,), for the images of a cohort."""
        from medpriv_lib.federation.validation import score

        return score(self.network, cohort)


def federate(
    sites: Sequence[Site],
    *,
    rounds: int | Rounds = ROUNDS,
    training: LocalTraining | None = None,
    seed: int = 0,
    model: "Model" = "network",
    folder: str | os.PathLike | None = None,
    privacy: Privacy | None = None,
    aggregation: "Exchange | Literal['open', 'secure']" = "open",
    progress: "Progress | None" = None,
    disturb: "Disturb | None" = None,
) -> Federation:
    """Train a disease recogniser over the sites, in this process: each site's app in turn, through
    the messages that would be sent between machines.

    In each of the `rounds` (a number, or `Rounds` that also say when one counts) every site trains
    from the common weights as `training` says, and their weights are averaged, each site's weighted
    by its patients. With a `folder`, a training that
    was stopped goes on after its last round. `model` "network" trains a network, "probe" a linear
    layer on what the expert sees. `aggregation` "secure" shows the coordinator sums under masks
    only; `privacy` bounds what weights tell about a patient, and each site's ledger refuses rounds
    that its budget does not hold. Both are for trying here, where all keys lie in one process.
    Another way to aggregate is an `Exchange`; `disturb` says what happens to replies on their
    way (`InProcessGrid`). The same `seed` gives the same network on the same machine, but under
    privacy, whose noise nobody shall be able to draw again. Raises `ValueError` where sites share a
    name or have images of different sizes, `RoundFailed` where too few answered or budgets are
    spent, and `ImportError` where Flower is not installed.
    """
    FEDERATED.need("flwr.app")
    from medpriv_lib.federation.apps import coordinator_app
    from medpriv_lib.federation.coordinator import Coordinator, Outcome
    from medpriv_lib.federation.grid import InProcessGrid, run_in_process

    rounds = rounds if isinstance(rounds, Rounds) else Rounds(rounds)
    require_alike(sites)
    exchange = _exchange(aggregation, sites)
    roster = getattr(exchange.aggregation, "roster", None)
    threshold = roster.threshold if roster else None
    patients = sum(site.patients for site in sites)
    demand = privacy.demand(rounds.count, patients, threshold) if privacy else None
    plan = plan_of(sites, rounds, training or LocalTraining(), model, demand)
    left: dict[str, list[Left]] = {site.name: [] for site in sites}
    coordinator = Coordinator(
        plan,
        plan.first_weights(seeded(seed, "first weights")),
        exchange.aggregation,
        folder=None if folder is None else Path(folder),
        data={"seed": seed, "sites": {site.name: site.cohort.hash() for site in sites}},
        progress=progress,
        validate=rounds.validate,
    )
    found: list[Outcome] = []
    with _guards(privacy, sites, folder, threshold) as guards:
        apps = _apps(sites, exchange, seed, left, guards)
        run_in_process(coordinator_app(coordinator, found.append), InProcessGrid(apps, disturb))
        spent = {name: one.ledger.spent() for name, one in guards.items() if one.ledger}
    network = plan.network()
    network.load_state_dict(found[0].weights)
    return Federation(network.eval(), found[0].threshold, found[0].rounds, left, spent)


def _exchange(
    aggregation: "Exchange | Literal['open', 'secure']", sites: Sequence[Site]
) -> "Exchange":
    from medpriv_lib.federation.exchange import Exchange

    if aggregation == "secure":
        from medpriv_lib.federation.secure_aggregation.in_process import masked

        return masked(sites)
    return Exchange() if isinstance(aggregation, str) else aggregation


def _apps(
    sites: Sequence[Site],
    exchange: "Exchange",
    seed: int,
    left: "Mapping[str, list[Left]]",
    guards: Mapping[str, Guard],
) -> "dict[int, ClientApp]":
    """Return each site's app by the number of its node; what leaves a site is noted in `left`."""
    from medpriv_lib.federation.apps import site_app

    return {
        node: site_app(
            site,
            generator_of=_drawn(seed, site.name),
            mods=exchange.mods(site),
            phases=exchange.phases,
            note=left[site.name].append,
            guard=lambda site: guards.get(site.name),
        )
        for node, site in enumerate(sites, 1)
    }


@contextlib.contextmanager
def _guards(
    privacy: Privacy | None,
    sites: Sequence[Site],
    folder: str | os.PathLike | None,
    threshold: int | None,
) -> Iterator[Mapping[str, Guard]]:
    """Yield each site's guard, none without privacy. The ledgers lie where `privacy` says, else in
    the training's folder; without one they are forgotten with the training.
    """
    if privacy is None:
        yield {}
    elif privacy.ledgers is not None or folder is not None:
        place = Path(folder or "") / "ledgers" if privacy.ledgers is None else Path(privacy.ledgers)
        yield privacy.guards(sites, place, threshold)
    else:
        with tempfile.TemporaryDirectory(prefix="medpriv-") as made:
            yield privacy.guards(sites, Path(made), threshold)


def _drawn(seed: int, name: str) -> "GeneratorOf":
    return lambda number: seeded(seed, name, number)


def plan_of(
    sites: Sequence[Site],
    rounds: Rounds,
    training: LocalTraining,
    model: "Model" = "network",
    demand: Demand | None = None,
) -> "Plan":
    """Return the plan for these sites. Errors as of `federate`."""
    from medpriv_lib.federation.plan import Plan

    size, channels = require_alike(sites)
    least = rounds.least(len(sites))
    return Plan(rounds.count, size, channels, "max", training, least, model=model, demand=demand)


def require_alike(sites: Sequence[Site]) -> tuple[int, int]:
    """Return size and channels of the sites' images. Errors as of `federate`."""
    if not sites:
        raise ValueError("a federation needs at least one site")
    names = [site.name for site in sites]
    if len(set(names)) < len(names):
        raise ValueError(f"two sites have the same name; the names are {', '.join(sorted(names))}")
    kinds = {(size_of(one.cohort.images), channels_of(one.cohort.images)) for one in sites}
    if len(kinds) > 1:
        shown = ", ".join(f"{size}x{size} with {c} channel(s)" for size, c in sorted(kinds))
        raise ValueError(f"the sites' images differ: {shown}; prepare them alike, with --size")
    return kinds.pop()


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
