"""What is measured of disentangled networks during a training, and the card of their weights."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images, to_tensor, to_uint8
from medpriv_lib.privatizers.disentangled.identities import Synthesis, nearness
from medpriv_lib.privatizers.disentangled.losses import RANGE, ssim, swaps
from medpriv_lib.privatizers.disentangled.model import Model, noised, vectors_of
from medpriv_lib.privatizers.disentangled.networks import Networks, Vectors
from medpriv_lib.privatizers.disentangled.probes import KINDS, Known, Probed, probes
from medpriv_lib.privatizers.disentangled.trainer import Trainer
from medpriv_lib.privatizers.disentangled.training import Row
from medpriv_lib.privatizers.replacement import Pools

Names = Callable[[Images], np.ndarray]  # levels 0..255 to numbers of patients (N,)
Ill = Callable[[Images], np.ndarray]  # levels 0..255 to whether they look diseased, bool (N,)
QUICK_STEPS, QUICK_DECAYS = 150, (1e-3,)  # of the probes during a training
STREAM = 5  # of the random choices of a validation: always the same


def validation(
    train: Cohort,
    val: Cohort,
    identity: Names | None = None,
    disease: Ill | None = None,
    probe_every: int = 1,
    spread: float = 0.0,
) -> Callable[[Networks], Row]:
    """Return a `validate` for `training.train`: what independent judges say of `val` images, and
    what the probes read from their vectors.

    Rows hold `psnr` (dB, mean over images) and `ssim` of the reconstructions; of images whose
    identity was swapped for that of a random training image the shares in which the `identity`
    judge names the `donor` or still the `original`, and of those whose medical vector was swapped
    the share in which the `disease` judge says the donor's label (`flipped`, of donors of the other
    label only); `disease`, how often that judge says the source's label of images with a donor's
    identity, both as the mean of the two labels' shares (.5 by guessing); `probe_PART_TARGET` the
    better of both probes, at every `probe_every`-th call. The vectors get the noise `spread` of a
    release, always the same.
    """
    rng = np.random.default_rng(STREAM)
    donor = rng.integers(0, len(train), len(val))
    other = np.array([rng.choice(np.flatnonzero(train.diseased != ill)) for ill in val.diseased])
    calls = [0]

    @torch.no_grad()
    def validate(networks: Networks) -> Row:
        device = next(networks.parameters()).device
        generator = torch.Generator().manual_seed(STREAM)
        ours, theirs = (
            noised(vectors_of(networks, one.images), spread, generator) for one in (val, train)
        )
        target = to_tensor(val.images, device)
        made = _shown(networks, ours)
        error = (made - target).square().flatten(1).mean(dim=1).clamp_min(1e-10)
        row = {
            "psnr": float((10 * torch.log10(RANGE**2 / error)).mean()),
            "ssim": float(ssim(made, target).mean()),
        }
        swapped = to_uint8(_shown(networks, swaps(ours, theirs.rows(donor))[1]))
        if identity is not None:
            said = identity(swapped)
            row["donor"] = float((said == train.patient[donor]).mean())
            row["original"] = float((said == val.patient).mean())
        if disease is not None:
            row["disease"] = _balanced(disease(swapped) == val.diseased, val.diseased)
            ill = disease(to_uint8(_shown(networks, swaps(ours, theirs.rows(other))[0])))
            row["flipped"] = _balanced(ill != val.diseased, val.diseased)
        calls[0] += 1
        if (calls[0] - 1) % probe_every == 0:
            with torch.enable_grad():
                row |= probed(
                    probes(
                        _known(theirs, train), _known(ours, val), KINDS, QUICK_STEPS, QUICK_DECAYS
                    )
                )
        return {key: round(value, 4) for key, value in row.items()}

    return validate


def probed(found: list[Probed]) -> Row:
    """Return `probe_PART_TARGET`, the accuracy of the better kind of probe."""
    row: Row = {}
    for one in found:
        key = f"probe_{one.part}_{one.target}"
        row[key] = max(row.get(key, 0.0), one.accuracy)
    return row


def final_report(
    model: Model,
    train: Cohort,
    held_out: Cohort,
    synthetic: int = 1000,
    seed: int = 0,
    steps: int = 400,
) -> dict[str, Any]:
    """Return, as JSON values, every probe of what a release shows, with its interval and chance,
    and how near `synthetic` identities come to the training patients; `steps` of each probe.
    """
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = (
        noised(vectors_of(model.networks, one.images), model.spread, generator)
        for one in (held_out, train)
    )
    with torch.enable_grad():
        found = probes(_known(theirs, train), _known(ours, held_out), steps=steps)
    lent = model.identities
    drawn = lent.synthetic(synthetic, torch.Generator().manual_seed(seed))
    own = torch.from_numpy(Pools.of(train).numbers(held_out)).to(model.device)
    near = nearness(drawn, lent.centroids, lent.known, ours.identity, own)
    with torch.no_grad():
        codes = torch.randn(synthetic, lent.vae.code, generator=torch.Generator().manual_seed(seed))
        plain = lent.vae.decode(codes.to(model.device))
    bare = nearness(plain, lent.centroids, lent.known, ours.identity, own)
    told = {
        key: round(float(np.median(one)), 4)
        for key, one in (
            ("synthetic", near.synthetic),
            ("own", near.own),
            ("impostor", near.impostor),
        )
        if len(one)
    }
    return {
        "probes": [{k: _short(v) for k, v in asdict(one).items()} for one in found],
        "nearness": {
            "medians": told,
            "limit": round(near.limit, 4),
            "share_under": round(near.share, 4),
            "share_under_without_choice": round(bare.share, 4),
        },
    }


def write_model(
    path: str | Path,
    trainer: Trainer,
    model: Model,
    cohort: Cohort,
    command: str,
    report: dict[str, Any],
    synthesis: Synthesis | None = None,
) -> None:
    """Write the model with the card that says how it was made; `cohort` is the whole one, for its
    hash, `report` that of `final_report`.

    How long it took is left out: two equal trainings give equal files.
    """
    rounds = [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.curve]
    config = json.loads(json.dumps(asdict(trainer.config)))
    last = {k: v for k, v in rounds[-1].items() if not k.startswith("loss_")} if rounds else {}
    card = {
        "data_hash": cohort.hash(),
        "config": {"training": config},
        "seed": trainer.config.seed,
        "command": command,
        "metrics": last | report,
        "curve": {"rounds": rounds},
    }
    model.save(path, card, synthesis)


def _shown(networks: Networks, vectors: Vectors, batch: int = 256) -> Tensor:
    n = len(vectors.medical)
    parts = [networks.generate(vectors.rows(slice(i, i + batch))) for i in range(0, n, batch)]
    return torch.cat(parts)


def _known(vectors: Vectors, cohort: Cohort) -> Known:
    return Known(vectors, cohort.patient, cohort.diseased)


def _balanced(right: np.ndarray, ill: np.ndarray) -> float:
    return float(np.mean([right[ill == label].mean() for label in np.unique(ill)]))


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
