r"""Train PPRL-VGAN on a cohort, resumable at any moment, and write its weights with their card.

    python data_scripts/train_weights.py --cohort cohort.npz --out weights/ --rounds 4000
    accelerate launch --multi_gpu --num_processes 2 data_scripts/train_weights.py \
        --cohort cohort.npz --out weights/ --resume runs/vgan

The second command trains in two processes, on two GPUs or, where there is none, on the processor
(`--multi_gpu` asks Accelerate for several processes; its `--cpu` would start one alone).
"""

import argparse
import contextlib
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.pixels import Images  # noqa: E402
from medpriv_lib.learning.augment import Augmentation  # noqa: E402
from medpriv_lib.privatizers.vgan.networks import Architecture  # noqa: E402
from medpriv_lib.privatizers.vgan.settings import Training  # noqa: E402
from medpriv_lib.privatizers.vgan.training import train as train_vgan  # noqa: E402
from medpriv_lib.privatizers.vgan.validation import validation, write_weights  # noqa: E402
from medpriv_lib.recognition import train as recognition  # noqa: E402
from medpriv_lib.recognition.learner import Target  # noqa: E402


def judge(
    cohort: Cohort, target: Target, folder: Path, seed: int, epochs: int | None
) -> Callable[[Images], Tensor]:
    """Return an independent judge: a recogniser trained on originals, kept in `folder`; images to
    logits.
    """
    network, _ = recognition.fit_recogniser(
        cohort.of("train"),
        cohort.of("val"),
        target,
        seed=seed,
        epochs=epochs,
        device="cpu",
        resume=folder / target,
    )
    return lambda images: recognition.logits(network, images)


def settings(options: argparse.Namespace, cohort: Cohort) -> tuple[Architecture, Training]:
    """Return the architecture and the training that the options name; --set KEY=VALUE reaches every
    field.
    """
    values: dict[str, dict] = {"architecture": {}, "training": {}, "augmentation": {}}
    kinds = {
        "architecture": Architecture,
        "training": Training,
        "augmentation": Augmentation,
    }
    for text in options.set:
        key, _, value = text.partition("=")
        where = [
            name for name, kind in kinds.items() if key in {field.name for field in fields(kind)}
        ]
        if not where:
            raise ValueError(f"--set {text}: no such setting")
        with contextlib.suppress(ValueError):  # a bare word stays what it is
            value = json.loads(value)
        values[where[0]][key] = tuple(value) if isinstance(value, list) else value
    if values["augmentation"]:
        values["training"]["augmentation"] = Augmentation(**values["augmentation"])
    training = Training(**({"rounds": options.rounds, "seed": options.seed} | values["training"]))
    return Architecture.of(cohort, **values["architecture"]), training


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohort", required=True, help="a file made by `medpriv prepare`")
    parser.add_argument("--out", required=True, help="folder for pprl-vgan.safetensors and .json")
    parser.add_argument("--rounds", type=int, default=Training.rounds)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--resume", help="folder of the checkpoint (default: OUT/pprl-vgan-training)"
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="between two checkpoints")
    parser.add_argument("--threads", type=int, help="processor threads (default: all cores)")
    parser.add_argument(
        "--judge-epochs", type=int, help="epochs of the judges that draw the validation curve"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting"
    )
    options = parser.parse_args()
    try:
        if options.threads:
            torch.set_num_threads(options.threads)
        cohort = Cohort.load(options.cohort)
        folder = Path(options.resume or Path(options.out) / "pprl-vgan-training")
        folder.mkdir(parents=True, exist_ok=True)
        Path(options.out).mkdir(parents=True, exist_ok=True)
        architecture, training = settings(options, cohort)
        return fit(cohort, architecture, training, folder, options)
    except (ValueError, OSError) as error:
        print(f"train_weights: error: {error}", file=sys.stderr)
        return 2


def fit(
    cohort: Cohort,
    architecture: Architecture,
    training: Training,
    folder: Path,
    options: argparse.Namespace,
) -> int:
    """Train, say how it goes, and write the weights."""
    train, started = cohort.of("train"), time.monotonic()
    main_process = int(os.environ.get("RANK", "0")) == 0
    validate = None
    if main_process:  # the others never measure; they wait
        seed, epochs = options.seed + 1, options.judge_epochs
        validate = validation(
            train,
            cohort.of("val"),
            judge(cohort, "identity", folder, seed, epochs),
            judge(cohort, "disease", folder, seed, epochs),
        )
        print(f"judges ready after {time.monotonic() - started:.0f} s", flush=True)

    last = {"round": 0, "seconds": 0.0}

    def report(row: dict) -> None:
        pace = (row["round"] - last["round"]) / max(1e-9, row["seconds"] - last["seconds"])
        last.update(round=row["round"], seconds=row["seconds"])
        line = "  ".join(
            f"{key} {value:.3f}" for key, value in row.items() if key not in ("round", "seconds")
        )
        print(
            f"round {row['round']:6d}  {line}  {pace:.2f} rounds/s  {row['seconds']:.0f} s",
            flush=True,
        )

    trainer = train_vgan(train, architecture, training, folder, validate, options.minutes, report)
    if main_process:
        command = "python " + shlex.join([os.path.relpath(sys.argv[0]), *sys.argv[1:]])
        path = Path(options.out) / "pprl-vgan"
        write_weights(path, trainer, train, cohort, command)
        print(f"{path}.safetensors: written", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
