r"""Train sign transfer: render the scenes or read them, train, measure, write weights and figures.

python data_scripts/train_sign_transfer.py --out FOLDER --device cuda --seed 0 --scenes 3000 \
    --steps 6000 --workers 16

Scenes go to --scenes-in (default: FOLDER/scenes) and are rendered once for all seeds. A killed run
goes on from its checkpoint in FOLDER/training-SEED, to the same end. FOLDER/sign-transfer-SEED gets
weights and card, FOLDER/sign-transfer-SEED-figures.json every figure: by kind of sign and strength,
by family of cameras, in families that were held out, under zoom, gamma, blur and noise, beside the
ceiling, the stencil and the average sign, and what an opponent finds of the source. The gain is
chosen on simulated validation people. --set changes an option of the training or of the network,
--strangers N also renders the bank that ships (FOLDER/strangers.npz).
"""

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import torch  # noqa: E402

from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.data.synthetic.camera import COHORT_CAMERA  # noqa: E402
from medpriv_lib.privatizers.sign_transfer import scenes as rendered  # noqa: E402
from medpriv_lib.privatizers.sign_transfer import validation  # noqa: E402
from medpriv_lib.privatizers.sign_transfer.leakage import leakage  # noqa: E402
from medpriv_lib.privatizers.sign_transfer.losses import Weights  # noqa: E402
from medpriv_lib.privatizers.sign_transfer.network import Architecture, Network  # noqa: E402
from medpriv_lib.privatizers.sign_transfer.sign_transfer import SignTransfer  # noqa: E402
from medpriv_lib.privatizers.sign_transfer.training import Training, digest, train  # noqa: E402
from medpriv_lib.privatizers.strangers import render_strangers  # noqa: E402

SHOWN = ("e", "e_image", "e_dark", "e_weak", "auc", "added", "touched", "pupil")


def options_of(options: argparse.Namespace) -> tuple[Architecture, Training]:
    """Return network and training with what --set names; weights of the loss as weights.NAME."""
    given: dict[str, dict] = {"network": {}, "training": {}, "weights": {}}
    kinds = {"network": Architecture, "training": Training, "weights": Weights}
    for item in options.set:
        key, _, value = item.partition("=")
        plain = key.removeprefix("weights.")
        kind = "weights" if key.startswith("weights.") else None
        for name, cls in kinds.items():
            if kind in (None, name) and plain in {field.name for field in fields(cls)}:
                given[name][plain] = json.loads(value)
                break
        else:
            raise ValueError(f"--set {item}: no such option of the network or the training")
    training = Training(
        steps=options.steps,
        seed=options.seed,
        weights=Weights(**given["weights"]),
        **given["training"],
    )
    return Architecture(**given["network"]), training


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--scenes", type=int, default=3000, help="to teach on")
    parser.add_argument("--scenes-in", type=Path, help="folder of the scenes")
    parser.add_argument("--scenes-seed", type=int, default=0)
    parser.add_argument("--unseen", type=int, default=360, help="validation scenes of each part")
    parser.add_argument("--steps", type=int, default=Training.steps)
    parser.add_argument("--workers", type=int, help="processes that render (default: all cores)")
    parser.add_argument("--leak-steps", type=int, default=600, help="of the opponent's training")
    parser.add_argument("--minutes", type=float, default=2.0, help="between two checkpoints")
    parser.add_argument("--strangers", type=int, default=0, help="render a bank of so many")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        return fit(options)
    except (ValueError, OSError) as error:
        print(f"train_sign_transfer: error: {error}", file=sys.stderr)
        return 2


def fit(options: argparse.Namespace) -> int:
    """Render, train, measure, write."""
    architecture, config = options_of(options)
    bank(options)
    started = time.monotonic()
    folder = options.scenes_in or options.out / "scenes"

    def part(count: int, name: rendered.Part) -> rendered.Scenes:
        return rendered.render_scenes(
            count, options.scenes_seed, name, folder, architecture.size, options.workers
        )

    taught, unseen = part(options.scenes, "train"), part(options.unseen, "val")
    held_out = part(options.unseen, "held-out")
    print(f"scenes ready after {time.monotonic() - started:.0f} s", flush=True)

    def validate(network: Network) -> dict[str, float]:
        found = validation.read(network, unseen, options.device)
        outside = validation.read(network, held_out, options.device)
        row = validation.figures(found, unseen)
        away = validation.figures(outside, held_out)
        return row | {f"held_out_{key}": value for key, value in away.items()}

    def report(row: dict[str, float]) -> None:
        shown = "  ".join(f"{key} {row[key]:.3f}" for key in SHOWN)
        beside = "  ".join(f"{key} {row[f'held_out_{key}']:.3f}" for key in ("e", "added"))
        pace = 1000 * row["seconds"] / row["step"]
        print(
            f"step {row['step']:6.0f}  {shown}  held out: {beside}  {pace:.1f} ms/step", flush=True
        )

    trainer = train(
        taught,
        architecture,
        config,
        options.device,
        options.out / f"training-{options.seed}",
        validate,
        options.minutes,
        report,
    )
    network = trainer.averaged()
    own = unseen.take(unseen.camera == "cohort")
    chosen_on = own if own.evidence[:, :2].any() else unseen
    found = validation.read(network, chosen_on, options.device)
    gain = validation.best_gain(found, chosen_on)
    of_validation = validation.report(network, unseen, options.device, gain)
    of_held_out = validation.report(network, held_out, options.device, gain)
    leaked = leakage(network, taught, unseen, options.device, gain, options.leak_steps)
    figures = {
        "gain": gain,
        "validation": of_validation,
        "held out": of_held_out,
        "leakage": leaked,
        "seconds": trainer.seconds,
        "milliseconds per step": 1000 * trainer.seconds / config.steps,
        "config": asdict(config),
        "architecture": asdict(architecture),
        "curve": trainer.curve,
    }
    path = options.out / f"sign-transfer-{options.seed}"
    write_json(path.with_name(path.name + "-figures.json"), figures)
    card = {
        "kind": SignTransfer.name,
        "data_hash": digest(taught),
        "config": asdict(config) | {"scenes": options.scenes, "scenes_seed": options.scenes_seed},
        "seed": options.seed,
        "command": "python " + shlex.join(["data_scripts/train_sign_transfer.py", *sys.argv[1:]]),
        "metrics": of_validation["all"] | leaked,
        "curve": {str(row["step"]): row for row in trainer.curve},
    }
    network = network.to(memory_format=torch.contiguous_format)
    method = SignTransfer(network=network.to("cpu"))
    method.calibration = gain
    method.save(path, card)
    print(f"gain {gain}", {key: round(value, 3) for key, value in leaked.items()})
    print(f"{path}.safetensors: written", flush=True)
    return 0


def bank(options: argparse.Namespace) -> None:
    """Render the bank of strangers that is asked for, if it is not there yet."""
    path, count = options.out / "strangers.npz", options.strangers
    if count and not path.is_file():
        render_strangers(count, 1, camera=COHORT_CAMERA, workers=options.workers).save(path)
        print(f"{path}: {count} strangers, {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
