"""Train disentangled networks on a cohort, resumable at any moment, and write their weights.

    python data_scripts/train_disentangled.py --cohort cohort.npz --out weights/ --form closed \
        --rounds 20000 --device cuda
    python data_scripts/train_disentangled.py --cohort cohort.npz --out weights/ --form closed \
        --set swap=none --set named=0 --name disentangled-plain --device cuda

Stopped at any point, the same command goes on from there. The validation curve is drawn by judges
that take no part in the training: the development judges of `--judges FOLDER`
(`eye-judge-development`, `expert-development`), or recognisers trained here on the training images.
"""

import argparse
import contextlib
import json
import os
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also without an installed package

import numpy as np  # noqa: E402
import torch  # noqa: E402

from medpriv_lib.core.cohort import Cohort  # noqa: E402
from medpriv_lib.core.files import write_json  # noqa: E402
from medpriv_lib.core.pixels import Images  # noqa: E402
from medpriv_lib.learning.augment import Augmentation  # noqa: E402
from medpriv_lib.privatizers.disentangled.identities import Synthesis  # noqa: E402
from medpriv_lib.privatizers.disentangled.model import Model  # noqa: E402
from medpriv_lib.privatizers.disentangled.networks import Architecture  # noqa: E402
from medpriv_lib.privatizers.disentangled.settings import (  # noqa: E402
    FORMS,
    PUBLISHED,
    Training,
)
from medpriv_lib.privatizers.disentangled.training import train as train_networks  # noqa: E402
from medpriv_lib.privatizers.disentangled.validation import (  # noqa: E402
    Ill,
    Names,
    final_report,
    validation,
    write_model,
)
from medpriv_lib.recognition.expert import DEVELOPMENT_NAME as EXPERT  # noqa: E402
from medpriv_lib.recognition.expert import Expert  # noqa: E402
from medpriv_lib.recognition.eye_judge import DEVELOPMENT_NAME as EYE  # noqa: E402
from medpriv_lib.recognition.eye_judge import EyeJudge  # noqa: E402
from medpriv_lib.recognition.learner import Target  # noqa: E402
from medpriv_lib.recognition.train import fit_recogniser, logits  # noqa: E402

JUDGE_SEED, JUDGE_EPOCHS = 1, 40


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--out", required=True, help="folder for the weights and their card")
    parser.add_argument("--name", help="of the weights (default: disentangled-FORM)")
    parser.add_argument("--resume", help="folder of the checkpoint (default: OUT/NAME-training)")
    parser.add_argument("--minutes", type=float, default=3.0, help="between two checkpoints")
    options = parser.parse_args()
    try:
        cohort = cohort_of(options.cohort)
        name = options.name or f"disentangled-{options.form}"
        folder = Path(options.resume or Path(options.out) / f"{name}-training")
        folder.mkdir(parents=True, exist_ok=True)
        Path(options.out).mkdir(parents=True, exist_ok=True)
        architecture, training, synthesis = settings(options, cohort.of("train"))
        return fit(cohort, architecture, training, synthesis, folder, name, options)
    except (ValueError, OSError) as error:
        print(f"train_disentangled: error: {error}", file=sys.stderr)
        return 2


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cohort", required=True, help="a file made by `medpriv prepare`, or default, confounded, "
        "crossed: a cohort that ships"
    )  # fmt: skip
    parser.add_argument("--form", choices=FORMS, default="closed")
    parser.add_argument("--rounds", type=int, default=Training.rounds)
    parser.add_argument("--width", type=int, default=Architecture.width)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--judges", help="folder of the development judges")
    parser.add_argument("--published", action="store_true", help="start from the authors' settings")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting"
    )


def cohort_of(name: str) -> Cohort:
    """Return a cohort that ships, or one of a file."""
    if name == "default":
        from medpriv_lib.data.packaged import default_cohort

        return default_cohort()
    if name in ("confounded", "crossed"):
        from medpriv_lib.data.packaged import packaged_cohort

        return packaged_cohort(name)
    return Cohort.load(name)


