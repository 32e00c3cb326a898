"""How much an attacker spends: the schedules of the networks, and how often a method is run again.

Everything that decides how long an attack takes stands here, so that a test or a quick look passes
a smaller budget, and nothing has to be changed from outside.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from medpriv_lib.attacks.towers import ORIGINALS, RELEASED, SCRATCH, Schedule


@dataclass(frozen=True)
class Budget:
    """What the attacks on one release may spend; the numbers of the study.

    `originals` and `released` are the schedules of the two towers, `scratch` that of a second tower
    that does not begin with the first. `restorer_epochs` and `restorer_pairs`: of the network that
    undoes a blur, which learns little more from more. `gallery_runs`: how often a method that
    averages images is run again with half of its gallery; everybody is out in half of them.
    `generators`, `generator_rounds`, `generator_size`: how many shadow generators, the training
    rounds of each, and their images' size in pixels. `orders`: how many seeds are tried against the
    order of the shared files. `code_decodes` and `code_errors`: own decodes from which codes are
    learned to be read, and on which the errors are seen. `several`: how many releases of one case
    are added up. `long`: the schedule of a second tower that is trained for long on
    `long_releases` releases of each known image, None leaves it out: it takes as long as all else
    together.
    """

    originals: Schedule = ORIGINALS
    released: Schedule = RELEASED
    scratch: Schedule = SCRATCH
    restorer_epochs: int = 4
    restorer_pairs: int = 400
    gallery_runs: int = 16
    generators: int = 8
    generator_rounds: int = 60
    generator_size: int = 16
    orders: int = 2000
    code_decodes: int = 16_000
    code_errors: int = 600
    several: int = 10
    long: Schedule | None = None
    long_releases: int = 4

    def doubled(self) -> "Budget":
        """Return a budget of twice the steps, decodes, releases and networks: what an attacker
        reaches with it says whether more would have helped.
        """
        changed: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Schedule):
                changed[one.name] = replace(value, steps=2 * value.steps)
            elif value is not None and one.name not in FIXED:
                changed[one.name] = 2 * value
        return replace(self, **changed)

    def part(self, by: int) -> "Budget":
        """Return a budget with all numbers of steps, decodes and runs divided by `by`, and batches
        down to 32 images: for a trial, whose failures say little.
        """
        changed: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Schedule):
                changed[one.name] = replace(
                    value,
                    steps=max(2, value.steps // by),
                    batch=min(value.batch, max(SMALLEST_BATCH, value.batch // by)),
                )
            elif value is not None and one.name not in FIXED:
                changed[one.name] = max(2, value // by)
        return replace(self, **changed)

    def within(self, size: int) -> "Budget":
        """Return what is spent on images of `size` px: up to 128 px all of it, beyond that no more
        arithmetic than at 128.

        Batches are made smaller first, down to 32 images, so that the networks still see every
        pixel and take every step; only then are there fewer steps, and pairs for the restorer.

        Nothing is cut up to 128 px, since that weakens the attackers. Of 600 synthetic eyes of 60
        people at 128 px, 240 released with a blur of 75 pixels, the two towers trained in full find
        the patient of .98, .99 and .99 of the other originals ("reverse", three seeds); batches of
        32 with as many steps .76, .78 and .78; a quarter of the steps of full batches .67 (one).
        """
        times = (size / LARGEST) ** 2
        if times <= 1:
            return self
        changed: dict[str, Any] = {"restorer_pairs": max(64, round(self.restorer_pairs / times))}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Schedule):
                batch = min(value.batch, max(SMALLEST_BATCH, int(value.batch / times)))
                steps = min(value.steps, round(value.steps * value.batch / (batch * times)))
                changed[one.name] = replace(value, batch=batch, steps=max(1, steps))
        return replace(self, **changed)


LARGEST = 128  # px: larger images get the arithmetic of this size
SMALLEST_BATCH = 32  # images, with several of each eye among them
FIXED = ("generator_size", "orders", "several")  # what is no effort of the attacker's training
FULL = Budget()
LONG = replace(FULL, long=Schedule(steps=400, rate=2e-3, strength=0.5, temperature=0.1))
