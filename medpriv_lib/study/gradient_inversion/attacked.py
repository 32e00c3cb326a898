"""One update, attacked: what the site sends, what the attacker makes of it, how it is judged."""

import base64
import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from medpriv_lib.attacks.gradient_inversion import ranks, seen
from medpriv_lib.attacks.gradient_inversion.basis import Basis
from medpriv_lib.attacks.gradient_inversion.gradients import gradients_of
from medpriv_lib.attacks.gradient_inversion.invert import Search, invert
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import Images, to_tensor, to_uint8
from medpriv_lib.core.randomness import fresh, seeded
from medpriv_lib.privatizers.disentangled.losses import ssim
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.views import eye_numbers
from medpriv_lib.study.gradient_inversion.local_steps import local_update
from medpriv_lib.study.gradient_inversion.rows import CLIP, Row


@dataclass(frozen=True, eq=False)
class Court:
    """Who ranks: the judge of eyes, the network that names patients, and the photographs `known`
    to an attacker.
    """

    eyes: EyeJudge
    identity: Recogniser
    known: Cohort

    @cached_property
    def photographs(self) -> Float[np.ndarray, "m d"]:
        """What the network that names patients makes of the attacker's photographs."""
        return ranks.embedded(self.identity, self.known.images)

    def ranks(
        self, images: Images, hidden: Int64[np.ndarray, " n"], *targets: Int64[np.ndarray, " n"]
    ) -> list[dict[str, Float[np.ndarray, " n"]]]:
        """Return, for each list of `targets` (rows of `known`), the place of their eyes by each
        ranking of these images; the attacker does not hold the photographs `hidden`.
        """
        scores = {
            "eye": ranks.eye_scores(self.eyes, images),
            "patient": logits(self.identity, images).numpy(),
            "photograph": ranks.photograph_scores(
                ranks.embedded(self.identity, images), self.photographs, self.known, hidden
            ),
        }
        eye = eye_numbers(self.known)
        names = {"eye": eye, "patient": self.known.patient, "photograph": eye}
        return [
            {key: ranks.rank_of(scores[key], names[key][rows]) for key in scores}
            for rows in targets
        ]


def update_of(
    row: Row,
    network: Recogniser,
    x: Float[Tensor, "n 1 h w"],
    y: Int64[Tensor, " n"],
    noise: float,
    number: int,
    seed: int,
) -> dict[str, Tensor]:
    """Return what the reader of the update sees of these images."""
    if row.sites:
        each = [gradients_of(network, x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
        return seen.mean_of(each)
    if row.steps:
        return local_update(network, x, y, row.steps, row.tool)
    gradients = gradients_of(network, x, y)
    if row.defence == "noise":
        generator = seeded(seed, row.name, number, "noise")
        return seen.noisy(seen.clipped(gradients, CLIP), noise * CLIP, generator)
    return seen.masked(gradients, fresh()) if row.defence == "mask" else gradients


def attacked(
    row: Row,
    networks: tuple[Recogniser, Recogniser],
    court: Court,
    rows: Int64[np.ndarray, " n"],
    others: Int64[np.ndarray, " n"],
    public: Float[Tensor, "m 1 h w"],
    how: Search,
    noise: float,
    number: int,
    seed: int,
    basis: Basis | None = None,
) -> list[dict]:
    """Attack one update of the images in `rows` of the court's cohort; return one record for each.

    `networks`: the site's and the attacker's; `basis` as of `invert`. `others` are rows of other
    patients, one for each: where their eyes stand is the control of an attack on somebody else's
    update.
    """
    x = to_tensor(court.known.images[rows])
    y = torch.from_numpy(court.known.diseased[rows]).long()
    gradients = update_of(row, networks[0], x, y, noise, number, seed)
    generator = seeded(seed, "gradient inversion", "start", row.start, number)
    made = invert(networks[1], gradients, public, generator, count=len(rows), basis=basis, how=how)
    # within a batch the truth says which reconstruction stands for which image
    order = ranks.matched(made.images, x)
    images = to_uint8(made.images[order])
    own, other = court.ranks(images, rows, rows, others)
    near = likeness(images, court.known.images[rows])
    return [
        {
            "row": int(one),
            "patient": int(court.known.patient[one]),
            "labels_right": bool((made.labels == y.sort().values).all()),
            **{f"rank_{key}": float(value[i]) for key, value in own.items()},
            **{f"other_{key}": float(value[i]) for key, value in other.items()},
            **{key: round(float(value[i]), 4) for key, value in near.items()},
            **{f"end_{key}": round(value, 6) for key, value in made.parts.items()},
            "png": as_text(images[i]),
        }
        for i, one in enumerate(rows)
    ]


def likeness(images: Images, true: Images) -> dict[str, Float[np.ndarray, " n"]]:
    """Return peak signal-to-noise ratio (dB) and structural similarity of each pair."""
    a, b = to_tensor(images), to_tensor(true)
    error = (a - b).square().flatten(1).mean(dim=1).clamp_min(1e-10)
    return {"psnr": (10 * torch.log10(4 / error)).numpy(), "ssim": ssim(a, b).numpy()}


def as_text(image: Images) -> str:
    """Return a grey image as a PNG in base64."""
    drawn = io.BytesIO()
    Image.fromarray(image).save(drawn, "PNG", optimize=True)
    return base64.b64encode(drawn.getvalue()).decode()


def from_text(text: str) -> Images:
    """Return the image of `as_text`, uint8 (H, W)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
