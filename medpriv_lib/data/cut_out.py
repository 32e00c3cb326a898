"""One listed file becomes one image of a cohort: read, label cut off, eye found, square cut out."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from medpriv_lib.core.printable import printable
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.common_marks import CommonMarks
from medpriv_lib.data.doubts import grey_levels, refuse_blank
from medpriv_lib.data.eyes.examine import Finding, examine
from medpriv_lib.data.eyes.localize import SMALLEST
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.frame import EMPTY, FADED, Frame, frame_of_centre, frame_of_eye
from medpriv_lib.data.images import BadImage, read_grey, read_noted
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.text_regions import text_regions


@dataclass
class Part:
    """What came of one file.

    `image` (size, size) or (size, size, 3), None without an eye; `finding` what the localiser
    found, None where nothing was looked for; `note` what was done to the levels; `shape` of the
    file's image; `rows` cut at the bottom; `filled` px of the square that lie outside the image,
    `side` its side in px; `agrees` that the iris has the size of the person's other ones; `truth`
    twin and evidence; `bad` why nothing came of it though no eye was missing.
    """

    image: np.ndarray | None
    finding: Finding | None
    note: str
    shape: tuple[int, ...]
    rows: int = 0
    filled: int = 0
    side: int = 0
    levels: int = 0  # that the file's image uses, in grey
    agrees: bool = False
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    bad: str = ""

    @property
    def there(self) -> bool:
        """Whether there is an image."""
        return self.image is not None


class CutOut:
    """Cuts the images of one listing.

    The signs of an eye are asked for, doubtful images are looked at again, and what lies beyond the
    image fades.
    """

    def __init__(self, listing: Listing, how: Cut, marks: CommonMarks) -> None:
        """Say what is cut and how; eyes are looked for, and text is, in grey levels always."""
        self.listing, self.how, self.marks = listing, how, marks

    def cut(self, row: int, iris_r: float | None = None) -> Part:
        """Return what comes of a row; `iris_r` the size of the iris where it is known.

        Raises what reading raises, and `BadImage` for what is too small or too large to work on;
        a strict listing gets the reason in the part instead.
        """
        file = self.listing.files[row]
        if not self.listing.strict:
            return self._cut(row, iris_r)
        try:
            return self._cut(row, iris_r)
        except BadImage as error:
            reason = str(error).removeprefix(f"{printable(file, 1000)}: ")
            return Part(None, None, "", (), bad=reason)

    def _cut(self, row: int, iris_r: float | None) -> Part:
        with naming(self.listing.files[row]):
            seen, note = self.listing.reader(self.listing.files[row], self.how.colour)
            self._cover(seen)
            whole = seen if seen.ndim == 2 else cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
            right = bool(self.listing.eye[row] == "R")
            if not self.how.localize:
                frame = frame_of_centre(whole.shape, right)
                return self._part(row, seen, whole, frame, None, note)
            if min(whole.shape) < SMALLEST:
                raise ValueError(
                    f"{whole.shape[1]}x{whole.shape[0]} pixels, and an eye is looked for from "
                    f"{SMALLEST}x{SMALLEST} on; use a larger image, or prepare without localising"
                )
            height = len(whole) - strip_rows(whole)
            finding = self._find(whole[:height], iris_r)
            if finding.eye is None:
                return Part(None, finding, note, whole.shape, len(whole) - height)
            frame = frame_of_eye(finding.eye, right)
            return self._part(
                row, seen[:height], whole, frame, finding, note, again=iris_r is not None
            )

    def _cover(self, image: np.ndarray) -> None:
        """Paint black what is to be covered; refuse where that covers nothing, or everything."""
        height, width = image.shape[:2]
        for one in self.listing.covered:
            if image[one.of].size == 0:
                raise ValueError(
                    f"the mask {one} (x,y,width,height) lies outside of its {width}x{height} "
                    "pixels and would cover nothing; correct the mask"
                )
            image[one.of] = 0
        if self.listing.covered and not image.any():
            raise ValueError(
                "nothing is left of it beside what the mask covers; use a smaller mask"
            )

    def _find(self, image: np.ndarray, iris_r: float | None) -> Finding:
        return examine(image, iris_r)

    def _part(
        self,
        row: int,
        image: np.ndarray,
        whole: np.ndarray,
        frame: Frame,
        finding: Finding | None,
        note: str,
        again: bool = False,
    ) -> Part:
        """Return what comes of `image`, the rows that are left of a file's grey `whole`."""
        height = len(image)
        if not again:
            self.marks.add(whole, frame, height, self.listing.covered)
        if self.listing.refuse_text and (found := self._text(whole[:height], frame)):
            return Part(None, finding, note, whole.shape, bad=found)
        part = Part(
            frame.cut(image, self.how.size, FADED),
            finding,
            note,
            whole.shape,
            len(whole) - height,
            frame.missing(image.shape),
            frame.side,
        )
        part.levels = grey_levels(whole)
        if part.image is not None:
            refuse_blank(part.levels, part.image, whole.shape)
        if self.listing.truth is not None:
            part.truth = self._truth(row, frame, height, part)
        return part

    def _text(self, image: np.ndarray, frame: Frame) -> str:
        """Say where, within what is kept, text seems to be burned in; "" where none is."""
        top, left = max(0, frame.top), max(0, frame.left)
        kept = image[top : frame.top + frame.side, left : frame.left + frame.side]
        found = text_regions(np.ascontiguousarray(kept))
        if not found:
            return ""
        place = replace(found[0], x=found[0].x + left, y=found[0].y + top)
        return (
            f"looks as if text were burned in at {place} (x,y,width,height); cover it by --mask, "
            "or look at it and accept it by --allow-burned-in"
        )

    def _truth(self, row: int, frame: Frame, height: int, part: Part) -> dict[str, np.ndarray]:
        """Cut twin and mask exactly as the image; a healthy image is its own twin and shows no
        evidence.
        """
        if self.listing.truth is None or part.image is None or not self.listing.diseased[row]:
            none = np.zeros((self.how.size, self.how.size), dtype=bool)
            return {"twin": part.image, "evidence": none} if part.image is not None else {}
        stem = self.listing.truth / self.listing.files[row].stem
        twin = read_noted(f"{stem}_twin.png", self.how.colour)[0][:height]
        mask = (read_grey(f"{stem}_mask.png")[:height] > 0).astype(np.float32)
        return {
            "twin": frame.cut(twin, self.how.size, FADED),
            "evidence": frame.cut(mask, self.how.size, EMPTY) >= 0.5,
        }


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Put the file's name before what goes wrong with it."""
    try:
        yield
    except BadImage:
        raise
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        raise BadImage(
            f"{printable(file, 1000)}: working on it needs more memory than there is; scale it "
            "down "
            "first, or use a smaller size"
        ) from error
    except ValueError as error:
        raise BadImage(f"{printable(file, 1000)}: {error}") from error
