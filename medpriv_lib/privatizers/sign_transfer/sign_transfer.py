r"""Sign transfer: the signs of one patient's disease, shown in the eye of somebody who never lived.

A network reads from the source how much (alpha) of what (v) the disease lays over the eye; what is
released is

    s + gain * alpha * (v - s)

on an invented healthy eye s, whose pupil a rubber sheet gives the wanted size. The network is
taught on rendered people who are in no cohort (`scenes`, `losses`), s comes from a bank
(`strangers`). No patient lends anything.

What this does not hide: the layer itself. The bank of strangers is public, so s can be subtracted,
and a faint alpha in a healthy eye tells which image was read. The default `floor` was chosen on
validation images so that at most 2 % of the healthy ones get a layer; at a floor of .05 a tenth or
more of the healthy sources are accepted by whoever holds them (at 1 % false accepts; the chapter on
sign transfer measures both). The floor costs faint signs: an ill eye below it is shown as healthy.
A pupil that is kept gives its source away as well; one of a fixed size tells nothing, and what is
subtracted for the evidence (the release of the twin) has the same. Its size, half the iris, was
chosen on validation images: there the layer's strength is nearest to that of the true signs, and
an expert who fills no table ranks the severity of the ill best.
"""

import copy
import os
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float, UInt8

from medpriv_lib.core import weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import require_images, to_tensor
from medpriv_lib.core.precision import halved, in_full
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.painting import Painting
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer, Resources
from medpriv_lib.privatizers.sign_transfer.fine_tuning import fine_tuned
from medpriv_lib.privatizers.sign_transfer.network import Architecture, Network, mirrored_too
from medpriv_lib.privatizers.strangers import ONE_SIZE, Strangers

PUPILS = ("kept", "freed", "quantised", "fixed")
FOUND = 0.3  # an alpha above this somewhere is a sign that was found
BANK = "strangers"  # a file of the weights' folder
LEAST, MOST = 0.2, 0.72  # what the rubber sheet is asked for
FLOOR = 0.2  # at most 2 % of the healthy validation images of both packaged cohorts exceed it
LOW_FLOOR = 0.05  # of some rows of the study: more faint signs, and more that tells the source


class Signs(NamedTuple):
    """What was read in images: `alpha` 0..1 and `v` in levels 0..255 (N, S, S), float32; `ratio`
    (N,) pupil over iris.
    """

    alpha: Float[np.ndarray, "n s s"]
    v: Float[np.ndarray, "n s s"]
    ratio: Float[np.ndarray, " n"]


