"""The first column of the map: what collecting costs, by the room of the library that does it."""

import importlib
import importlib.util
from typing import Any

ROOM = "medpriv_lib.collection"
PEOPLE = 1000


def collected() -> dict[str, dict[str, Any]]:
    """Return title -> what each technology of collecting hides, trusts, leaves open and costs."""
    found: dict[str, dict[str, Any]] = {}
    if importlib.util.find_spec(ROOM) is None:
        return found
    room = importlib.import_module(f"{ROOM}.costs")
    for name, described in room.DESCRIBED.items():
        cost = room.cost(name, PEOPLE)
        found[name] = {
            "hides": described.hides,
            "trusts": described.trusted,
            "not_against": described.open,
            "cpu_seconds": round(cost.seconds, 4),
            "bytes": cost.bytes,
            "n": cost.n,
        }
    return found
