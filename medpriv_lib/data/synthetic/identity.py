"""Who an eye belongs to: everything that stays the same from one capture to the next."""

from dataclasses import dataclass, replace

import numpy as np

from medpriv_lib.data.synthetic.difficulty import DEFAULT, Difficulty


@dataclass(frozen=True)
class Identity:
    """One eye of one person. Lengths in millimetres on the eye, grey levels 0..255 under the
    nominal exposure.

    Both eyes of a person share every field but `eye` and `iris_seed`: Daugman (2004, IEEE Trans.
    Circuits Syst. Video Technol. 14:21) found the iris textures of the two eyes of a person as
    independent as those of two people, while lids, skin and pigmentation are common. `draw` holds
    the ranges. Where they come from: `iris_radius`: horizontal corneal diameter 11.71 +- 0.42 mm
    (Rüfer, Schröder, Erb 2005, Cornea 24:259). `fissure_width`, `upper_lid` (margin above the pupil
    centre, MRD1), `lower_lid` (margin below it, MRD2), `tilt` of the lid axis in degrees, temporal
    side up, and `crease` (lid crease above the margin) are what Price et al. (2009, Plast.
    Reconstr. Surg. 124:615) and Murchison, Sires, Jian-Amadi (2009, Arch. Facial Plast. Surg.
    11:303) measure on lids; the values are ours, round numbers for an adult who is asked to open
    the eyes well. `lash_length`: mammals' lashes are about a third as long as the eye is wide
    (Amador et al. 2015, J. R. Soc. Interface 12:20141294), here 10 mm; they point at the camera, so
    2-5 mm of that are drawn. `iris_level`, `sclera_level`, `skin_level`: near-infrared grey levels,
    ours. One range serves for all eye colours: in the near infrared dark irises show their
    structure as well (Daugman 2004; Boyce et al. 2006, CVPR Workshops, compare the wavelengths).
    `collarette`: its place between pupil (0) and limbus (1); `crypts`, `furrows`: their number.
    """

    eye: str
    iris_seed: int
    skin_seed: int
    iris_radius: float
    iris_level: float
    pupillary_level: float
    limbus_width: float
    collarette: float
    crypts: int
    furrows: int
    fibre: float
    sclera_level: float
    skin_level: float
    skin_contrast: float
    wetness: float
    fissure_width: float
    upper_lid: float
    lower_lid: float
    lid_skew: float
    tilt: float
    crease: float
    crease_depth: float
    lash_count: int
    lash_length: float
    lash_droop: float
    lower_lash_count: int
    texture_contrast: float

    @classmethod
    def draw(cls, rng: np.random.Generator, difficulty: Difficulty = DEFAULT) -> "Identity":
        """Draw a new person and return the left eye; `fellow` gives the right one."""
        spread = difficulty.person_spread

        def around(mean: float, deviation: float, low: float, high: float) -> float:
            return float(np.clip(mean + spread * deviation * rng.standard_normal(), low, high))

        return cls(
            eye="L",
            iris_seed=int(rng.integers(2**62)),
            skin_seed=int(rng.integers(2**62)),
            iris_radius=around(5.85, 0.18, 5.4, 6.3),
            iris_level=around(82, 10, 55, 115),
            pupillary_level=around(3, 6, -10, 15),
            limbus_width=around(0.95, 0.2, 0.5, 1.5),
            collarette=around(0.32, 0.07, 0.18, 0.5),
            crypts=round(around(6, 4, 0, 16)),
            furrows=round(around(3, 1.5, 0, 6)),
            fibre=around(1.0, 0.22, 0.4, 1.6),
            sclera_level=around(172, 14, 140, 208),
            skin_level=around(203, 13, 165, 228),
            skin_contrast=around(1.0, 0.25, 0.5, 1.7),
            wetness=around(1.0, 0.35, 0.3, 2.0),
            fissure_width=around(30.0, 1.2, 27, 33),
            upper_lid=around(5.0, 0.45, 3.8, 6.2),
            lower_lid=around(5.6, 0.35, 4.7, 6.4),
            lid_skew=around(0.1, 0.08, -0.1, 0.3),
            tilt=around(4.0, 2.0, -1, 9),
            crease=around(3.6, 1.1, 1.6, 6.5),
            crease_depth=around(22, 9, 3, 45),
            lash_count=round(around(150, 35, 60, 240)),
            lash_length=around(3.5, 0.55, 2.0, 5.0),
            lash_droop=around(0.35, 0.28, -0.3, 1.1),
            lower_lash_count=round(around(44, 16, 8, 90)),
            texture_contrast=difficulty.texture_contrast,
        )

    def fellow(self) -> "Identity":
        """Return the other eye of the same person: its own iris texture, everything else shared."""
        seed = int(np.random.default_rng([self.iris_seed, 1]).integers(2**62))
        return replace(self, eye="R" if self.eye == "L" else "L", iris_seed=seed)
