"""The geometry of one capture: where lids, iris and pupil lie in the frame, and how far each pixel
is from them.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float

from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.synthetic import lashes
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import MID_DILATED, Pathology
from medpriv_lib.data.synthetic.taken import taken

HEIGHT, WIDTH = 480, 640
PX_PER_MM = 21.5
# mm from the centre of rotation to the iris. That centre lies 15.3 mm (looking sideways) and 12.5
# mm (up and down) behind the cornea (Ohlendorf, Schaeffel, Wahl 2022, Ophthalmic Physiol. Opt.
# 42:376), the iris some 3.5 mm: the mean
EYE_RADIUS = 10.5
TABLE = np.arange(-26, 26, 0.02)  # mm, where the lid curves are tabulated


def pupil_ratio(capture: Capture, pathology: Pathology) -> float:
    """Return pupil over iris diameter, 0.2-0.7: the capture's, as the
    camera's light lets it be, pulled towards `MID_DILATED` by the
    disease.
    """
    light = capture.pupil_ratio + capture.camera.pupil_shift
    ratio = light + pathology.mid_dilation * (MID_DILATED - light)
    return float(np.clip(ratio, 0.2, 0.7))


def locate(identity: Identity, pathology: Pathology, capture: Capture) -> Eye:
    """Return the true centres and radii of an image without rendering it, in the frame as written
    (right eyes too).
    """
    x, y, radius = _iris(identity, capture)
    ratio = pupil_ratio(capture, pathology)
    # the pupil often lies nasal and below the centre of the iris (Daugman 2004); others find it
    # slightly above, so direction and size of the offset are a choice
    px, py = x - 0.02 * radius, y + 0.012 * radius
    if identity.eye == "R":
        x, px = WIDTH - 1 - x, WIDTH - 1 - px
    return Eye(px, py, ratio * radius, x, y, radius)


def _iris(identity: Identity, capture: Capture) -> tuple[float, float, float]:
    """Centre and radius of the iris in px, in the canonical frame (left eye, nose on the left)."""
    scale = PX_PER_MM * capture.distance * capture.camera.magnification
    move_x = -EYE_RADIUS * np.sin(np.deg2rad(capture.gaze_x))
    move_y = EYE_RADIUS * np.sin(np.deg2rad(capture.gaze_y))
    angle = np.deg2rad(capture.rotation)
    cos, sin = np.cos(angle), np.sin(angle)
    x = WIDTH / 2 + capture.shift_x + scale * (cos * move_x - sin * move_y)
    y = HEIGHT / 2 + 8 + capture.shift_y + scale * (sin * move_x + cos * move_y)
    return float(x), float(y), float(scale * identity.iris_radius)


@dataclass
class Scene:
    """All that a capture of an eye shows apart from the disease; canonical frame (left eye, nose on
    the left).

    `x`, `y` mm from the middle of the lid opening; `below_upper`, `above_lower` mm to the lid
    margins, positive inside the opening; all (480, 640) float32. `box` is the region around the
    iris, `radius` (mm) and `angle` (0 at 3 o'clock, clockwise, within the head's frame) are defined
    there.
    """

    identity: Identity
    capture: Capture
    scale: float = field(init=False)
    x: Float[np.ndarray, "480 640"] = field(init=False)

    def __post_init__(self) -> None:
        """Compute the grids."""
        identity, capture = self.identity, self.capture
        self.scale = PX_PER_MM * capture.distance * capture.camera.magnification
        self.origin = (WIDTH / 2 + capture.shift_x, HEIGHT / 2 + 8 + capture.shift_y)
        turn = np.deg2rad(capture.rotation)
        self.cos, self.sin = np.cos(turn), np.sin(turn)
        across = (np.arange(WIDTH, dtype=np.float32) - self.origin[0])[None] / self.scale
        down = (np.arange(HEIGHT, dtype=np.float32) - self.origin[1])[:, None] / self.scale
        self.x = (self.cos * across + self.sin * down).astype(np.float32)
        self.y = (self.cos * down - self.sin * across).astype(np.float32)
        self.upper, self.lower = self._lids()
        index = ((self.x - TABLE[0]) * 50).astype(np.int32)
        np.clip(index, 0, len(TABLE) - 1, out=index)
        self.below_upper = self.y - self.upper.take(index)
        self.above_lower = self.lower.take(index) - self.y
        self.iris_x, self.iris_y, self.iris_r = _iris(identity, capture)
        reach = 1.5 * self.iris_r
        self.box = (
            slice(max(0, int(self.iris_y - reach)), min(HEIGHT, int(self.iris_y + reach) + 1)),
            slice(max(0, int(self.iris_x - reach)), min(WIDTH, int(self.iris_x + reach) + 1)),
        )
        across = (np.arange(WIDTH)[self.box[1]] - self.iris_x) / self.scale
        down = (np.arange(HEIGHT)[self.box[0]] - self.iris_y) / self.scale
        self.rel_x = across.astype(np.float32)[None]
        self.rel_y = down.astype(np.float32)[:, None]
        shape = (self.rel_y.size, self.rel_x.size)
        self.radius, self.angle = cv2.cartToPolar(
            np.ascontiguousarray(np.broadcast_to(self.rel_x, shape)),
            np.ascontiguousarray(np.broadcast_to(self.rel_y, shape)),
        )
        self.angle -= np.float32(turn)
        np.mod(self.angle, np.float32(2 * np.pi), out=self.angle)

    def _lids(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the margins of both lids as y (mm) over `TABLE` (mm); they meet in the corners.

        The upper lid follows the gaze up and down (Becker, Fuchs 1988, J. Neurophysiol. 60:1227);
        that the lower lid follows half as far is our choice.
        """
        identity, capture = self.identity, self.capture
        half = identity.fissure_width / 2
        t = np.clip(TABLE / half, -1, 1)
        look = EYE_RADIUS * np.sin(np.deg2rad(capture.gaze_y))
        upper = identity.upper_lid * capture.opening - 0.85 * look
        lower = identity.lower_lid * (0.75 + 0.25 * capture.opening) + 0.45 * look
        skew = identity.lid_skew
        line = -np.tan(np.deg2rad(identity.tilt)) * TABLE
        tu = t + skew * (1 - t**2)  # its peak lies nasally, that of the lower lid temporally
        tl = t - skew * (1 - t**2)
        corner = 0.6  # the corners lie a little below the pupil's centre
        top = corner - (upper + corner) * np.clip(1 - np.abs(tu) ** 2.3, 0, 1) ** 0.85
        bottom = corner + (lower - corner) * np.clip(1 - np.abs(tl) ** 2.2, 0, 1) ** 0.85
        bottom = np.maximum(bottom, top)
        return (top + line).astype(np.float32), (bottom + line).astype(np.float32)

    def to_px(self, points: np.ndarray) -> np.ndarray:
        """Turn points in mm (..., 2) into px of the frame."""
        x, y = points[..., 0], points[..., 1]
        return np.stack(
            [
                self.origin[0] + self.scale * (self.cos * x - self.sin * y),
                self.origin[1] + self.scale * (self.sin * x + self.cos * y),
            ],
            -1,
        )

    def lash_mask(self) -> Float[np.ndarray, "480 640"]:
        """Return how much of each pixel is covered by lashes, 0..1."""
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        upper, upper_root, lower, lower_root = lashes.strokes(self.identity, self.capture.opening)
        half = self.identity.fissure_width / 2
        lids = ((upper, upper_root, self.upper, -1, 0.10), (lower, lower_root, self.lower, 1, 0.06))
        for lines, root, margin, sign, width in lids:
            x = half * root[:, 0]
            y = np.interp(x, TABLE, margin) + sign * root[:, 1] + (0.45 if sign > 0 else 0)
            start = np.stack([x, y], 1)
            width *= 1 + 1.2 * taken(self.capture).make_up  # mascara
            lashes.draw(mask, self.to_px(start[:, None] + lines), width * self.scale)
        return mask

    def soft_lashes(self) -> Float[np.ndarray, "480 640"]:
        """Return how much of the light lashes take from each pixel, 0..1; the second drawing."""
        half = self.identity.fissure_width / 2
        total = np.zeros((HEIGHT, WIDTH), np.float32)
        ways = ((self.upper, -1, 0.085, 0.66, 0.0), (self.lower, 1, 0.05, 0.30, 0.5))
        parts = lashes.soft(self.identity, self.capture.opening)
        for (lines, root), (margin, sign, width, depth, out) in zip(parts, ways, strict=True):
            x = half * root[:, 0]
            y = np.interp(x, TABLE, margin) + sign * (root[:, 1] + out)
            places = self.to_px(np.stack([x, y], 1)[:, None] + lines)
            width *= 1 + 1.2 * taken(self.capture).make_up
            # near and far lashes lie in two layers; the nearer is out of focus
            for layer, blur in ((slice(0, None, 2), 0.7), (slice(1, None, 2), 1.5)):
                mask = np.zeros((HEIGHT, WIDTH), np.uint8)
                lashes.draw(mask, places[layer], width * self.scale)
                cover = cv2.GaussianBlur(mask, (0, 0), blur).astype(np.float32)
                total = 1 - (1 - total) * (1 - np.float32(depth / 255) * cover)
        return total
