"""How the findings of one eye change from visit to visit."""

from dataclasses import dataclass, replace

import numpy as np

from medpriv_lib.data.synthetic.difficulty import VISITS, Difficulty
from medpriv_lib.data.synthetic.pathology import Pathology


@dataclass(frozen=True)
class Course:
    """The findings of one eye over `visits` visits.

    `worst` is the eye at its worst with the disease, `laser` and `surgery` the first visits that
    show iridotomies and iridectomy, `attack` how strong the acute signs are on each visit, `lens`
    the visit from which an operated cataract is a lens (0: never). Visits count from 1.
    """

    worst: Pathology
    laser: int
    surgery: int
    attack: tuple[float, ...]
    lens: int

    @classmethod
    def draw(
        cls, rng: np.random.Generator, visits: int, difficulty: Difficulty = VISITS
    ) -> "Course":
        """Draw the course of one eye, with the disease; `at` leaves it out where it is not."""
        worst = Pathology.draw(rng, True, difficulty)
        laser = 1 + int(rng.integers(0, max(1, visits // 2)))
        return cls(
            worst=worst,
            laser=laser,
            surgery=min(visits, laser + int(rng.integers(0, 3))),
            attack=tuple(rng.uniform(0.45, 1.15, visits).tolist()),
            lens=int(rng.integers(2, visits + 1)) if rng.random() < 0.35 and visits > 1 else 0,
        )

    def at(self, visit: int, glaucoma: bool, silent: bool = False) -> Pathology:
        """Return the findings on a visit: with the label or without, `silent` without any sign.

        Openings stay once they are made. Oedema, redness and the pupil's state follow the attacks
        and are milder after an operation; the pupil's shape worsens. A cataract and a pterygium
        grow, whatever the label.
        """
        visits = len(self.attack)
        grown = 0.6 + 0.4 * visit / visits
        eye = self.worst.without_glaucoma()
        eye = replace(
            eye,
            mid_dilation=0.0,
            cataract=eye.cataract * grown,
            pterygium=eye.pterygium * (0.85 + 0.15 * visit / visits),
        )
        if eye.cataract and self.lens and visit >= self.lens:
            eye = replace(eye, cataract=0.0, lens=0.7)
        if not glaucoma or silent:
            return replace(eye, glaucoma=glaucoma)
        acute = self.attack[visit - 1]
        if self.worst.wedge is not None and visit > self.surgery:
            acute *= 0.5
        untreated = not (self.worst.holes or self.worst.wedge)
        return replace(
            eye,
            glaucoma=True,
            holes=self.worst.holes if visit >= self.laser else (),
            wedge=self.worst.wedge if visit >= self.surgery else None,
            mid_dilation=min(1.0, acute * self.worst.mid_dilation),
            ovality=min(0.16, self.worst.ovality * (grown if untreated else 1.1 * grown)),
            oval_axis=self.worst.oval_axis,
            haze=min(0.5, acute * self.worst.haze),
            flush=min(1.0, acute * self.worst.flush),
        )
