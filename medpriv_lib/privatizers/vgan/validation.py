"""What independent judges say of a generator during its training; its curve goes into the card of
the weights.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.trainer import Trainer
from medpriv_lib.privatizers.vgan.training import Row

Judge = Callable[[Images], Tensor]  # levels 0..255 to logits (N, classes)


def validation(
    train: Cohort, val: Cohort, identity: Judge, disease: Judge | None = None, seed: int = 0
) -> Callable[[Generator], Row]:
    """Return a `validate` for `train`: what independent judges, trained on originals, say of
    privatised `val` images.

    Always the same codes' noise and the same random replacement identities. Measured are the shares
    of images in which the judges name the replacement identity, the original identity and the
    source's label.
    """
    pools = Pools.of(train)

    def validate(generator: Generator) -> Row:
        release = PPRLVGAN("random", generator, pools).privatize(
            val, torch.Generator().manual_seed(seed)
        )
        named = identity(release.images).argmax(dim=1).cpu().numpy()
        measured = {
            "replacement": named == release.contributors[:, 0],
            "original": named == val.patient,
        }
        if disease is not None:
            measured["disease"] = (
                disease(release.images).argmax(dim=1).cpu().numpy() == val.diseased
            )
        return {key: round(float(value.mean()), 4) for key, value in measured.items()}

    return validate


def write_weights(
    path: str | Path, trainer: Trainer, train_images: Cohort, cohort: Cohort, command: str
) -> None:
    """Write the averaged generator and the card that says how it was made; `cohort` is the whole
    one, for its hash.

    The card's `config` holds all settings as `training`, its `curve` one row per validation as
    `rounds`, its `metrics` are the last row; `command` is how the training was called. How long it
    took is left out: two equal trainings give equal files.
    """
    rounds = [{key: row[key] for key in row if key != "seconds"} for row in trainer.curve]
    vgan = PPRLVGAN("random", trainer.averaged().cpu(), Pools.of(train_images))
    vgan.save(
        path,
        {
            "kind": vgan.name,
            "data_hash": cohort.hash(),
            "config": {"training": settings_of(trainer.config)},
            "seed": trainer.config.seed,
            "command": command,
            "metrics": rounds[-1] if rounds else {},
            "curve": {"rounds": rounds},
            "private": weights.PRIVATE,
        },
    )


def settings_of(training: Training) -> dict[str, Any]:
    """Return the settings of a training as a card gives them back: plain JSON, tuples as lists."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(training)))
    return settings
