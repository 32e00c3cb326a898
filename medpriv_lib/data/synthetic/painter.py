"""What surrounds the eye: sclera, skin of both lids, lashes, light; painted once per scene."""

import cv2
import numpy as np
from jaxtyping import Float

from medpriv_lib.data.synthetic import lids
from medpriv_lib.data.synthetic.attire import behind, made_up
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.iris import EyePainter
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.scene import HEIGHT, WIDTH, Scene
from medpriv_lib.data.synthetic.taken import taken
from medpriv_lib.data.synthetic.texture import (
    CANVAS,
    SKIN_PX_PER_MM,
    face_texture,
    skin_texture,
    vessels,
)


class Painter:
    """Paints one scene: what the disease does not touch is painted once, the eye once per
    pathology.
    """

    def __init__(self, identity: Identity, capture: Capture) -> None:
        """Paint what the disease does not touch."""
        self.identity, self.capture = identity, capture
        self.scene = Scene(identity, capture)
        self.taken = taken(capture)
        self.eye = EyePainter(self.scene)
        soft = self.scene.scale / 2.2  # the lid margins are two px wide
        self.open = np.clip(self.scene.below_upper * soft + 0.5, 0, 1)
        self.open *= np.clip(self.scene.above_lower * soft + 0.5, 0, 1)
        relief, wet = self._surface()
        self.sclera = self._sclera(relief)
        second = capture.camera.drawing == 2
        self.skin = lids.skin(self.scene, relief, wet) if second else self._skin(relief, wet)
        if self.taken.make_up:
            self.skin = made_up(self.skin, self.scene, self.taken.make_up)
        self.lash = self.scene.soft_lashes() if second else self._lashes()

    def clean(self, pathology: Pathology) -> Float[np.ndarray, "480 640"]:
        """Return the exposed, focused image before noise, in grey levels; right eyes are mirrored
        here.
        """
        image = self.sclera.copy()
        box = self.scene.box
        image[box] = self.eye.paint(pathology, image[box])
        image = self.skin + self.open * (image - self.skin)
        image += self.lash * (38 - image)
        if self.taken.spectacles is not None:
            image = behind(image, self.scene, self.taken.spectacles)
        image *= self._light()
        camera = self.capture.camera
        blur = (
            float(np.hypot(self.capture.focus, camera.blur)) if camera.blur else self.capture.focus
        )
        image = cv2.GaussianBlur(image, (0, 0), blur)
        if self.taken.veil or self.taken.black or camera.gain != 1:
            image = self._sensed(image)
        return np.ascontiguousarray(image[:, ::-1]) if self.identity.eye == "R" else image

    def _lashes(self) -> np.ndarray:
        mask = cv2.GaussianBlur(self.scene.lash_mask(), (0, 0), 0.7)
        return mask.astype(np.float32) * np.float32(0.74 / 255)

    def _sensed(self, image: np.ndarray) -> np.ndarray:
        """Return what the sensor makes of the light: a share of it scattered evenly, gain, black.

        The scattered light is that of a grey card, so that image and twin have the same.
        """
        veil, gain = self.taken.veil, self.capture.camera.gain
        return np.float32(gain) * (image + np.float32(veil) * (150 - image)) + np.float32(
            self.taken.black
        )

    def _light(self) -> np.ndarray:
        """Exposure, a slope from left to right and the fall-off of the LEDs towards the corners."""
        u = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None]
        v = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
        return self.capture.exposure * (
            (1 + self.capture.light * u - 0.10 * u**4) * (1 - 0.06 * v**4)
        )

    def _surface(self) -> tuple[np.ndarray, np.ndarray]:
        """Sample the skin canvas under the capture's similarity: relief and wet highlights."""
        scene, ratio = self.scene, SKIN_PX_PER_MM / self.scene.scale
        cos, sin = scene.cos * ratio, scene.sin * ratio
        ox, oy = scene.origin
        matrix = np.array(
            [
                [cos, sin, CANVAS[1] / 2 - cos * ox - sin * oy],
                [-sin, cos, CANVAS[0] / 2 + sin * ox - cos * oy],
            ]
        )
        texture = face_texture if self.capture.camera.drawing == 2 else skin_texture
        canvas = texture(
            self.identity.skin_seed, self.identity.skin_contrast * self.identity.texture_contrast
        )
        sampled = cv2.warpAffine(
            canvas,
            matrix,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return sampled[..., 0], sampled[..., 1]

    def _sclera(self, relief: np.ndarray) -> np.ndarray:
        """Sclera: a sphere lit from the front, shadow under the upper lid, caruncle in the nasal
        corner.
        """
        scene, identity = self.scene, self.identity
        level = (
            identity.sclera_level
            + self.capture.camera.sclera_offset
            + 0.6 * relief
            - 0.14 * scene.x**2
            + 1.5 * scene.y
        )
        level -= 42 * np.exp(-np.clip(scene.below_upper, 0, None) / 1.1)
        level -= 14 * np.exp(-np.clip(scene.above_lower, 0, None) / 0.7)
        tears = np.exp(-(((scene.above_lower - 0.12) / 0.12) ** 2))
        level += np.clip(22 + 5 * relief, 0, 70) * tears
        corner_x = -identity.fissure_width / 2 + 2.0
        corner_y = 0.6 - np.tan(np.deg2rad(identity.tilt)) * corner_x
        spot = np.exp(-((scene.x - corner_x) ** 2 / 3.2 + (scene.y - corner_y) ** 2 / 2.4))
        if self.capture.camera.drawing == 2:
            level -= self._veins()
        return level - 26 * spot + 1.5 * spot * relief

    def _veins(self) -> np.ndarray:
        """Vessels of the white, and its shade towards both corners."""
        scene = self.scene
        u = np.arange(WIDTH, dtype=np.float32)[None] - np.float32(scene.iris_x)
        v = np.arange(HEIGHT, dtype=np.float32)[:, None] - np.float32(scene.iris_y)
        ratio = np.float32(SKIN_PX_PER_MM / scene.scale)
        x, y = np.broadcast_arrays(u * ratio + CANVAS[1] / 2, v * ratio + CANVAS[0] / 2)
        dark = cv2.remap(
            vessels(self.identity.skin_seed),
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        away = np.hypot(u, v) / np.float32(scene.scale) - self.identity.iris_radius
        return dark * np.clip(4 + 3.5 * away, 0, 22) + np.clip(1.6 * away, 0, 14)

    def _skin(self, relief: np.ndarray, wet: np.ndarray) -> np.ndarray:
        """Skin of both lids: relief, wet highlights along the margins, crease, the shadowed lash
        line.
        """
        scene, identity = self.scene, self.identity
        above = -scene.below_upper  # mm above the upper margin
        below = -scene.above_lower
        upper = above > below
        away = np.where(upper, above, below)
        camera = self.capture.camera
        level = identity.skin_level + camera.skin_offset + 1.3 * relief
        if camera.upper_offset:
            level += np.where(upper, camera.upper_offset, 0).astype(np.float32)
        fold = above - identity.crease * (1 - 0.0012 * scene.x**2) - 0.012 * relief
        level -= np.where(
            upper,
            1.2 * identity.crease_depth * np.exp(-((fold / 0.38) ** 2))
            + 0.35 * identity.crease_depth * np.exp(-(((fold + 1.2) / 1.4) ** 2)),
            0,
        )
        level += np.where(
            upper,
            16 * np.exp(-(((away / identity.crease - 0.55) / 0.5) ** 2)),
            10 * np.exp(-((away - 1.2) ** 2)),
        )
        shine = np.where(
            upper,
            np.exp(-(((away - 1.6) / 1.3) ** 2)) + 0.12,
            1.1 * np.exp(-(((away - 2.0) / 2.4) ** 2)) + 0.15,
        )
        level += 40 * identity.wetness * shine * wet
        edge = np.clip(away, 0, None)
        level -= np.where(upper, 70 * np.exp(-edge / 0.35), 18 * np.exp(-edge / 0.25))
        return np.where(
            level > 195, 195 + 60 * np.tanh((level - 195) / 60), level
        )  # the sensor's shoulder
