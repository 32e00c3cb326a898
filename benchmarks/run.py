"""Run every benchmark, ours beside a peer, and print one table: `python benchmarks/run.py [--write]
[NAME ...]`.

A benchmark is a file `bench_NAME.py` with `run() -> list[dict]`, each dict with `name`, `ours`,
`peer` (medians, taken in turns within the one run), `ratio` (how many times faster ours is) and
`unit` ("s", "images/s", ...), and perhaps a `note`. `--write` also puts the table into
benchmarks/README.md.
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


def collect(names: list[str]) -> list[dict]:
    """Run the benchmarks of the given names (all where none is given); say which one runs on
    stderr.
    """
    files = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = sorted(set(names) - set(files))
    if unknown:
        sys.exit(
            f"run.py: error: no benchmark called {', '.join(unknown)}; there are: "
            f"{', '.join(files)}"
        )
    rows = []
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
                rows.append(row)
    return rows


def table(rows: list[dict]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | unit | ours | peer | ratio |", "|---|---|---:|---:|---:|"]
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.1f}x"
        name = row["name"] + (f" ({row['note']})" if row.get("note") else "")
        lines.append(
            f"| {name} | {row['unit']} | {_number(row['ours'])} | {_number(row['peer'])} "
            f"| {ratio} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Say what the numbers were measured on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"Measured on {date.today()} with {os.cpu_count()} CPU cores ({platform.machine()}), "
        f"{device}, Python {platform.python_version()}, torch {torch.__version__}."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write(text: str) -> None:
    """Replace the table in README.md. Raises `ValueError` where the marks that enclose it are
    gone.
    """
    before, start, rest = README.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(
            f"{README} lacks the lines {START!r} and {END!r}; put them where the table shall stand"
        )
    README.write_text(f"{before}{START}\n{text}\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="benchmarks to run (default: all)")
    parser.add_argument(
        "--write", action="store_true", help="put the table into benchmarks/README.md"
    )
    arguments = parser.parse_args()
    text = f"{table(collect(arguments.names))}\n\n{machine()}"
    print(text)
    if arguments.write:
        if arguments.names:
            parser.error(
                "--write replaces the whole table, so it runs all benchmarks: leave the names out"
            )
        write(text)


if __name__ == "__main__":
    main()
