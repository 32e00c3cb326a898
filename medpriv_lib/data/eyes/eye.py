"""The geometry of an eye image, whether the synthetic eye's truth or what the localiser found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Eye:
    """The pupil and the iris as circles; centres and radii in px, (0, 0) is the middle of the first
    pixel.
    """

    pupil_x: float
    pupil_y: float
    pupil_r: float
    iris_x: float
    iris_y: float
    iris_r: float

    @property
    def pupil_ratio(self) -> float:
        """Pupil over iris diameter."""
        return self.pupil_r / self.iris_r
