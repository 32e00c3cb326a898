"""What independent judges say of a generator during its training; its curve goes into the card of
the weights.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.privatizers.vgan.settings import Training
from medpriv_lib.privatizers.vgan.training import Trainer

Judge = Callable[[UInt8[np.ndarray, "n h w"]], Tensor]  # grey levels to logits (N, classes)


def validation(
    train: Cohort, val: Cohort, identity: Judge, disease: Judge | None = None, seed: int = 0
) -> Callable:
    """Return a `validate` for `train`: what independent judges, trained on originals, say of
    privatised `val` images.

    Always the same codes' noise and the same random replacement identities. Measured are the shares
    of images in which the judges name the replacement identity, the original identity and the
    source's label.
    """
    pools = Pools.of(train)

    def validate(generator: Generator) -> dict[str, float]:
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
    `rounds`, its `metrics` are the last row.
    """
    vgan = PPRLVGAN("random", trainer.averaged().cpu(), Pools.of(train_images))
    vgan.save(
        path,
        {
            "kind": "pprl-vgan",
            "data_hash": cohort.hash(),
            "config": {"training": settings_of(trainer.config)},
            "seed": trainer.config.seed,
            "command": command,
            "metrics": trainer.curve[-1] if trainer.curve else {},
            "curve": {"rounds": trainer.curve},
        },
    )


def settings_of(training: Training) -> dict:
    """Return the settings of a training as a card gives them back: plain JSON, tuples as lists."""
    return json.loads(json.dumps(asdict(training)))
