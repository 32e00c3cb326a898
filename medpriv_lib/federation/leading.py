"""What Flower's process of the coordinator imports.

It learns what it is from the environment of the command that started it, which no message carries:
its folder, and there the plan.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from medpriv_lib.core.files import write_json
from medpriv_lib.core.randomness import fresh
from medpriv_lib.federation.aggregation import Aggregation, InTheOpen
from medpriv_lib.federation.coordinator import Coordinator, Round
from medpriv_lib.federation.local import LocalTraining
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.private.demand import Demand
from medpriv_lib.federation.result import save_recogniser
from medpriv_lib.federation.secure_aggregation.identity import Roster
from medpriv_lib.federation.secure_aggregation.masked_average import MaskedAverage
from medpriv_lib.federation.waiting import gathered

LEAD = "MEDPRIV_COORDINATOR"  # the folder, in the environment
PLAN, SAID, FAILED = "plan.json", "said.jsonl", "failed.json"

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
