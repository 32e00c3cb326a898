"""The one place that says how hard the synthetic cohort is."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Difficulty:
    """Calibration constants; every other number in this package is anatomy, optics or a choice of
    drawing.

    Identity becomes harder with a smaller `person_spread` (how far patients lie from the mean
    person: reflectance, lids, lashes, skin) or `texture_contrast` (iris and skin texture), and with
    a larger `capture_spread` (range of gaze, rotation, lid opening, distance, focus, exposure,
    dilation) or `noise` (shot and read noise). Glaucoma becomes harder with a smaller
    `sign_strength` (scale of every sign), a larger `weak_share` (share of glaucoma eyes whose signs
    are all weak) or a larger `distractor_share` (chance of each condition that is not glaucoma).
    """

    person_spread: float = 0.6
    texture_contrast: float = 1.0
    capture_spread: float = 1.25
    noise: float = 1.0
    sign_strength: float = 1.1
    weak_share: float = 0.2
    distractor_share: float = 0.15

    def __post_init__(self) -> None:
        """Raise `ValueError` for a negative scale or a share outside 0..1."""
        for name, value in vars(self).items():
            if not value >= 0 or (name.endswith("_share") and value > 1):
                raise ValueError(
                    f"Difficulty.{name} is {value}; scales are >= 0, shares lie in 0..1"
                )


DEFAULT = Difficulty()  # of plain sets of eyes without visits

# invented people who are in no cohort: what experts and sign transfer are taught on
TAUGHT = Difficulty(distractor_share=0.3)

# Of the packaged cohorts, whose camera and distractors are others. Set on the baselines of the
# recognisers on the images of the validation split, and then left alone; the aims were those of
# Montenegro et al. 2021, Table 1: identity about 90 %, glaucoma about 93 % accuracy and F1 about
# 88 %, each within 4 points. The steps, each a confounded cohort, one training of the recognisers
# (seed 1), 269 validation images, in percent. An eighth of the diseased images shows nothing, so
# that whoever does not know the patient has at most an accuracy of about 97, an F1 of 93, an AUC of
# 94:
#
# person, texture, sign, weak   identity   glaucoma accuracy, F1   AUC, and where it can be seen
# 0.80    1.0      0.95  0.25     94.4       85.1  74.4            94.1  94.7
# 0.60    1.0      1.10  0.20     95.5       90.0  80.3            95.3  96.2
# 0.60    0.8      1.50  0.10     93.3       91.1  83.3            97.6  99.2
# 0.45    1.0      1.30  0.15     92.6       92.2  84.0            97.2  98.3
# 0.40    1.0      1.40  0.15     the packaged cohorts: on in the direction of the last step
VISITS = Difficulty(person_spread=0.4, sign_strength=1.4, weak_share=0.15, distractor_share=0.3)


def changed(text: str, base: Difficulty = VISITS) -> Difficulty:
    """Return `base` with what a text such as `person_spread=0.5,weak_share=0.3` changes.

    An empty text changes nothing. Raises `ValueError` for a name that is none, or a value that is
    no number.
    """
    numbers = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in vars(base):
            raise ValueError(f"difficulty {part!r}: choose names from {', '.join(vars(base))}")
        try:
            numbers[name] = float(value)
        except ValueError as error:
            raise ValueError(f"difficulty {part!r}: write it as {name}=0.5") from error
    return replace(base, **numbers)
