"""The one class that every method fits: what it declares, and the verbs `fit` and `privatize`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.randomness import fresh
from medpriv_lib.core.release import Given, Release

Needs = Literal["nothing", "patients", "weights"]
AveragesFrom = Literal["train", "given"]


@dataclass(frozen=True)
class Parameter:
    """One setting of a method, as the command line, a report and a file name it.

    `default` gives its type; `help` one line for the command line; `choices` all values there are,
    or None; `least` and `most` the range of a number, both allowed; `usually` what stands for the
    default on the command line, where that depends on the images.
    """

    name: str
    default: int | float | str
    help: str
    choices: tuple[str, ...] | None = None
    least: float | None = None
    most: float | None = None
    usually: str = ""

    def check(self, value: object) -> None:
        """Raise `ValueError` for a value of another type, out of range or not among the choices."""
        kind = type(self.default)
        number = isinstance(value, int | np.integer) and not isinstance(value, bool)
        fits = number if kind is int else isinstance(value, kind) or (kind is float and number)
        if not fits:
            raise ValueError(f"{self.name} must be {_KINDS[kind]}, not {value!r}: {self.help}")
        if self.choices is not None and value not in self.choices:
            raise ValueError(f"{self.name} must be {' or '.join(self.choices)}, not {value!r}")
        if isinstance(value, float | np.floating) and not np.isfinite(value):
            raise ValueError(f"{self.name} must be a finite number, not {value}: {self.help}")
        if self.least is not None and value < self.least:  # type: ignore[operator]
            raise ValueError(
                f"{self.name} must be at least {self.least:g}, not {value}: {self.help}"
            )
        if self.most is not None and value > self.most:  # type: ignore[operator]
            raise ValueError(f"{self.name} must be at most {self.most:g}, not {value}: {self.help}")


_KINDS = {int: "a whole number", float: "a number", str: "a word"}


@dataclass(frozen=True)
class Compared:
    """One row of the study that a method asks for: its name there, its settings, and what it is
    given.

    `set` names the row within its experiment; `settings` are arguments of the class; `labels` says
    whether the method is told labels ("true": the row is also run with predicted ones); `random`
    whether two draws differ; `shared`, if not 0, lets the draws take each image from that many
    releases, at random: a draw by itself is one of the method, and less has to be made and judged;
    `experiment` the heading in the table, "" for the method's name ("control" for a control);
    `needs_visits` marks a row that is run on cohorts with visits only.
    """

    set: str
    settings: Mapping[str, Any]
    labels: Literal["", "true"] = ""
    random: bool = False
    shared: int = 0
    experiment: str = ""
    needs_visits: bool = False


@dataclass(frozen=True)
class Resources:
    """What a method may need besides its settings: patients to draw from, and trained networks.

    `cohort` whose training images it draws from, or None; `weights` a folder made by `medpriv fit`,
    None for those that ship with the package; `trained` networks that are in memory already, by
    the name of their method.
    """

    cohort: Cohort | None = None
    weights: Path | None = None
    trained: Mapping[str, Any] = field(default_factory=dict)

    def train(self, method: str) -> Cohort:
        """Return the training images. Raises `ValueError` where no cohort was given."""
        if self.cohort is None:
            raise ValueError(f"{method} draws from training patients; name their cohort")
        return self.cohort.of("train")


class Privatizer(ABC):
    """Learns what it needs from training images, then turns any cohort into a release.

    A new method is one file in this folder with one class that derives from this one: the
    command line, the study, the figures, `explain` and `attack` read what the class declares.

    `name` is that of the command line and of `Release.method`; `title` stands on pages and figures;
    `marker` is matplotlib's for the method's points; `parameters` its settings, attributes of the
    same names; `needs` "nothing", "patients" (training images of other patients, by `fit`) or
    "weights" (a trained network); `public` says that the weights that ship know no patient and so
    serve everybody, an attacker too; `compared` the rows that the study runs; `control` marks a
    method that nobody would release, which the study runs and the command line does not offer.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    marker: ClassVar[str] = "P"
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    needs: ClassVar[Needs] = "nothing"
    public: ClassVar[bool] = False
    compared: ClassVar[tuple[Compared, ...]] = ()
    control: ClassVar[bool] = False

    @classmethod
    def ready(cls, resources: Resources, **settings: Any) -> Self:
        """Return the method with these settings, ready to privatise.

        Methods that need weights override this. Raises `ValueError` for settings out of range and
        where the resources do not hold what the method needs.
        """
        method = cls(**settings)
        return method.fit(resources.train(cls.name)) if cls.needs == "patients" else method

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Raise `ValueError` for a setting that the method does not have or that is no good."""
        known = {one.name: one for one in cls.parameters}
        for name, value in settings.items():
            if name not in known:
                raise ValueError(
                    f"{cls.name} has no setting {name!r}; it has {', '.join(known) or 'none'}"
                )
            known[name].check(value)

    @classmethod
    def suited(cls, size: int) -> dict[str, Any]:
        """Return the settings, where nobody gives them, that depend on the images' size in
        pixels.
        """
        return {}

    @classmethod
    def said(cls, settings: Mapping[str, Any], size: int) -> str:
        """Return what a reader has to know of these settings on images of this size, or ""."""
        return ""

    @classmethod
    def claims_k(cls, settings: Mapping[str, Any]) -> int | None:
        """Return among how many patients a release with these settings claims to hide, or None."""
        return None

    @classmethod
    def averages_from(cls, settings: Mapping[str, Any]) -> AveragesFrom | None:
        """Return whose images a release averages K at a time: "train" for the training images,
        "given" for those that are released, None for other methods.
        """
        return None

    @classmethod
    def linear_blur(cls, settings: Mapping[str, Any]) -> Float[np.ndarray, " k"] | None:
        """Return the kernel that is applied to rows and columns, where the method is a blur."""
        return None

    @property
    def settings(self) -> dict[str, Any]:
        """The values of all parameters of this object."""
        return {one.name: getattr(self, one.name) for one in self.parameters}

    def fit(self, train: Cohort) -> Self:
        """Take from the training images what the method needs and return the method itself."""
        return self

    def privatize(self, cohort: Cohort, generator: torch.Generator | None = None) -> Release:
        """Return a release of the cohort; what was given is recorded in it.

        Rows 0..N-1 of the release stand for the N images of `cohort`, in order. Most methods
        release no more; K-Same-Select's release form appends copies after them, for patients with
        fewer images than others of their group: `source` says whom every row stands for. Every
        random choice is drawn from `generator`, a CPU generator; without one the numbers come from
        the operating system and nobody can draw them again. Raises `NotApplicable` where these
        images do not allow the method.
        """
        release = self.transform(cohort, fresh() if generator is None else generator)
        return replace(release, given=Given.of(cohort))

    @property
    def most(self) -> int | None:
        """How many images one release may hold at most, None for any number."""
        return None

    def in_sets(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return a release of the cohort, of several that hold at most `most` images each where the
        cohort is larger: for attackers, who may run a method as often as they like.

        Errors as of `privatize`.
        """
        n = len(cohort)
        sets = np.array_split(np.arange(n), -(-n // self.most) if self.most and n else 1)
        made = [self.privatize(cohort.take(rows), generator) for rows in sets]
        if len(made) == 1:
            return made[0]
        return replace(
            made[0],
            images=np.concatenate([one.images for one in made]),
            source=np.concatenate([rows[one.source] for rows, one in zip(sets, made, strict=True)]),
            contributors=np.concatenate([one.contributors for one in made]),
            given=Given.of(cohort),
        )

    @abstractmethod
    def transform(self, cohort: Cohort, generator: torch.Generator) -> Release:
        """Return the release: what a method implements; callers use `privatize`."""
