"""The viewer's own image with the other reading: what would have to be different?

Made from the image that the viewer brings, by the edits of `edits`; nobody knows the truth here.
How far such pictures can be trusted is measured where the truth is known (`counterfactual`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.explanation.edits import Edit
from medpriv_lib.recognition.expert import Expert

Way = Edit | NotApplicable  # how an image is edited, or why it cannot be


@dataclass(frozen=True, eq=False)
class OtherReading:
    """One counterfactual of an image, or `reason`, why there is none.

    `way` in words; `wanted` the reading that was wanted, an index; `image` uint8 (H, W), `before`
    the image as it was; `reading` of the recogniser afterwards; `expert` what the expert, who met
    no patient of any cohort, reads before and afterwards, None where there is no expert for such
    images.
    """

    way: str
    wanted: int
    before: UInt8[np.ndarray, "h w"]
    image: UInt8[np.ndarray, "h w"] | None = None
    reading: int = -1
    expert: tuple[int, int] | None = None
    reason: str = ""

    @property
    def difference(self) -> Float[np.ndarray, "h w"]:
        """What was changed, in grey levels; 0 where there is no counterfactual."""
        after = self.before if self.image is None else self.image
        return after.astype(np.float32) - self.before

    def caption(self, classes: tuple[str, ...]) -> str:
        """Say what was tried and how the two judges read what came out, in plain language."""
        if self.image is None:
            return f"{self.way}: not possible. {self.reason}"
        now, wanted = classes[self.reading], classes[self.wanted]
        text = f"{self.way}. The recogniser reads this picture as \u201c{now}\u201d"
        if self.reading != self.wanted:
            text += (
                f", not as \u201c{wanted}\u201d: its reading rests on more than what was changed"
            )
        if self.expert is not None:
            was, after = (classes[one] for one in self.expert)
            text += (
                f". A second judge, which was taught on invented people only, reads the image as "
                f"\u201c{was}\u201d and this picture as \u201c{after}\u201d"
            )
            if self.reading == self.wanted != self.expert[1]:
                text += (
                    ": the change convinces the recogniser alone, do not take it for the disease"
                )
        return f"{text}."


def other_readings(
    image: UInt8[np.ndarray, "h w"],
    decision: int,
    read: Callable[[UInt8[np.ndarray, "n h w"]], Int64[np.ndarray, " n"]],
    ways: Mapping[str, Way],
    generator: torch.Generator,
    expert: Expert | None = None,
) -> tuple[OtherReading, ...]:
    """Return the image with the reading that `decision` (0 or 1) is not, once by each way; `read`
    says how the recogniser reads images.

    What a way does not allow (`NotApplicable`) is told as its reason.
    """
    wanted, query = 1 - decision, image[None]
    found = []
    for way, edit in ways.items():
        try:
            if isinstance(edit, NotApplicable):
                raise edit
            made = edit(query, np.array([wanted == 1]), generator)
        except NotApplicable as error:
            found.append(OtherReading(way, wanted, image, reason=f"{error}."))
            continue
        second = _pair(expert.ill, query, made) if expert is not None else None
        after = int(read(made)[0])
        found.append(OtherReading(way, wanted, image, made[0], after, second))
    return tuple(found)


def _pair(
    ill: Callable[[np.ndarray], np.ndarray], before: np.ndarray, after: np.ndarray
) -> tuple[int, int]:
    return int(ill(before)[0]), int(ill(after)[0])