class SignTransfer(Privatizer):
    """Lay the signs of the source over an invented eye.

    `pupil` says what becomes of its size: "kept", the source's, as far as it was read; "quantised",
    rounded to multiples of `step`; "freed", the source's where a sign was found and otherwise drawn
    at random; "fixed", `size` for everybody. `gain` multiplies alpha; 1 is what was chosen on
    rendered people. In images where alpha nowhere exceeds `floor`, nothing is laid over at all.
    Strangers and free pupils are drawn before anything of the images is looked at: for the same
    generator's state an image and its twin get the same.
    """

    name = "sign-transfer"
    title = "Sign transfer"
    marker = "D"
    parameters = (
        Parameter("pupil", "freed", "what becomes of the pupil's size", choices=PUPILS),
        Parameter("step", 0.1, "the steps of a quantised pupil, in iris radii", None, 0.02, 0.5),
        Parameter("size", ONE_SIZE, "a fixed pupil's size, in iris radii", None, LEAST, MOST),
        Parameter("gain", 1.0, "how strongly signs are laid over", None, 0.0, 2.0),
        Parameter("floor", FLOOR, "alpha that an image must exceed somewhere", None, 0.0, 1.0),
    )
    needs = "weights"
    public = True
    compared = tuple(
        Compared(title, {"pupil": pupil, "floor": floor}, random=True, needs_visits=True)
        for title, pupil, floor in (
            ("pupil freed where no sign is found", "freed", LOW_FLOOR),
            ("pupil kept", "kept", LOW_FLOOR),
            ("pupil in steps of a tenth", "quantised", LOW_FLOOR),
            ("pupil of one size", "fixed", FLOOR),
            ("pupil freed, faint signs left out", "freed", FLOOR),
        )
    )

    def __init__(
        self,
        pupil: str = "freed",
        step: float = 0.1,
        gain: float = 1.0,
        floor: float = FLOOR,
        network: Network | None = None,
        calibration: float = 1.0,
        strangers: Strangers | None = None,
        size: float = ONE_SIZE,
    ) -> None:
        """Without a network the method has to be loaded first.

        `calibration` is the gain that validation chose for the network; `strangers` the bank, None
        for the shipped one that fits the cohort.
        """
        self.check({"pupil": pupil, "step": step, "size": size, "gain": gain, "floor": floor})
        self.pupil, self.step, self.size, self.gain, self.floor = pupil, step, size, gain, floor
        self._network, self.calibration, self.strangers = network, calibration, strangers

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method over the network that is trained, in the weights' folder, or shipped.

        The shipped one knows no patient of any cohort, so it also serves where the folder has none.
        """
        if cls.name in resources.trained:
            trained: SignTransfer = resources.trained[cls.name]
        else:
            folder = resources.weights
            own = None if folder is None else folder / f"{cls.name}.safetensors"
            trained = cls.load(own if own and own.is_file() else weights.shipped(cls.name))
        bank: Strangers | None = resources.trained.get(BANK, trained.strangers)
        if bank is None and resources.weights and (resources.weights / f"{BANK}.npz").is_file():
            bank = Strangers.load(resources.weights / f"{BANK}.npz")
        return cls(
            **settings, network=trained.network, calibration=trained.calibration, strangers=bank
        )

    @property
    def most(self) -> int | None:
        """How many strangers there are: nobody is shown twice in one release."""
        return len(shipped_strangers() if self.strangers is None else self.strangers)

    @property
    def network(self) -> Network:
        """The trained network. Raises `ValueError` before `load`."""
        if self._network is None:
            raise ValueError(
                "sign transfer has no network yet: call `load`, or `ready` for the one that ships"
            )
        return self._network

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device, in place, and return the method itself."""
        self.network.to(device)
        return self

    def fit(self, train: Cohort, **options: Any) -> Self:
        """Fine-tune on somebody's own images and return the method itself; options as of
        `fine_tuning.fine_tuned`, which says what can be learned without twins and what cannot.

        Nothing of the images can be released by this: the network's output has its meaning only
        over a stranger.
        """
        self._require(train.images)
        self._network = fine_tuned(self.network, train, **options)
        return self

    @torch.no_grad()
    def read(self, images: UInt8[np.ndarray, "n s s"]) -> Signs:
        """Return the signs of the images, alpha before any gain.

        Raises `NotApplicable` for images of another size than the network's, and for colours.
        """
        self._require(images)
        device = next(self.network.parameters()).device
        part = 1024 if device.type == "cuda" else 32  # so few stay in a processor's cache
        parts = []
        for start in range(0, len(images), part):
            reading = mirrored_too(self.network, to_tensor(images[start : start + part], device))
            parts.append([one.float().cpu() for one in reading])
        if not parts:
            empty = np.zeros(images.shape, np.float32)
            return Signs(empty, empty, np.zeros(0, np.float32))
        alpha, v, ratio = (torch.cat(one).numpy() for one in zip(*parts, strict=True))
        return Signs(alpha[:, 0], (v[:, 0] + 1) * np.float32(127.5), ratio)

    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return one invented eye per image, with the image's signs; nobody contributes.

        Raises `NotApplicable` for images of another size or in colours.
        """
        n = len(cohort)
        bank = self.bank(cohort)
        who = bank.choose(n, generator)
        least, most = float(bank.ratio.min()), float(bank.ratio.max())
        free = least + (most - least) * torch.rand(n, generator=generator).numpy()
        signs = self.read(cohort.images)
        found = signs.alpha.max(axis=(1, 2), initial=0) > FOUND
        ratio = self._pupils(signs.ratio, found, free)
        images = self.blended(signs, bank.shown(who, ratio))
        return Release(
            images=images,
            source=np.arange(n, dtype=np.int64),
            contributors=np.empty((n, 0), dtype=np.int64),
            method=self.name,
            parameters=self.settings,
        )

    def blended(
        self, signs: Signs, strangers: Float[np.ndarray, "n s s"]
    ) -> UInt8[np.ndarray, "n s s"]:
        """Return s + gain alpha (v - s), rounded; where alpha is 0, s itself."""
        alpha = self._opacity(signs)
        blended = strangers + alpha * (signs.v - strangers)
        return np.clip(np.rint(blended), 0, 255).astype(np.uint8)

    def painting(self, cohort: Cohort) -> Painting:
        """Return what would be painted for each image, as of `painting.Painter`.

        A freed pupil is given as it was read: where a sign was found it is shown so.
        """
        bank, signs = self.bank(cohort), self.read(cohort.images)
        alpha = self._opacity(signs)
        ratio = self._pupils(signs.ratio, np.ones(len(alpha), dtype=bool), signs.ratio)
        return Painting(bank, alpha, alpha * signs.v, ratio)

    def _opacity(self, signs: Signs) -> Float[np.ndarray, "n s s"]:
        """Return alpha as it is painted: with the gain, and 0 in images below the floor."""
        alpha = np.clip(self.gain * self.calibration * signs.alpha, 0, 1).astype(np.float32)
        alpha[signs.alpha.max(axis=(1, 2), initial=0) <= self.floor] = 0
        return alpha

    def bank(self, cohort: Cohort) -> Strangers:
        """Return the bank that was given, else the shipped one: as the packaged cohorts' camera
        shows strangers.

        Raises `NotApplicable` where they have another size than the images.
        """
        self._require(cohort.images)
        bank = self.strangers
        if bank is None:
            bank = shipped_strangers()
        if bank.size != cohort.images.shape[1]:
            raise NotApplicable(
                f"the strangers have {bank.size} px, the images {cohort.images.shape[1]}: render a "
                "bank of that size"
            )
        return bank

    def _pupils(
        self, ratio: np.ndarray, found: np.ndarray, free: np.ndarray
    ) -> Float[np.ndarray, " n"]:
        """Return the sizes of the pupils that are shown."""
        if self.pupil == "quantised":
            ratio = np.rint(ratio / self.step) * self.step
        elif self.pupil == "freed":
            ratio = np.where(found, ratio, free)
        elif self.pupil == "fixed":
            ratio = np.full_like(ratio, self.size)
        return np.clip(ratio, LEAST, MOST).astype(np.float32)

    def _require(self, images: np.ndarray) -> None:
        try:
            require_images(images, self.network.architecture.size, 1, "sign transfer")
        except ValueError as error:
            raise NotApplicable(str(error)) from error

    def save(self, path: str | os.PathLike, card: dict[str, Any]) -> None:
        """Write the network (float16); `card` says how it was made."""
        network = self.network
        told = {"architecture": asdict(network.architecture), "gain": self.calibration}
        weights.save(path, halved(network.state_dict()), {**card, **told})

    @classmethod
    def load(
        cls, path: str | os.PathLike, device: str | torch.device = "cpu", **settings: Any
    ) -> "SignTransfer":
        """Read weights written by `save`; what is computed with them is float32. Errors as of
        `weights.load`.
        """
        tensors, card = weights.load(path, cls.name)
        with weights.fitting(path):
            network = Network(Architecture(**card["architecture"]))
            network.load_state_dict(in_full(tensors))
            calibration = float(card["gain"])
        return cls(**settings, network=network.to(device).eval(), calibration=calibration)

    def halved(self) -> "SignTransfer":
        """Return the method as it will be after `save` and `load`: its weights rounded to
        float16.
        """
        other = copy.copy(self)
        other._network = copy.deepcopy(self.network)
        other._network.load_state_dict(in_full(halved(other._network.state_dict())))
        return other


@cache
def shipped_strangers() -> Strangers:
    """Return the bank that comes with the package. Raises `FileNotFoundError` where it is
    missing.
    """
    path: Path = weights.FOLDER / f"{BANK}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such bank of strangers; install medpriv again, or pass "
            "`strangers=render_strangers(...)`"
        )
    return Strangers.load(path)
