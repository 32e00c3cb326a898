"""What Flower's own processes import: the site's app and the coordinator's app.

Both learn what they are from the environment of the command that started them, which no message
carries: a site its cohort's file, name, log, roster and ledger, the coordinator its folder. So a
site's own conditions, masks and a budget, are none that a coordinator could change.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from flwr.app import Context, Message
from flwr.clientapp.typing import ClientAppCallable
from flwr.serverapp import Grid, ServerApp

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import write_json
from medpriv_lib.core.randomness import fresh
from medpriv_lib.federation.aggregation import Aggregation, InTheOpen
from medpriv_lib.federation.apps import site_app
from medpriv_lib.federation.coordinator import Coordinator, Round
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.log import Left, to_file
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.private.at_site import Guard
from medpriv_lib.federation.private.demand import Demand
from medpriv_lib.federation.private.ledger import Ledger
from medpriv_lib.federation.result import save_recogniser
from medpriv_lib.federation.secure_aggregation.identity import Identity, Roster
from medpriv_lib.federation.secure_aggregation.masked_average import MaskedAverage
from medpriv_lib.federation.secure_aggregation.site_mod import PHASES, masking_mod
from medpriv_lib.federation.sites import Site
from medpriv_lib.federation.waiting import gathered

SITE, LEAD = "MEDPRIV_SITE", "MEDPRIV_COORDINATOR"  # JSON in the environment
PLAN, SAID, FAILED = "plan.json", "said.jsonl", "failed.json"


def _own() -> dict[str, Any]:
    return json.loads(os.environ[SITE])


def _site(context: Context) -> Site:
    torch.set_num_threads(1)
    own = _own()
    return Site.of(Cohort.load(own["cohort"]), own["name"])


def _note(left: Left) -> None:
    log = _own()["log"]
    if log is not None:
        to_file(Path(log))(left)


def _enrolled(context: Context) -> tuple[Identity, Roster]:
    masks = _own()["masks"]
    return Identity.read(masks["identity"]), Roster.read(masks["roster"])


def _masks(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Mask what leaves, where the site was started with a roster."""
    if _own().get("masks") is None:
        return call_next(message, context)
    return masking_mod(_enrolled)(message, context, call_next)


def _guard(site: Site) -> Guard | None:
    """Return what the site insists on, where it was started with a budget."""
    own = _own()
    if own.get("budget") is None:
        return None
    ledger = Ledger(site=site.name, patients=site.patients, **own["budget"])
    masks = own.get("masks")
    return Guard(ledger, Roster.read(masks["roster"]).threshold if masks else 1)


client = site_app(_site, mods=[_masks], phases=PHASES, note=_note, guard=_guard)
server = ServerApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Run the plan of the folder; each round, or the one line why there is none, is written
    there.
    """
    folder = Path(os.environ[LEAD])
    told = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    try:
        plan = plan_in(told["plan"])
        gathered(grid, told["sites"], plan.patience)
        first = plan.first_weights(fresh())
        lead = Coordinator(plan, first, _aggregation(told), folder, progress=_teller(folder))
        outcome = lead.run(grid)
        network = plan.network()
        network.load_state_dict(outcome.weights)
        save_recogniser(
            network,
            outcome.rounds,
            folder,
            data_hash="",
            command="medpriv federate coordinator",
            seed=0,
            metrics={},
        )
    except ValueError as error:
        write_json(folder / FAILED, {"error": " ".join(str(error).split())})
        raise


def _aggregation(told: dict[str, Any]) -> Aggregation:
    roster = told.get("roster")
    return MaskedAverage(Roster.read(roster)) if roster else InTheOpen()


def plan_in(told: dict[str, Any]) -> Plan:
    """Return the plan as it was before it went through JSON."""
    training = dict(told["training"])
    if training["class_weights"] is not None:
        training["class_weights"] = tuple(training["class_weights"])
    demand = told["demand"] and Demand(**told["demand"])
    return Plan(**told | {"training": LocalTraining(**training), "demand": demand})


def _teller(folder: Path) -> Any:
    def tell(number: int, rounds: int, one: Round) -> None:
        with open(folder / SAID, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")

    return tell
