"""The eye within its lids: iris, pupil, cornea and glints, with what disease does to them."""

import cv2
import numpy as np
from jaxtyping import Float

from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.scene import EYE_RADIUS, HEIGHT, WIDTH, Scene, pupil_ratio
from medpriv_lib.data.synthetic.taken import taken
from medpriv_lib.data.synthetic.texture import PAD, POLAR, iris_detail, iris_texture

Box = Float[np.ndarray, "h w"]


class EyePainter:
    """Paints the eye of one scene, once per pathology, within the box around the iris."""

    def __init__(self, scene: Scene) -> None:
        """Take the scene's geometry."""
        self.scene = scene
        self.identity: Identity = scene.identity
        self.capture: Capture = scene.capture
        self.lamps = taken(scene.capture).glints
        self.column = (scene.angle * np.float32(POLAR[1] / (2 * np.pi))).astype(np.int32) % POLAR[1]

    def paint(self, pathology: Pathology, sclera: np.ndarray) -> np.ndarray:
        """Iris, pupil, cornea and glints over the sclera, within the box around the iris."""
        scene, identity = self.scene, self.identity
        radius, angle = scene.radius, scene.angle
        limbus = identity.iris_radius
        pupil = self._pupil_edge(pathology)
        depth = np.clip((radius - pupil) / (limbus - pupil), 0, 1)
        columns = POLAR[1]
        iris: np.ndarray = cv2.remap(
            self._texture(),
            angle * np.float32(columns / (2 * np.pi)) + PAD,
            depth * (POLAR[0] - 1),
            cv2.INTER_LINEAR,
        )
        camera = self.capture.camera
        iris += identity.iris_level + camera.iris_offset
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
        dark = camera.pupil_level + pathology.cataract * np.clip(
            62 - 5 * radius**2 + 7 * cloud, 8, 80
        )
        image += np.clip((pupil - radius) / 0.13 + 0.5, 0, 1) * (dark - image)
        if pathology.pterygium:
            image = self._pterygium(pathology, image)
        if pathology.haze:
            uneven = np.cos(0.9 * scene.rel_x + 0.7) * np.cos(0.8 * scene.rel_y - 0.4)
            veil = np.clip((limbus + 0.3 - radius) / 1.2, 0, 1) * (1 + 0.1 * uneven)
            image += pathology.haze * veil * (150 + 0.5 * camera.iris_offset - image)
        return self._glints(pathology, image)

    def _texture(self) -> np.ndarray:
        """Return the iris in polar coordinates, with the contrast and the detail of the camera."""
        camera = self.capture.camera
        texture = iris_texture(self.identity, camera.drawing)
        if camera.iris_contrast != 1:
            texture = np.float32(camera.iris_contrast) * texture
        if camera.detail:
            texture = texture + np.float32(camera.detail) * iris_detail(self.identity.iris_seed)
        return texture

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
        if self.capture.irregularity:
            edge += mean * self.capture.irregularity * self._waves(angle)
        turn = np.deg2rad(self.capture.rotation)  # the offset is fixed to the frame, as in `locate`
        edge += limbus * (-0.02 * np.cos(angle + turn) + 0.012 * np.sin(angle + turn))
        return edge.astype(np.float32).take(self.column)

    def _waves(self, angle: np.ndarray) -> np.ndarray:
        """Return how an irregular edge runs in and out, at most about 1; always the same for an
        eye.
        """
        rng = np.random.default_rng([self.identity.iris_seed, 5])
        phases = rng.uniform(0, 2 * np.pi, 5)
        strengths = rng.uniform(0.3, 1, 5) / np.arange(2, 7)
        waves = sum(
            (
                s * np.cos(k * angle + p)
                for k, s, p in zip(range(2, 7), strengths, phases, strict=True)
            ),
            start=np.zeros_like(angle),
        )
        return waves / np.abs(waves).max()

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
        dark = self.capture.camera.pupil_level + 5
        for hole in pathology.holes:
            away = self._distance(_clock(hole.clock), hole.depth, pupil)
            iris = iris + 14 * np.exp(-(((away - 0.62 * hole.diameter) / 0.14) ** 2)) * min(
                1.0, 2 * hole.diameter
            )
            iris += (
                np.clip((hole.diameter / 2 - away) / 0.10 + 0.5, 0, 1)
                * min(1.0, hole.diameter / 0.2)
                * (dark - iris)
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
            iris = iris + inside * min(1.0, wedge.width / 0.5) * (dark - iris)
        return iris

    def _flush(self, pathology: Pathology, sclera: np.ndarray) -> np.ndarray:
        """Ciliary injection: a darker ring of fine radial vessels outside the limbus."""
        if not pathology.flush:
            return sclera
        outside = self.scene.radius - self.identity.iris_radius
        vessels = iris_texture(self.identity, self.capture.camera.drawing)[40, PAD:-PAD].take(
            self.column
        )
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
        spots = [(g.x + dx, g.y + dy, g.radius, g.level) for g in self.lamps]
        if pathology.lens:
            spots += [
                (-0.9 - dx, 1.0 - dy, 0.34, 200 * pathology.lens),
                (0.8 - dx, -0.7 - dy, 0.22, 170 * pathology.lens),
            ]
        # and the tears on the lower margin mirror them once more
        row, column = np.clip((scene.iris_y, scene.iris_x), 0, (HEIGHT - 1, WIDTH - 1)).astype(int)
        margin = float(scene.above_lower[row, column])
        spots += [(0.7 * (g.x + dx), margin - 0.15, 0.5 * g.radius, 235.0) for g in self.lamps[:2]]
        faint = 30.0 if capture.camera.drawing == 1 else 60.0 / max(2, len(spots))
        for x, y, size, level in spots:
            squared = (scene.rel_x - np.float32(x)) ** 2 + (
                (scene.rel_y - np.float32(y)) * 0.85
            ) ** 2
            core = np.clip((size - np.sqrt(squared)) / 0.07 + 0.5, 0, 1)
            halo = np.float32(faint) * np.exp(-squared / (2 * (2.2 * size) ** 2))
            image = image + core * (np.float32(level) - image) + halo * (1 - core)
        return image


def _clock(hours: float) -> float:
    """Hours of a clock to radians from 3 o'clock, clockwise (y points down)."""
    return (hours - 3) * np.pi / 6
