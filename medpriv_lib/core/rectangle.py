"""A rectangle of pixels: what is covered, or where something was found."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rectangle:
    """`x` columns from the left, `y` rows from the top, `width` and `height` in px."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse what holds no pixel."""
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise ValueError(f"{self} is no rectangle; x, y from 0 and width, height from 1 on")

    def __str__(self) -> str:
        """Return it as the option --mask takes it."""
        return f"{self.x},{self.y},{self.width},{self.height}"

    @property
    def of(self) -> tuple[slice, slice]:
        """The rows and columns, to index an image with."""
        return np.s_[self.y : self.y + self.height, self.x : self.x + self.width]

    def around(self, scale: float, margin: int) -> tuple[slice, slice]:
        """Return the rows and columns in a copy of the image that is `scale` times as large, with
        so many of its pixels around.
        """
        top, left = max(0, int(self.y * scale) - margin), max(0, int(self.x * scale) - margin)
        bottom, right = (self.y + self.height) * scale, (self.x + self.width) * scale
        return np.s_[top : int(bottom) + 1 + margin, left : int(right) + 1 + margin]

    def overlaps(self, other: "Rectangle") -> bool:
        """Say whether the two share a pixel."""
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height

    @classmethod
    def read(cls, text: str) -> "Rectangle":
        """Return the rectangle of a text `x,y,width,height`; raise `ValueError` for another."""
        try:
            x, y, width, height = (int(part) for part in text.split(","))
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no rectangle; write x,y,width,height in pixels, as 0,0,200,30"
            ) from error
        return cls(x, y, width, height)
