"""Try several settings of disentanglement side by side, as processes on one GPU, and print a line
for each.

    python data_scripts/sweep_disentangled.py --cohort crossed --out sweep/ --minutes 6 \
        --device cuda [--judges FOLDER] [--only base,published] [--add "name: rate=1e-3 noise=.2"]

Every process measures its pace while all others run, and plans as many rounds as fit into the
minutes, so that every setting sees its whole schedule. Columns: rounds, PSNR and SSIM of the
reconstruction, the share of images with a swapped identity in which the development judge names
the donor and still the original, balanced accuracy of the disease after that swap, share flipped by
the other label's medical vector, and what the probes read: the patient (in chances) and the label
from each vector.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import torch  # noqa: E402
from train_disentangled import (  # noqa: E402
    add_options,
    cohort_of,
    judges,
    line,
    settings,
)

from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.privatizers.disentangled.model import Model  # noqa: E402
from medpriv_lib.privatizers.disentangled.networks import Architecture  # noqa: E402
from medpriv_lib.privatizers.disentangled.settings import Training  # noqa: E402
from medpriv_lib.privatizers.disentangled.trainer import Trainer  # noqa: E402
from medpriv_lib.privatizers.disentangled.training import train as train_networks  # noqa: E402
from medpriv_lib.privatizers.disentangled.validation import (  # noqa: E402
    final_report,
    validation,
)

TRIED = {
    "base": "",
    "published": "--published --set normalise=false --set pool=average --set norm=batch "
    "--set medical=256 --set Architecture.identity=256 --set other=256",
    "faster": "--set rate=1e-3",
    "strong-swap": "--set swapped=1.0",
    "strong-reversal": "--set reverse_patient=5.0 --set reverse_label=1.0",
    "narrow": "--set medical=8 --set other=16 --set noise=0.4",
    "no-frozen": "--set named=0",
    "batch-norm": "--set norm=batch",
}
WARM, TIMED = 20, 30  # rounds before and while the pace is taken
USED = 0.8  # of the minutes: the rest is for validation and probes
GRACE = 150  # seconds after the minutes before a process is ended
VALIDATIONS = 4
PROBE_STEPS = 150


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--out", required=True, help="folder for logs and curves")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--only", default="", help="names of settings, separated by commas")
    parser.add_argument(
        "--add", action="append", default=[], metavar="NAME: KEY=VALUE ...", help="another setting"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)  # the child: the name of its setting
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    if options.one:
        return one(options, out / options.one)
    tried = dict(TRIED)
    for text in options.add:
        name, _, rest = text.partition(":")
        tried[name.strip()] = " ".join(f"--set {word}" for word in rest.split())
    chosen = [name for name in options.only.split(",") if name] or list(tried)
    unknown = [name for name in chosen if name not in tried]
    if unknown:
        print(f"sweep: error: no such setting: {', '.join(unknown)}", file=sys.stderr)
        return 2
    judges(cohort_of(options.cohort), options, out)  # once, before all need them
    return one_file(options, out, {name: tried[name] for name in chosen})


def one_file(options: argparse.Namespace, out: Path, tried: dict[str, str]) -> int:
    """Run all settings at once, and print a line for each as it ends."""
    threads = str(max(1, (os.cpu_count() or 1) // len(tried)))
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    running = {}
    for name, words in tried.items():
        command = [sys.executable, __file__, *sys.argv[1:], *shlex.split(words), "--one", name]
        with open(out / f"{name}.log", "w", encoding="utf-8") as log:
            running[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
    end, failed = time.monotonic() + 60 * options.minutes + GRACE, 0
    while running:
        time.sleep(0.5)
        for name, process in list(running.items()):
            late = time.monotonic() > end
            if process.poll() is None and not late:
                continue
            if process.poll() is None:
                process.terminate()
                process.wait()
            failed += process.returncode != 0
            print(told(name, out, process.returncode), flush=True)
            del running[name]
    return 1 if failed else 0


def told(name: str, out: Path, code: int) -> str:
    """Return the line of a setting: its figures, or the end of its log."""
    file = out / name / "result.json"
    if code or not file.is_file():
        lines = (out / f"{name}.log").read_text(encoding="utf-8").splitlines()
        return f"{name:16s} ended with {code}: {lines[-1] if lines else 'no word'}"
    result = json.loads(file.read_text(encoding="utf-8"))
    row, shown = result["row"], [f"{name:16s} {result['row']['round']:6d} rounds"]
    for key in ("psnr", "ssim", "donor", "original", "disease", "flipped"):
        shown.append(f"{key} {row[key]:.3f}" if key in row else f"{key} -")
    best: dict[tuple[str, str], tuple[float, float]] = {}
    for each in result["report"]["probes"]:
        where = each["part"], each["target"]
        best[where] = max(best.get(where, (0.0, 1.0)), (each["accuracy"], each["chance"]))
    for (part, target), (accuracy, chance) in best.items():
        short = f"{accuracy / chance:.1f}x" if target == "patient" else f"{accuracy:.2f}"
        shown.append(f"{target[0]}({part[0]}) {short}")
    near = result["report"]["nearness"]
    return "  ".join([*shown, f"near {near['share_under_without_choice']:.2f}"])


def one(options: argparse.Namespace, folder: Path) -> int:
    """Train one setting for the minutes, and write what came out."""
    folder.mkdir(parents=True, exist_ok=True)
    cohort = cohort_of(options.cohort)
    train, val = cohort.of("train"), cohort.of("val")
    architecture, training, synthesis = settings(options, train)
    training = planned(train, architecture, training, options, folder)
    validate = validation(
        train, val, *judges(cohort, options, folder.parent), spread=training.noise
    )
    trainer = train_networks(
        train,
        architecture,
        training,
        None,
        validate,
        options.device,
        report=lambda row: print(line(row), flush=True),
    )
    model = Model.of(trainer.averaged(), train, training.form, val, synthesis, training.noise)
    report = final_report(model, train, val, steps=PROBE_STEPS)
    write_json(
        folder / "result.json",
        {"row": trainer.curve[-1], "curve": trainer.curve, "report": report},
    )
    return 0


def planned(
    train: Cohort,
    architecture: Architecture,
    training: Training,
    options: argparse.Namespace,
    folder: Path,
) -> Training:
    """Return the training with as many rounds as fit into the minutes at the pace found now."""
    trial = replace(training, rounds=WARM + TIMED, alone=0.0, ramp=0.0)
    trainer = Trainer(train, architecture, trial, options.device, folder)
    for _ in range(WARM):
        trainer.step()
    settled(options.device)
    start = time.monotonic()
    for _ in range(TIMED):
        trainer.step()
    settled(options.device)
    pace = (time.monotonic() - start) / TIMED
    rounds = max(10, int(USED * 60 * options.minutes / pace))
    print(f"{pace:.4f} s a round, {rounds} rounds", flush=True)
    return replace(training, rounds=rounds, validate_every=max(1, rounds // VALIDATIONS))


def settled(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
