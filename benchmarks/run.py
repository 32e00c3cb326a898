"""Run every benchmark, ours beside a peer, and print one table: `python benchmarks/run.py [--write]
[NAME ...]`.

A benchmark is a file `bench_NAME.py` with `run() -> list[dict]`, each dict with `name`, `ours`,
`peer` (medians, taken in turns within the one run), `ratio` (how many times faster ours is) and
`unit` ("s", "images/s", ...), and perhaps a `note`. `--write` also puts the rows into the table of
benchmarks/README.md, in place of the older rows of the same benchmarks.
"""

import argparse
import importlib.util
import os
import platform
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
START, END = "<!-- table: written by run.py --write -->", "<!-- end of table -->"
KEYS = {"name", "ours", "peer", "ratio", "unit"}


def collect(names: list[str]) -> dict[str, list[str]]:
    """Run the benchmarks of the given names (all where none is given) and return the lines of each;
    say which one runs on stderr.
    """
    files = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = sorted(set(names) - set(files))
    if unknown:
        sys.exit(
            f"run.py: error: no benchmark called {', '.join(unknown)}; there are: "
            f"{', '.join(files)}"
        )
    lines: dict[str, list[str]] = {}
    for name, path in files.items():
        if not names or name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            for row in module.run():
                if not row.keys() >= KEYS:
                    sys.exit(
                        f"run.py: error: {path.name} returned a row without "
                        f"{sorted(KEYS - row.keys())}"
                    )
                lines.setdefault(name, []).append(line(name, row))
    return lines


def table(lines: dict[str, list[str]]) -> str:
    """Return benchmark -> lines as one Markdown table, the benchmarks in the order of the
    alphabet.
    """
    head = [
        "| benchmark | what | unit | ours | peer | ratio | day |",
        f"|---|---|---|{'---:|' * 4}",
    ]
    return "\n".join(head + [line for name in sorted(lines) for line in lines[name]])


def line(benchmark: str, row: dict) -> str:
    """Return one line of the table, with the day on which it was measured."""
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.1f}x"
    what = row["name"] + (f" ({row['note']})" if row.get("note") else "")
    numbers = f"{_number(row['ours'])} | {_number(row['peer'])} | {ratio}"
    return f"| {benchmark} | {what} | {row['unit']} | {numbers} | {date.today()} |"


def machine() -> str:
    """Say what the numbers were measured on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"Last measured with {os.cpu_count()} CPU cores ({platform.machine()}), {device}, Python "
        f"{platform.python_version()}, torch {torch.__version__}."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write(lines: dict[str, list[str]]) -> None:
    """Put the lines into the table in README.md; benchmarks that were not run keep theirs, those
    whose file is gone lose them. Raises `ValueError` where the marks that enclose it are gone.
    """
    before, start, rest = README.read_text(encoding="utf-8").partition(START)
    old, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(
            f"{README} lacks the lines {START!r} and {END!r}; put them where the table shall stand"
        )
    kept: dict[str, list[str]] = {}
    for one in old.splitlines():
        name = one.split("|")[1].strip() if one.startswith("|") else ""
        if name not in lines and (HERE / f"bench_{name}.py").is_file():
            kept.setdefault(name, []).append(one)
    text = f"{before}{START}\n{table(kept | lines)}\n\n{machine()}\n{END}{after}"
    README.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="benchmarks to run (default: all)")
    parser.add_argument(
        "--write", action="store_true", help="put the rows into the table of benchmarks/README.md"
    )
    arguments = parser.parse_args()
    lines = collect(arguments.names)
    print(f"{table(lines)}\n\n{machine()}")
    if arguments.write:
        write(lines)


if __name__ == "__main__":
    main()