def settings(
    options: argparse.Namespace, train: Cohort
) -> tuple[Architecture, Training, Synthesis]:
    """Return what the options name; --set KEY=VALUE reaches every field of all three.

    Those of the identities' autoencoder are written with their class, `Synthesis.rounds=100`, and
    where the other two share a name, that one too: `Architecture.identity=64`.
    """
    kinds = {"Architecture": Architecture, "Training": Training, "Synthesis": Synthesis}
    values: dict[str, dict] = {name: {} for name in kinds}
    for text in options.set:
        key, _, value = text.partition("=")
        home, _, field = key.rpartition(".")
        where = [
            name
            for name, kind in kinds.items()
            if (home == name or (not home and name != "Synthesis"))
            and field in {one.name for one in fields(kind)}
        ]
        if len(where) != 1:
            both = " or ".join(f"{name}.{field}" for name in where)
            raise ValueError(f"--set {text}: " + (f"say {both}" if both else "no such setting"))
        with contextlib.suppress(ValueError):  # a bare word stays what it is
            value = json.loads(value)
        values[where[0]][field] = _typed(value)
    given = PUBLISHED[options.form] if options.published else {"form": options.form}
    told = {"rounds": options.rounds, "seed": options.seed}
    training = Training(**(given | told | values["Training"]))
    architecture = Architecture.of(train, **({"width": options.width} | values["Architecture"]))
    synthesis = Synthesis(**({"seed": options.seed} | values["Synthesis"]))
    return architecture, training, synthesis


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        return Augmentation(**value)
    return tuple(value) if isinstance(value, list) else value


def judges(cohort: Cohort, options: argparse.Namespace, folder: Path) -> tuple[Names, Ill]:
    """Return who names patients and who says what is ill: the development judges of a folder, and
    what it lacks as recognisers trained here.
    """
    there = Path(options.judges) if options.judges else folder
    names: Names | None = None
    ill: Ill | None = None
    if (there / f"{EYE}.safetensors").is_file():
        eye = EyeJudge.load(there / EYE, cohort, development=True).to(options.device)
        names = lambda images: eye.named(images)[:, -1] // 2  # noqa: E731
    if (there / f"{EXPERT}.safetensors").is_file():
        expert = Expert.load(there / EXPERT, development=True).to(options.device)
        ill = expert.ill
    return names or recogniser(cohort, "identity", options, folder), ill or recogniser(
        cohort, "disease", options, folder
    )


def recogniser(cohort: Cohort, target: Target, options: argparse.Namespace, folder: Path) -> Names:
    train, val = cohort.of("train"), cohort.of("val")
    shared = np.isin(val.patient, train.patient).all()
    network, _ = fit_recogniser(
        train,
        val if target == "disease" or shared else None,
        target,
        seed=JUDGE_SEED,
        epochs=JUDGE_EPOCHS,
        device=options.device,
        progress=False,
        resume=folder / f"judge-{target}",
    )

    def read(images: Images) -> np.ndarray:
        found = logits(network, images).argmax(1).numpy()
        return found.astype(bool) if target == "disease" else found

    return read


def line(row: dict) -> str:
    """Return a row of the curve in one line: what was measured, then the losses."""
    shown = [f"round {row['round']:6d}", f"{row['seconds']:.0f} s"]
    keys = [key for key in row if key not in ("round", "seconds")]
    keys.sort(key=lambda key: key.startswith("loss_"))
    return "  ".join(shown + [f"{key.replace('loss_', '')} {row[key]:.3f}" for key in keys])


def fit(
    cohort: Cohort,
    architecture: Architecture,
    training: Training,
    synthesis: Synthesis,
    folder: Path,
    name: str,
    options: argparse.Namespace,
) -> int:
    """Train, say how it goes, and write the weights with their card, and the curve."""
    train, val = cohort.of("train"), cohort.of("val")
    validate = validation(train, val, *judges(cohort, options, folder), spread=training.noise)

    def report(row: dict) -> None:
        print(line(row), flush=True)

    trainer = train_networks(
        train, architecture, training, folder, validate, options.device, options.minutes, report
    )
    model = Model.of(trainer.averaged(), train, training.form, val, synthesis, training.noise)
    found = final_report(model, train, val)
    for one in found["probes"]:
        print(
            f"{one['part']:9s}{one['target']:8s}{one['kind']:8s} {one['accuracy']:.3f} "
            f"[{one['low']:.3f}, {one['high']:.3f}], chance {one['chance']:.3f}"
        )
    print(found["nearness"])
    command = "python " + shlex.join([os.path.relpath(sys.argv[0]), *sys.argv[1:]])
    path = Path(options.out) / name
    write_model(path, trainer, model, cohort, command, found, synthesis)
    write_json(folder / "curve.json", {"rounds": trainer.curve, "report": found})
    print(f"{path}.safetensors: written; {trainer.seconds / training.rounds:.3f} s a round")
    return 0


if __name__ == "__main__":
    sys.exit(main())
