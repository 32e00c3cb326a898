"""From identity, pathology and capture to the near-infrared image of an eye, its twin and its
evidence.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.scene import EYE_RADIUS, HEIGHT, WIDTH, Scene, locate, pupil_ratio
from medpriv_lib.data.synthetic.texture import (
    CANVAS,
    PAD,
    POLAR,
    SKIN_PX_PER_MM,
    iris_texture,
    skin_texture,
)

EVIDENCE_LEVEL = 8  # grey levels of 255 by which a pixel must differ from its twin before noise


@dataclass(frozen=True)
class Rendering:
    """An image and its truth: `image`, `twin` uint8 (480, 640), `evidence` bool, `eye` true
    geometry.
    """

    image: UInt8[np.ndarray, "480 640"]
    twin: UInt8[np.ndarray, "480 640"]
    evidence: Bool[np.ndarray, "480 640"]
    eye: Eye


def render(
    identity: Identity, pathology: Pathology, capture: Capture, label: str = ""
) -> UInt8[np.ndarray, "480 640"]:
    """Return the image as the camera writes it; `label` is burned into the lower left corner."""
    scene = _Painter(identity, capture)
    return _expose(scene.clean(pathology), capture, label)


def twin(
    identity: Identity,
    pathology: Pathology,
    capture: Capture,
    other: Identity | None = None,
    label: str = "",
) -> UInt8[np.ndarray, "480 640"]:
    """Return the same capture, noise and pupil size without the disease, or, given `other`, of
    another person's eye.
    """
    if other is not None:
        return render(replace(other, eye=identity.eye), pathology, capture, label)
    return render(identity, pathology.without_glaucoma(), capture, label)


def render_with_truth(
    identity: Identity, pathology: Pathology, capture: Capture, label: str = ""
) -> Rendering:
    """Return the image, its twin, the evidence and the geometry; the two images share all work but
    the eye itself.

    Evidence: |image - twin| >= 8 of 255 before noise. An eye without glaucoma is its own twin and
    has no evidence.
    """
    scene = _Painter(identity, capture)
    clean = scene.clean(pathology)
    image = _expose(clean, capture, label)
    eye = locate(identity, pathology, capture)
    if not pathology.glaucoma:
        return Rendering(image, image, np.zeros(image.shape, bool), eye)
    healthy = scene.clean(pathology.without_glaucoma())
    evidence = np.abs(np.clip(clean, 0, 255) - np.clip(healthy, 0, 255)) >= EVIDENCE_LEVEL
    return Rendering(image, _expose(healthy, capture, label), evidence, eye)


class _Painter:
    """Paints one scene: what the disease does not touch is painted once, the eye once per
    pathology.
    """

    def __init__(self, identity: Identity, capture: Capture) -> None:
        self.identity, self.capture = identity, capture
        self.scene = Scene(identity, capture)
        self.column = (self.scene.angle * np.float32(POLAR[1] / (2 * np.pi))).astype(
            np.int32
        ) % POLAR[1]
        soft = self.scene.scale / 2.2  # the lid margins are two px wide
        self.open = np.clip(self.scene.below_upper * soft + 0.5, 0, 1)
        self.open *= np.clip(self.scene.above_lower * soft + 0.5, 0, 1)
        relief, wet = self._surface()
        self.sclera = self._sclera(relief)
        self.skin = self._skin(relief, wet)
        lash = cv2.GaussianBlur(self.scene.lash_mask(), (0, 0), 0.7).astype(
            np.float32
        ) * np.float32(0.74 / 255)
        self.lash = lash

    def clean(self, pathology: Pathology) -> Float[np.ndarray, "480 640"]:
        """Return the exposed, focused image before noise, in grey levels; right eyes are mirrored
        here.
        """
        image = self.sclera.copy()
        box = self.scene.box
        image[box] = self._eye(pathology, image[box])
        image = self.skin + self.open * (image - self.skin)
        image += self.lash * (38 - image)
        image *= self._light()
        image = cv2.GaussianBlur(image, (0, 0), self.capture.focus)
        return np.ascontiguousarray(image[:, ::-1]) if self.identity.eye == "R" else image

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
        canvas = skin_texture(
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
        level = identity.sclera_level + 0.6 * relief - 0.14 * scene.x**2 + 1.5 * scene.y
        level -= 42 * np.exp(-np.clip(scene.below_upper, 0, None) / 1.1)
        level -= 14 * np.exp(-np.clip(scene.above_lower, 0, None) / 0.7)
        tears = np.exp(-(((scene.above_lower - 0.12) / 0.12) ** 2))
        level += np.clip(22 + 5 * relief, 0, 70) * tears
        corner_x = -identity.fissure_width / 2 + 2.0
        corner_y = 0.6 - np.tan(np.deg2rad(identity.tilt)) * corner_x
        spot = np.exp(-((scene.x - corner_x) ** 2 / 3.2 + (scene.y - corner_y) ** 2 / 2.4))
        return level - 26 * spot + 1.5 * spot * relief

    def _skin(self, relief: np.ndarray, wet: np.ndarray) -> np.ndarray:
        """Skin of both lids: relief, wet highlights along the margins, crease, the shadowed lash
        line.
        """
        scene, identity = self.scene, self.identity
        above = -scene.below_upper  # mm above the upper margin
        below = -scene.above_lower
        upper = above > below
        away = np.where(upper, above, below)
        level = identity.skin_level + 1.3 * relief
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

    def _eye(self, pathology: Pathology, sclera: np.ndarray) -> np.ndarray:
        """Iris, pupil, cornea and glints over the sclera, within the box around the iris."""
        scene, identity = self.scene, self.identity
        radius, angle = scene.radius, scene.angle
        limbus = identity.iris_radius
        pupil = self._pupil_edge(pathology)
        depth = np.clip((radius - pupil) / (limbus - pupil), 0, 1)
        columns = POLAR[1]
        iris = cv2.remap(
            iris_texture(identity),
            angle * np.float32(columns / (2 * np.pi)) + PAD,
            depth * (POLAR[0] - 1),
            cv2.INTER_LINEAR,
        )
        iris += identity.iris_level
        for nevus in pathology.nevi:
            away = self._distance(nevus.angle, nevus.depth, pupil)
            iris += nevus.level * np.clip((nevus.radius - away) / 0.3 + 0.5, 0, 1)
        iris = self._openings(pathology, iris, pupil)
        iris -= 20 * np.exp(
            -np.clip(scene.below_upper[scene.box], 0, None) / 0.9
        )  # shadow of the upper lid
        sclera = self._flush(pathology, sclera)
        edge = np.clip((limbus - radius) / identity.limbus_width + 0.5, 0, 1)
        image = sclera + edge * edge * (3 - 2 * edge) * (iris - sclera)
        cloud = np.cos(2 * scene.rel_x + 1) * np.cos(1.6 * scene.rel_y)
        dark = 9 + pathology.cataract * np.clip(62 - 5 * radius**2 + 7 * cloud, 8, 80)
        image += np.clip((pupil - radius) / 0.13 + 0.5, 0, 1) * (dark - image)
        if pathology.pterygium:
            image = self._pterygium(pathology, image)
        if pathology.haze:
            uneven = np.cos(0.9 * scene.rel_x + 0.7) * np.cos(0.8 * scene.rel_y - 0.4)
            veil = np.clip((limbus + 0.3 - radius) / 1.2, 0, 1) * (1 + 0.1 * uneven)
            image += pathology.haze * veil * (150 - image)
        return self._glints(pathology, image)

    def _pupil_edge(self, pathology: Pathology) -> np.ndarray:
        """Radius of the pupil in mm along every direction: slightly off centre, irregular, oval
        with disease.
        """
        mean = pupil_ratio(self.capture, pathology) * self.identity.iris_radius
        limbus, angle = (
            self.identity.iris_radius,
            np.linspace(0, 2 * np.pi, POLAR[1], endpoint=False),
        )
        wave = np.random.default_rng([self.identity.iris_seed, 3]).uniform(0, 2 * np.pi, 2)
        edge = mean * (
            1 + 0.010 * np.cos(2 * angle + wave[0]) + 0.007 * np.cos(3 * angle + wave[1])
        )
        if pathology.ovality:  # the long axis is vertical
            edge -= mean * pathology.ovality * np.cos(2 * (angle - pathology.oval_axis))
        turn = np.deg2rad(self.capture.rotation)  # the offset is fixed to the frame, as in `locate`
        edge += limbus * (-0.02 * np.cos(angle + turn) + 0.012 * np.sin(angle + turn))
        return edge.astype(np.float32).take(self.column)

    def _distance(self, angle: float, depth: float, pupil: np.ndarray) -> np.ndarray:
        """Distance in mm of every pixel to a point of the iris given in polar coordinates."""
        inner = float(pupil.mean())
        place = inner + depth * (self.identity.iris_radius - inner)
        away = self.scene.angle - np.float32(angle)
        return np.sqrt(
            np.maximum(
                self.scene.radius**2 + place**2 - 2 * place * self.scene.radius * np.cos(away), 0
            )
        )

    def _openings(self, pathology: Pathology, iris: np.ndarray, pupil: np.ndarray) -> np.ndarray:
        """Iridotomies and iridectomy: holes as dark as the pupil, with a singed lighter rim."""
        limbus = self.identity.iris_radius
        for hole in pathology.holes:
            away = self._distance(_clock(hole.clock), hole.depth, pupil)
            iris = iris + 14 * np.exp(-(((away - 0.62 * hole.diameter) / 0.14) ** 2)) * min(
                1.0, 2 * hole.diameter
            )
            iris += (
                np.clip((hole.diameter / 2 - away) / 0.10 + 0.5, 0, 1)
                * min(1.0, hole.diameter / 0.2)
                * (14 - iris)
            )
        if pathology.wedge and pathology.wedge.width > 0:
            wedge = pathology.wedge
            away = self.scene.angle - np.float32(_clock(wedge.clock))
            along, across = self.scene.radius * np.cos(away), self.scene.radius * np.sin(away)
            start = limbus - wedge.reach * (limbus - pupil)
            share = np.clip((along - start) / (limbus - start), 0, 1)
            inside = np.clip(
                (0.5 * wedge.width * share**0.7 - np.abs(across)) / 0.12 + 0.5, 0, 1
            ) * (share > 0)
            iris = iris + inside * min(1.0, wedge.width / 0.5) * (14 - iris)
        return iris

    def _flush(self, pathology: Pathology, sclera: np.ndarray) -> np.ndarray:
        """Ciliary injection: a darker ring of fine radial vessels outside the limbus."""
        if not pathology.flush:
            return sclera
        outside = self.scene.radius - self.identity.iris_radius
        vessels = iris_texture(self.identity)[40, PAD:-PAD].take(self.column)
        ring = np.exp(-np.clip(outside, 0, None) / 1.0)
        return sclera - pathology.flush * ring * (30 + 1.6 * vessels)

    def _pterygium(self, pathology: Pathology, image: np.ndarray) -> np.ndarray:
        """Paint a wing of bright tissue that grows from the nasal corner over the limbus."""
        scene = self.scene
        x = scene.radius * np.cos(scene.angle)
        y = scene.radius * np.sin(scene.angle)
        tip = -self.identity.iris_radius + pathology.pterygium
        wing = np.clip((0.32 * (tip - x) + 0.3 - np.abs(y - 0.3)) / 0.9 + 0.5, 0, 1)
        wing *= np.clip((tip - x) / 0.9 + 0.4, 0, 1)
        wing *= np.clip(
            (x + 1.3 * self.identity.iris_radius) / 1.5, 0, 1
        )  # it fades into the sclera
        return image + 0.62 * wing * (self.identity.sclera_level - 18 - image)

    def _glints(self, pathology: Pathology, image: np.ndarray) -> np.ndarray:
        """Corneal reflections, saturated with a faint halo; an artificial lens adds larger ones off
        the axis.
        """
        scene, capture = self.scene, self.capture
        # the first Purkinje image moves half as far as the iris when the eye turns
        dx = 0.5 * EYE_RADIUS * np.sin(np.deg2rad(capture.gaze_x))
        dy = -0.5 * EYE_RADIUS * np.sin(np.deg2rad(capture.gaze_y))
        spots = [(g.x + dx, g.y + dy, g.radius, g.level) for g in capture.glints]
        if pathology.lens:
            spots += [
                (-0.9 - dx, 1.0 - dy, 0.34, 200 * pathology.lens),
                (0.8 - dx, -0.7 - dy, 0.22, 170 * pathology.lens),
            ]
        # and the tears on the lower margin mirror them once more
        row, column = np.clip((scene.iris_y, scene.iris_x), 0, (HEIGHT - 1, WIDTH - 1)).astype(int)
        margin = float(scene.above_lower[row, column])
        spots += [
            (0.7 * (g.x + dx), margin - 0.15, 0.5 * g.radius, 235.0) for g in capture.glints[:2]
        ]
        for x, y, size, level in spots:
            squared = (scene.rel_x - np.float32(x)) ** 2 + (
                (scene.rel_y - np.float32(y)) * 0.85
            ) ** 2
            core = np.clip((size - np.sqrt(squared)) / 0.07 + 0.5, 0, 1)
            halo = 30 * np.exp(-squared / (2 * (2.2 * size) ** 2))
            image = image + core * (np.float32(level) - image) + halo * (1 - core)
        return image


def _clock(hours: float) -> float:
    """Hours of a clock to radians from 3 o'clock, clockwise (y points down)."""
    return (hours - 3) * np.pi / 6


def _expose(clean: np.ndarray, capture: Capture, label: str) -> np.ndarray:
    """Add shot and read noise, round to 8 bits and burn the label in."""
    noise = np.random.default_rng(capture.noise_seed).standard_normal(clean.shape, dtype=np.float32)
    noise *= np.sqrt(capture.read_noise**2 + capture.shot_noise * np.clip(clean, 0, 255))
    image = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    if label:
        (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
        image[HEIGHT - height - 12 :, : width + 14] = 16
        cv2.putText(
            image, label, (7, HEIGHT - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 235, 1, cv2.LINE_AA
        )
    return image
