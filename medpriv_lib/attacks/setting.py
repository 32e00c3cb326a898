"""The setting of an attack: the scenes, what is known of the method, the attackers' networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.attacks.attackers import Attackers, Verifier
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.scene import HALVES, Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.privatizers.codes import Coded
from medpriv_lib.privatizers.painting import Painter
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

# what was read in the originals of a cohort, as long as that cohort is in memory
_OF_COHORTS: WeakKeyDictionary[Cohort, dict[Any, Any]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Shared:
    """What was given away as files: all released `images` (N, H, W), the row of the cohort that
    each stands for, `source` (N,), and `order` (N,), the row of the release that each file shows.

    Raises `ValueError` where `order` is no order of these images.
    """

    images: UInt8[np.ndarray, "n h w"]
    source: Int64[np.ndarray, " n"]
    order: Int64[np.ndarray, " n"]

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        n = len(self.images)
        if len(self.source) != n or not np.array_equal(np.sort(self.order), np.arange(n)):
            raise ValueError(f"`order` must hold each of the {n} rows of the release once")


@dataclass(frozen=True, eq=False)
class Setting:
    """All that an attack may ask for; one for a release and all its random draws.

    `scenes` one per draw, the same sources in each; `attackers` trains the networks, on the first
    scene, when an attack asks for them; `method` and `parameters` are those of the release and
    `privatizer` the class of that name, None where it is unknown here; `identity` a recogniser of
    the patients' originals or None; `seed` that of the attacks' own draws; `name` is for the files
    of networks, "" takes `method`; `maker` the method itself, ready to run on images of the
    attacker's own, or None where the attacker has it not; `shared` the files that were given away
    or None; `draw` which scene is under attack. Raises `ValueError` for no scene at all.
    """

    scenes: Sequence[Scene]
    attackers: Attackers
    method: str
    parameters: Mapping[str, Any]
    privatizer: type[Privatizer] | None
    identity: Recogniser | None = None
    seed: int = 0
    name: str = ""
    shared: Shared | None = None
    draw: int = 0
    maker: Privatizer | None = None
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check that there is something to attack."""
        if not self.scenes:
            raise ValueError("a setting needs at least one scene, one per draw of the release")

    def of_draw(self, draw: int) -> "Setting":
        """Return the same setting with another draw under attack; networks and streams are
        shared.
        """
        return replace(self, draw=draw)

    @property
    def scene(self) -> Scene:
        """The draw under attack."""
        return self.scenes[self.draw]

    @property
    def cohort(self) -> Cohort:
        """All originals."""
        return self.scene.cohort

    @property
    def budget(self) -> Budget:
        """What the attackers may spend."""
        return self.attackers.budget

    @property
    def folder(self) -> Path | None:
        """Where finished parts of long attacks are kept, or None."""
        return self.attackers.folder

    @property
    def half(self) -> Int64[np.ndarray, " p"]:
        """Which half each patient is in, (P,): the verifier of one half attacks the other."""
        return self.attackers.half

    def stream(self, name: str) -> np.random.Generator:
        """Return the random numbers of this name; they go on from one attack to the next.

        Attacks that share a stream depend on their order, and on which of them are run. That is
        kept because the published numbers were drawn so: "contributors" serves the contributors
        linked, the membership of images and the homogeneity in this order, "members" the unknown
        member of a mean and then the gallery, "lenders" the retrained attackers of contributors.
        All streams begin with the same seed.
        """
        return self.once(("stream", name), lambda: np.random.default_rng(self.seed))

    @property
    def verifiers(self) -> dict[str, Verifier]:
        """The verifier of each part: trained on the first draw, the first time it is asked for."""
        return self.once(
            "verifiers", lambda: self.attackers.verifiers(self.scenes[0], self.name or self.method)
        )

    @property
    def contributor_verifiers(self) -> dict[str, Verifier]:
        """The verifiers that learned to see who contributed to an image.

        Raises `NotApplicable` where nobody but the source went into the attacker's own releases.
        """
        return self.once(
            "lenders",
            lambda: self.attackers.of_contributors(self.scenes[0], self.name or self.method),
        )

    def released_points(self, part: str, contributors: bool = False) -> Float[np.ndarray, "n d"]:
        """Return the released images as the second tower of a part sees them, (N, D).

        Raises `NotApplicable` where the attacker had fewer than two released images to learn from.
        """
        verifier = (self.contributor_verifiers if contributors else self.verifiers)[part]
        return seen_by(verifier)(self.scene.released)

    def scores(self) -> Float[np.ndarray, "n p"]:
        """Return what the recogniser of originals says of the released images: logits (N, P).

        Raises `NotApplicable` without a recogniser.
        """
        network = self.recogniser
        return self.once(
            ("scores", self.draw), lambda: logits(network, self.scene.released).numpy()
        )

    def named(self, images: UInt8[np.ndarray, "n h w"]) -> Int64[np.ndarray, " n"]:
        """Return whom the recogniser of originals names in each image."""
        return logits(self.recogniser, images).argmax(1).numpy()

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser of the patients. Raises `NotApplicable` where none was given."""
        if self.identity is None:
            raise NotApplicable("no recogniser of these patients was given")
        return self.identity

    @property
    def known_method(self) -> type[Privatizer]:
        """The class of the method. Raises `NotApplicable` where the method is unknown here."""
        if self.privatizer is None:
            raise NotApplicable(f"the method {self.method!r} is not known here")
        return self.privatizer

    @property
    def ready(self) -> Privatizer:
        """The method, ready to run. Raises `NotApplicable` where the attacker has it not."""
        if self.maker is None:
            raise NotApplicable("the attacker cannot run the method")
        return self.maker

    @property
    def coded(self) -> Coded:
        """The generator behind the release. Raises `NotApplicable` where there is none to run."""
        if not isinstance(self.ready, Coded):
            raise NotApplicable("the method shows no image by a code that could be read")
        return self.ready

    @property
    def painter(self) -> Painter:
        """The method, which paints on strangers. Raises `NotApplicable` where it does not."""
        if not isinstance(self.ready, Painter):
            raise NotApplicable("the method paints on no strangers of a public bank")
        return self.ready

    def rng(self) -> np.random.Generator:
        """Return new random numbers from the seed, for an attack that shares none."""
        return np.random.default_rng(self.seed)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what was made under this key, or make it now: for what several attacks share."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def once_per_cohort(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what was made of the originals under this key, or make it now: for what no release
        and no method changes.
        """
        kept = _OF_COHORTS.setdefault(self.cohort, {})
        if key not in kept:
            kept[key] = make()
        return kept[key]


def seen_by(verifier: Verifier) -> Any:
    """Return the second tower. Raises `NotApplicable` where there was nothing to train it on."""
    if verifier.released is None:
        raise NotApplicable("the attackers have fewer than two released images to learn from")
    return verifier.released


def both_halves(verifiers: Mapping[str, Verifier]) -> None:
    """Raise `NotApplicable` unless both halves have a second tower."""
    for part in HALVES:
        seen_by(verifiers[part])
