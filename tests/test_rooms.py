"""The rooms of the library and the one rule between them: a room uses only rooms named before it."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parent.parent / "medpriv_lib"
# as in CONTRIBUTING.md; what comes later may use what comes earlier
ROOMS = ["core", "lessons", "data", "collection", "learning", "recognition", "privatizers"]
ROOMS += [
    "measures",
    "attacks",
    "explanation",
    "federation",
    "encrypted",
    "pipeline",
    "study",
    "cli",
]
MOST_FLOORS = 10


def room(module: str) -> str:
    """Return the room of a module, "" for the package itself and for what starts the command."""
    name = module.split(".")[1] if "." in module else ""
    return "" if name == "__main__" else name


def modules(library: Path) -> dict[str, Path]:
    """Return dotted name -> file of every module."""
    found = {}
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(library: Path) -> dict[str, set[str]]:
    """Return for every module the modules of the library that it imports, within functions too. A
    name that is imported from a package counts as its module where it is one."""
    known, found = modules(library), {}
    for name, path in known.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: name the whole module, not {'.' * node.level}"
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                named = {one if one in known else str(node.module) for one in whole}
            else:
                continue
            found[name] |= (named & known.keys()) - {name}
    return found


def arrows_down(library: Path, rooms: list[str]) -> list[str]:
    """Return "file -> file" for every import of a room that is named later."""
    place = {"": -1} | {name: i for i, name in enumerate(rooms)}
    return [
        f"{one} -> {other}"
        for one, used in imports(library).items()
        for other in sorted(used)
        if room(one) and place[room(other)] > place[room(one)]
    ]


def floors(library: Path, rooms: list[str]) -> dict[str, int]:
    """Return on which floor each room stands: one above the highest of those that it uses."""
    used: dict[str, set[str]] = {name: set() for name in ("", *rooms)}
    for one, others in imports(library).items():
        used[room(one)].update(map(room, others))
    found = {"": 0}
    for name in rooms:
        found[name] = 1 + max((found[other] for other in used[name] if other in found), default=0)
    return found


def circle(library: Path) -> list[str]:
    """Return the modules of one circle of imports, none where there is none."""
    try:
        TopologicalSorter(imports(library)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_module_is_in_a_room():
    assert {path.name for path in LIBRARY.glob("*.py")} == {"__init__.py", "__main__.py"}
    assert {room(name) for name in modules(LIBRARY)} - {""} == set(ROOMS)


def test_a_room_uses_only_rooms_named_before_it():
    found = arrows_down(LIBRARY, ROOMS)
    assert not found, "\n".join(found)


def test_no_file_is_in_a_circle():
    assert not circle(LIBRARY)


def test_there_are_at_most_ten_floors():
    found = floors(LIBRARY, ROOMS)
    assert max(found.values()) <= MOST_FLOORS, found


@pytest.fixture
def crooked(tmp_path):
    """Make a library of two rooms with an arrow down, hidden in a function, and a circle."""
    library = tmp_path / "medpriv_lib"
    texts = {
        "__init__.py": "",
        "core/__init__.py": "",
        "core/ground.py": "def f():\n    from medpriv_lib.cli import main\n",
        "cli/__init__.py": "from medpriv_lib.cli import main\n",
        "cli/main.py": "import medpriv_lib.cli.other\n",
        "cli/other.py": "def f():\n    from medpriv_lib.cli.main import main\n",
    }
    for name, text in texts.items():
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text(text)
    return library


def test_an_arrow_down_and_a_circle_are_seen(crooked):
    assert arrows_down(crooked, ["core", "cli"]) == [
        "medpriv_lib.core.ground -> medpriv_lib.cli.main"
    ]
    assert floors(crooked, ["core", "cli"]) == {"": 0, "core": 1, "cli": 1}
    assert set(circle(crooked)) == {"medpriv_lib.cli.main", "medpriv_lib.cli.other"}
