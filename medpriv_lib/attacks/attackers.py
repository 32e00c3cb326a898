"""The attackers' networks: trained once per released set, part of the patients and seed, kept in a
folder.

Whatever is finished is kept under a name that follows from what it was trained on, so that a killed
run goes on where it was, and changed images, settings or seeds train anew. A network is rounded to
half precision as soon as it is trained: kept, shipped or in memory it is the same.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.attacks.budget import FULL, Budget
from medpriv_lib.attacks.contributors.who import lessons
from medpriv_lib.attacks.scene import PARTS, Scene, halves
from medpriv_lib.attacks.towers import (
    Embedder,
    Schedule,
    embed,
    fit_originals,
    fit_released,
    identities,
)
from medpriv_lib.core import weights as store
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import private_folder
from medpriv_lib.core.pixels import size_of
from medpriv_lib.core.precision import halved, in_full
from medpriv_lib.learning.checkpoint import named, part_of

KIND = "attacker"
SHIPPED = "attackers"
FIRST = "blocks.0.0.weight"  # its second axis is the number of channels


COMMAND = "medpriv_lib.attacks.Attackers"  # what a card tells where the caller says nothing
Embed = Callable[[UInt8[np.ndarray, "n h w"]], Float[np.ndarray, "n d"]]


@dataclass(frozen=True, eq=False)
class Verifier:
    """A trained pair of towers: `bank` (R, D) all originals of the cohort as the first one sees
    them, `original` that tower, and `released` the one that was trained on released images (None:
    there was nothing to train it on).
    """

    bank: Float[np.ndarray, "r d"]
    original: Embed
    released: Embed | None


@dataclass(eq=False)
class Attackers:
    """Trains, keeps and finds the networks of the attackers of one cohort and seed.

    `folder` where they are kept (None: nowhere); `budget` how the two towers are trained; `advance`
    is told "trained NAME" or "found NAME" for each; `command` what the cards tell of how they were
    made. With `scratch` the second tower starts from random weights and not from the first: a check
    that the shorter way does not weaken the attacker. The package's networks of originals are taken
    where they are of this cohort, unless `shipped` is False. Raises `NotApplicable` for a cohort of
    fewer than four patients.
    """

    cohort: Cohort
    folder: Path | None = None
    seed: int = 0
    _: KW_ONLY
    budget: Budget = FULL
    scratch: bool = False
    shipped: bool = True
    advance: Callable[[str], None] = lambda what: None
    command: str = COMMAND
    half: Int64[np.ndarray, " p"] = field(init=False)

    def __post_init__(self) -> None:
        """Deal the patients into halves and look for what is there."""
        self.half = halves(self.cohort, self.seed)
        self.eyes = identities(self.cohort)
        self.hash = self.cohort.hash()
        if self.folder is not None:
            self.folder = private_folder(self.folder)
        self._first: dict[str, Embedder] = {}
        self._banks: dict[str, Float[np.ndarray, "r d"]] = {}
        self._shipped = self._read_shipped() if self.shipped else {}

    @property
    def _of_released(self) -> Schedule:
        """The schedule of the second tower."""
        return self.budget.scratch if self.scratch else self.budget.released

    def verifiers(self, scene: Scene, name: str) -> dict[str, Verifier]:
        """Return the verifier of each part for a scene; `name` is for the files and the reader, not
        for finding.
        """
        return {part: self.verifier(scene, name, part) for part in PARTS}

    def verifier(self, scene: Scene, name: str, part: str) -> Verifier:
        """Return the verifier of one part."""
        images, rows = scene.lessons(part, self.half)
        return self._verifier(scene, name, part, images, self.eyes[rows], self.eyes, rows.tolist())

    def of_contributors(self, scene: Scene, name: str) -> dict[str, Verifier]:
        """Return the verifiers, one of each part, that learned to see in a released image who
        contributed to it.

        Raises `NotApplicable` where nobody but the source went into the attacker's own releases.
        """
        name = f"{name}-contributors"
        taught = {part: lessons(scene, part, self.half) for part in PARTS}
        return {
            part: self._verifier(
                scene, name, part, images, who, self.cohort.patient, (name, who.tolist())
            )
            for part, (images, who) in taught.items()
        }

    def _verifier(
        self,
        scene: Scene,
        name: str,
        part: str,
        images: UInt8[np.ndarray, "m h w"],
        whose: Int64[np.ndarray, " m"],
        of_originals: Int64[np.ndarray, " n"],
        told: object,
    ) -> Verifier:
        """Return both towers of a part, the second one taught by `images` and `whose` they are.

        `of_originals` (N,) are the same numbers for the originals; `told` names the lesson, for
        finding it again.
        """
        key, first = self.original(scene, part)
        bank = self._bank(key)
        second = None
        if len(images) >= 2:
            known = scene.originals(part, self.half)
            start = None if self.scratch else first
            made_of = (key, hashlib.sha256(images.tobytes()).hexdigest(), told, self.scratch)
            key = self._key(self._of_released, *made_of)
            second = self._network(
                f"{name}-{part}",
                key,
                self._of_released,
                lambda: fit_released(
                    start,
                    images,
                    whose,
                    bank[known],
                    of_originals[known],
                    self._own_seed(name, part),
                    self._of_released,
                ),
            )
        return Verifier(
            bank, partial(embed, first), None if second is None else partial(embed, second)
        )

    def original(self, scene: Scene, part: str) -> tuple[str, Embedder]:
        """Return the key and the network of the originals that the attacker of a part learned
        from.
        """
        rows = scene.originals(part, self.half)
        key = self._key(self.budget.originals, rows.tolist())
        if key not in self._first:
            self._first[key] = self._network(
                f"originals-{part}",
                key,
                self.budget.originals,
                lambda: fit_originals(
                    self.cohort.images[rows],
                    self.eyes[rows],
                    self._own_seed("originals", part),
                    self.budget.originals,
                ),
            )
        return key, self._first[key]

    def _bank(self, key: str) -> Float[np.ndarray, "r d"]:
        """Return all originals of the cohort as a network of originals sees them."""
        if key not in self._banks:
            self._banks[key] = embed(self._first[key], self.cohort.images)
        return self._banks[key]

    def _network(
        self, name: str, key: str, schedule: Schedule, train: Callable[[], Embedder]
    ) -> Embedder:
        """Return a network: shipped, kept, or trained now and kept."""
        if key in self._shipped:
            return self._shipped[key]
        path = None
        if self.folder is not None:
            path = self.folder / f"{name}-seed-{self.seed}-{key}.safetensors"
        if path is not None and path.is_file():
            network = self._kept(path, key)
            self.advance(f"found {name}")
            return network
        tensors = halved(train().state_dict())
        if path is not None:
            card = self._card(KIND, {"schedule": asdict(schedule), "name": name, "key": key})
            store.save(path, tensors, card)
        self.advance(f"trained {name}")
        return _network_of(tensors, size_of(self.cohort.images))

    def _kept(self, path: Path, key: str) -> Embedder:
        """Return a network that an earlier run kept.

        Raises `ValueError` where the file holds another network than its name says: trained with
        another key (other images, another schedule), on another cohort or with another seed.
        """
        remedy = "delete this one with its card, and the attacker is trained again"
        try:
            tensors, card = store.load(path, KIND)
        except ValueError as error:
            raise ValueError(f"{str(error).removesuffix(f'; {store.REMEDY}')}; {remedy}") from error
        told = {"key": card["config"].get("key"), "cohort": card["data_hash"], "seed": card["seed"]}
        wanted = {"key": key, "cohort": self.hash, "seed": self.seed}
        wrong = [what for what in wanted if told[what] != wanted[what]]
        if wrong:
            raise ValueError(
                f"{path}: holds another attacker than its name says "
                f"({', '.join(f'{what} {told[what]}, not {wanted[what]}' for what in wrong)}); "
                f"files were swapped or renamed: {remedy}"
            )
        return _network_of(tensors, size_of(self.cohort.images))

    def _card(self, kind: str, config: dict) -> dict:
        return {
            "kind": kind,
            "data_hash": self.hash,
            "seed": self.seed,
            "config": config,
            "command": self.command,
            "metrics": {},
            "curve": {},
        }

    def ship(self, scene: Scene, path: str | os.PathLike) -> Path:
        """Write the originals' networks of all parts as one file of weights, which later runs on
        this cohort find.
        """
        tensors: dict[str, torch.Tensor] = {}
        keys = {}
        for part in PARTS:
            keys[part], network = self.original(scene, part)
            tensors |= named(part, halved(network.state_dict()))
        config = {
            "schedule": asdict(self.budget.originals),
            "keys": keys,
            "size": size_of(self.cohort.images),
        }
        return store.save(path, tensors, self._card(SHIPPED, config))

    def _read_shipped(self) -> dict[str, Embedder]:
        """Return the shipped networks by key where they are of this cohort; none where they are
        not.
        """
        try:
            path = store.shipped(SHIPPED)
        except FileNotFoundError:
            return {}
        if store.read_card(path)["data_hash"] != self.hash:
            return {}
        tensors, card = store.load(path, SHIPPED)
        networks = {}
        for part, key in card["config"]["keys"].items():
            networks[key] = _network_of(part_of(tensors, part), card["config"]["size"])
        return networks

    def _key(self, schedule: Schedule, *parts: object) -> str:
        text = repr((self.hash, self.seed, sorted(asdict(schedule).items()), parts))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _own_seed(self, name: str, part: str) -> int:
        digest = hashlib.sha256(f"{self.seed}/{name}/{part}".encode()).digest()
        return int.from_bytes(digest[:4], "big")


def _network_of(tensors: dict[str, torch.Tensor], size: int) -> Embedder:
    """Return the network of a state in half precision, ready to embed."""
    network = Embedder(size, channels=tensors[FIRST].shape[1])
    network.load_state_dict(in_full(tensors))
    return network.to(memory_format=torch.channels_last).eval()
