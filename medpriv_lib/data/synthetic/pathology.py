"""What is wrong with an eye: visible signs of glaucoma and of its treatment, and conditions that
are not glaucoma.
"""

from dataclasses import dataclass, replace

import numpy as np

from medpriv_lib.data.synthetic.difficulty import DEFAULT, Difficulty

# pupil/iris ratio: 6.5 mm of 11.7 mm, ours for the mid-dilated pupil of acute angle closure
MID_DILATED = 0.56

# fields of `Pathology` that glaucoma and its treatment change
SIGNS = ("glaucoma", "holes", "wedge", "mid_dilation", "ovality", "oval_axis", "haze", "flush")


@dataclass(frozen=True)
class Hole:
    """A laser iridotomy: `clock` in hours, `depth` 0 (pupil) to 1 (limbus), `diameter` in mm."""

    clock: float
    depth: float
    diameter: float


@dataclass(frozen=True)
class Wedge:
    """A surgical iridectomy: `clock` in hours, `width` at the limbus in mm, `reach` 0..1 towards
    the pupil.
    """

    clock: float
    width: float
    reach: float


@dataclass(frozen=True)
class Nevus:
    """A pigmented spot: `angle` in radians, `depth` 0 (pupil) to 1 (limbus), `radius` in mm,
    `level` < 0.
    """

    angle: float
    depth: float
    radius: float
    level: float


@dataclass(frozen=True)
class Pathology:
    """The findings in one eye; the default is a healthy eye.

    Signs of glaucoma and its treatment: `holes`: laser iridotomies in the upper iris (de Silva,
    Gazzard, Foster 2007, Br. J. Ophthalmol. 91:222; European Glaucoma Society 2021, Br. J.
    Ophthalmol. 105 Suppl 1), here in its outer half at about 11 to 1 o'clock. Fleck (1990, Br. J.
    Ophthalmol. 74:583) asks for 0.15-0.2 mm at least; they are drawn at 0.1-0.9 mm, strong signs
    large, so that 64 px can show them. `wedge`: a surgical iridectomy at 11 to 1 o'clock, as made
    in a trabeculectomy (the operation: Cairns 1968, Am. J. Ophthalmol. 66:673); its width of up to
    3.4 mm is ours. `mid_dilation` 0..1 pulls the pupil towards the fixed mid-dilated state,
    `ovality` 0..0.16 makes it vertically oval about `oval_axis` (radians from vertical), `haze`
    0..0.5 is the veil of corneal oedema, `flush` 0..1 the redness around the limbus: signs of acute
    angle closure (Gedde et al. 2021, the Preferred Practice Pattern of the American Academy of
    Ophthalmology, Ophthalmology 128:P30). How strong each is drawn is ours. Not glaucoma:
    `cataract` 0..1 (grey pupil), `nevi`, `pterygium` in mm over the nasal limbus, `lens` 0..1
    (reflections of an artificial lens).
    """

    glaucoma: bool = False
    holes: tuple[Hole, ...] = ()
    wedge: Wedge | None = None
    mid_dilation: float = 0.0
    ovality: float = 0.0
    oval_axis: float = 0.0
    haze: float = 0.0
    flush: float = 0.0
    cataract: float = 0.0
    nevi: tuple[Nevus, ...] = ()
    pterygium: float = 0.0
    lens: float = 0.0

    @classmethod
    def draw(
        cls, rng: np.random.Generator, glaucoma: bool, difficulty: Difficulty = DEFAULT
    ) -> "Pathology":
        """Draw the findings of one eye, with glaucoma or without; distractors are drawn for
        both.
        """
        eye = cls(**_draw_distractors(rng, difficulty.distractor_share))
        if not glaucoma:
            return eye
        weak = rng.random() < difficulty.weak_share
        strength = difficulty.sign_strength * (
            rng.uniform(0.22, 0.5) if weak else rng.uniform(0.65, 1.1)
        )
        surgical = rng.random() < 0.35
        lasered = rng.random() < (0.3 if surgical else 0.75)
        acute = rng.random() < 0.6 or not (surgical or lasered)
        holes = tuple(
            Hole(
                float(rng.uniform(10.8, 13.2)),
                float(rng.uniform(0.5, 0.82)),
                float(np.clip(strength * rng.uniform(0.45, 0.85), 0.0, 0.9)),
            )
            for _ in range(int(rng.integers(1, 4)) if lasered else 0)
        )
        wedge = (
            Wedge(
                float(rng.uniform(11, 13)),
                float(min(3.4, strength * rng.uniform(1.4, 3.0))),
                float(rng.uniform(0.35, 0.95)),
            )
            if surgical
            else None
        )
        share = strength * (1.0 if acute else 0.3)
        return replace(
            eye,
            glaucoma=True,
            holes=holes,
            wedge=wedge,
            mid_dilation=float(min(1.0, share * rng.uniform(0.5, 1.0))),
            ovality=float(min(0.16, share * rng.uniform(0.04, 0.15))),
            oval_axis=float(rng.normal(0, 0.35)),
            haze=float(min(0.5, share * rng.uniform(0.05, 0.38))),
            flush=float(min(1.0, share * rng.uniform(0.2, 1.0))),
        )

    def with_signs_of(self, other: "Pathology") -> "Pathology":
        """Return this eye with the label and the signs of glaucoma of another; distractors stay."""
        return replace(self, **{name: getattr(other, name) for name in SIGNS})

    def without_glaucoma(self) -> "Pathology":
        """Return the same eye without the signs of glaucoma; pupil size (`mid_dilation`) and
        distractors stay.
        """
        return replace(self, glaucoma=False, holes=(), wedge=None, ovality=0.0, haze=0.0, flush=0.0)

    def diagnoses(self) -> str:
        """Return the comma list that the metadata table holds for this eye."""
        found = (
            ("secondary glaucoma" if self.wedge and self.lens else "glaucoma", self.glaucoma),
            ("cataract", self.cataract > 0),
            ("pterygium", self.pterygium > 0),
            ("iris nevus", bool(self.nevi)),
            ("pseudophakia", self.lens > 0),
        )
        return ", ".join(name for name, there in found if there) or "healthy"


def _draw_distractors(rng: np.random.Generator, share: float) -> dict:
    """Draw the conditions that are not glaucoma, each present with probability `share`."""
    there = rng.random(4) < share
    nevi = tuple(
        Nevus(
            float(rng.uniform(0, 2 * np.pi)),
            float(rng.uniform(0.2, 0.9)),
            float(rng.uniform(0.2, 0.6)),
            float(rng.uniform(-35, -15)),
        )
        for _ in range(int(rng.integers(1, 4)))
    )
    return {
        "cataract": float(rng.uniform(0.3, 1.0)) if there[0] else 0.0,
        "nevi": nevi if there[1] else (),
        "pterygium": float(rng.uniform(0.8, 2.6)) if there[2] else 0.0,
        "lens": float(rng.uniform(0.4, 1.0)) if there[3] and not there[0] else 0.0,
    }
