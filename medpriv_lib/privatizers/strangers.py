"""Strangers: invented healthy eyes with open lids, onto which signs of a disease can be laid.

No patient is among them, of this or of any other cohort: they come from random streams of their
own. Each stranger is there with a small and with a wide pupil, in one capture, so that the rubber
sheet never has to stretch far, and so that it hardly shows which of the two was taken.

Rendering two images costs .3 s on one core, drawing from a bank nothing: so a bank ships. It is
public. Who holds it can find the stranger of a release and take him away; what is left are the
signs, which the release shows anyway, and the pupil's size.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.npz import read_npz, write_npz
from medpriv_lib.core.processes import in_processes
from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.frame import FADED, frame_of_eye
from medpriv_lib.data.synthetic.camera import COHORT_CAMERA, Camera
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.render import render
from medpriv_lib.data.synthetic.scene import locate
from medpriv_lib.privatizers.rubber_sheet import iris_radius, rubber_sheet

VERSION = 1
MAKER = "`medpriv_lib.privatizers.strangers.render_strangers(...).save(FILE)`"
STREAM = 17_001  # the first word of every stranger's seed: no cohort and no scene begins with it
PUPILS = ((0.27, 0.36), (0.42, 0.56))  # from and to, of the small and the wide pupil
ONE_SIZE = 0.5  # a pupil that is the same for everybody, in iris radii

STRIP = 11  # rows of the label's strip at the bottom, cut as in every cohort


@dataclass(frozen=True, eq=False)
class Strangers:
    """A bank of strangers.

    `images` uint8 (S, h, h) healthy eyes, prepared as a cohort's are; `ratio` float32 (S,) pupil
    over iris, in nominal iris radii of the frame; `person` int64 (S,) whose image it is, by default
    rows 2k and 2k + 1 are stranger k. Raises `ValueError` for parts that do not fit together.
    """

    images: UInt8[np.ndarray, "s h h"]
    ratio: Float[np.ndarray, " s"]
    person: Int64[np.ndarray, " s"] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        s = len(self.images)
        if self.person is None:
            if s % 2:
                raise ValueError(f"{s} images are not two of each stranger; say whose they are")
            object.__setattr__(self, "person", np.arange(s, dtype=np.int64) // 2)
        square = self.images.ndim == 3 and self.images.shape[1] == self.images.shape[2]
        if not square or self.images.dtype != np.uint8 or s == 0:
            raise ValueError(
                f"strangers are square grey uint8 images (S, h, h), not {self.images.dtype} "
                f"{self.images.shape}"
            )
        if self.ratio.shape != (s,) or self.person.shape != (s,):
            raise ValueError(f"`ratio` and `person` must be ({s},): one entry per image")
        if not ((self.ratio > 0) & (self.ratio < 1)).all():
            raise ValueError("`ratio` is pupil over iris: it lies between 0 and 1")

    def __len__(self) -> int:
        """Return the number of strangers, not of their images."""
        return len(np.unique(self.person))

    @property
    def size(self) -> int:
        """The height and width of an image in px."""
        return int(self.images.shape[1])

    def choose(self, n: int, generator: torch.Generator) -> Int64[np.ndarray, " n"]:
        """Return the numbers of n strangers, in random order, nobody twice: two patients behind one
        face would be taken for one.

        Nothing but `n` and the generator decides: whoever draws for image and twin with the same
        generator's state gets the same strangers for both. Raises `NotApplicable` where the bank
        holds fewer.
        """
        people = np.unique(self.person)
        if n > len(people):
            raise NotApplicable(
                f"{n:,} releases need as many strangers and the bank holds {len(people):,}: nobody "
                f"is shown twice in one set; release at most {len(people):,} images at a time, or "
                f"render a larger bank into the folder of the weights: {MAKER}"
            )
        return people[torch.randperm(len(people), generator=generator)[:n].numpy()]

    def shown(
        self, person: Int64[np.ndarray, " n"], ratio: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n h h"]:
        """Return these strangers with pupils of these sizes: levels, float32 (n, h, h).

        Of a stranger's images the one whose pupil is nearest is stretched. Raises `ValueError` for
        somebody who is not in the bank.
        """
        ratio = np.asarray(ratio, dtype=np.float32)
        away = np.abs(self.ratio[None] - ratio[:, None])
        away[np.asarray(person)[:, None] != self.person[None]] = np.inf
        if len(away) and not np.isfinite(away.min(axis=1)).all():
            raise ValueError(f"strangers are numbered as in the bank, which holds {len(self)}")
        row = away.argmin(axis=1) if len(away) else np.zeros(0, dtype=np.int64)
        sheets = rubber_sheet(
            torch.from_numpy(self.images[row].astype(np.float32)),
            torch.from_numpy(self.ratio[row].astype(np.float32)),
            torch.from_numpy(ratio),
        )
        return sheets.clamp_(0, 255).numpy()

    def draw(
        self, n: int, ratio: Float[np.ndarray, " n"], generator: torch.Generator
    ) -> Float[np.ndarray, "n h h"]:
        """Return n strangers whose pupils have the wanted ratios: levels, float32 (n, h, h).

        Nobody twice within one call. Raises as `choose`, and `ValueError` unless there is one ratio
        for each.
        """
        if np.shape(ratio) != (n,):
            raise ValueError(f"{n} strangers need {n} pupil ratios, not {np.shape(ratio)}")
        return self.shown(self.choose(n, generator), ratio)

    def save(self, path: str | os.PathLike) -> None:
        """Write the bank as one .npz, atomically; packed as differences, which takes half of the
        bytes.

        A second image of a stranger is stored by what it differs in from the first, and that is
        little outside the iris.
        """
        order = np.argsort(self.person, kind="stable")
        images, person = self.images[order], self.person[order]
        later = np.flatnonzero(person[1:] == person[:-1]) + 1
        packed = np.diff(np.diff(images, axis=1, prepend=_ZERO), axis=2, prepend=_ZERO)
        packed[later] = images[later] - images[later - 1]
        arrays: dict[str, object] = {"packed": packed, "ratio": self.ratio[order], "person": person}
        write_npz(path, "strangers", VERSION, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Strangers":
        """Read a bank written by `save`.

        Raises `FileNotFoundError` where there is none, and `ValueError` for a file that is damaged
        or of another kind.
        """
        arrays = read_npz(path, "strangers", VERSION, MAKER)
        try:
            packed, person = arrays["packed"], arrays["person"]
            if packed.dtype != np.uint8:
                raise ValueError(f"packed images of {packed.dtype}")
            images = np.cumsum(np.cumsum(packed, 1, dtype=np.uint8), 2, dtype=np.uint8)
            for row in np.flatnonzero(person[1:] == person[:-1]) + 1:
                images[row] = images[row - 1] + packed[row]
            return cls(images, arrays["ratio"], person)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(
                f"{Path(path)}: the parts of this bank do not fit together ({error}); make it "
                f"again with {MAKER}"
            ) from error


_ZERO = np.uint8(0)


def render_strangers(
    count: int,
    seed: int,
    size: int = 64,
    camera: Camera = COHORT_CAMERA,
    workers: int | None = None,
) -> Strangers:
    """Return a bank of `count` strangers, two images each, cut as the localiser cuts a cohort.

    `camera` photographs them, by default that of the packaged cohorts. The same count and seed give
    the same bank with any number of `workers` (None: all cores). Raises `ValueError` for none.
    """
    if count < 1:
        raise ValueError(f"{count} strangers: take at least one")
    make = partial(_render_pair, seed=seed, size=size, camera=camera)
    pairs = list(in_processes(make, range(count), workers, each=8))
    images, ratios = (np.stack([pair[part] for pair in pairs]) for part in (0, 1))
    return Strangers(images.reshape(2 * count, size, size), ratios.reshape(2 * count))


def _render_pair(
    number: int, seed: int, size: int, camera: Camera
) -> tuple[UInt8[np.ndarray, "2 s s"], Float[np.ndarray, " 2"]]:
    """Return a stranger with a small and with a wide pupil, in one capture and in one frame."""
    for attempt in range(20):
        rng = np.random.default_rng([STREAM, seed, number, attempt])
        who, capture = Identity.draw(rng), Capture.draw(rng)
        capture = replace(
            capture,
            opening=float(rng.uniform(1.05, 1.2)),
            gaze_y=capture.gaze_y / 2,
            camera=camera,
        )
        captures = [replace(capture, pupil_ratio=float(rng.uniform(*span))) for span in PUPILS]
        wholes = [render(who, Pathology(), one)[:-STRIP] for one in captures]
        found = examine(wholes[0])
        if not found.sure or found.eye is None:
            continue  # another stranger: this one no preparation would have found
        frame = frame_of_eye(found.eye, right=False)
        scale = size / frame.side / iris_radius(size)
        radii = [locate(who, Pathology(), one).pupil_r for one in captures]
        return (
            np.stack([frame.cut(whole, size, FADED) for whole in wholes]),
            np.array([radius * scale for radius in radii], dtype=np.float32),
        )
    raise ValueError(
        f"no eye was found in 20 strangers photographed by {camera}: take another camera"
    )
