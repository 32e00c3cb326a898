"""From identity, pathology and capture to the near-infrared image of an eye, its twin and its
evidence.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.synthetic.capture import Capture
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.painter import Painter
from medpriv_lib.data.synthetic.pathology import Pathology
from medpriv_lib.data.synthetic.scene import HEIGHT, locate

EVIDENCE_LEVEL = 8  # grey levels of 255 by which a pixel must differ from its twin before noise


@dataclass(frozen=True)
class Rendering:
    """An image and its truth: `image`, `twin` uint8 (480, 640), `evidence` bool, `eye` true
    geometry, `right` whether it is a right eye, which is mirrored when it is cut out.
    """

    image: UInt8[np.ndarray, "480 640"]
    twin: UInt8[np.ndarray, "480 640"]
    evidence: Bool[np.ndarray, "480 640"]
    eye: Eye
    right: bool = False


def render(
    identity: Identity, pathology: Pathology, capture: Capture, label: str = ""
) -> UInt8[np.ndarray, "480 640"]:
    """Return the image as the camera writes it; `label` is burned into the lower left corner."""
    scene = Painter(identity, capture)
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
    scene = Painter(identity, capture)
    clean = scene.clean(pathology)
    image = _expose(clean, capture, label)
    eye, right = locate(identity, pathology, capture), identity.eye == "R"
    if not pathology.glaucoma:
        return Rendering(image, image, np.zeros(image.shape, bool), eye, right)
    healthy = scene.clean(pathology.without_glaucoma())
    evidence = np.abs(np.clip(clean, 0, 255) - np.clip(healthy, 0, 255)) >= EVIDENCE_LEVEL
    return Rendering(image, _expose(healthy, capture, label), evidence, eye, right)


def _expose(clean: np.ndarray, capture: Capture, label: str) -> np.ndarray:
    """Add shot and read noise, round to 8 bits and burn the label in."""
    noise = np.random.default_rng(capture.noise_seed).standard_normal(clean.shape, dtype=np.float32)
    noise *= np.sqrt(capture.read_noise**2 + capture.shot_noise * np.clip(clean, 0, 255))
    if capture.camera.noise != 1:
        noise *= np.float32(capture.camera.noise)
    image = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    if label:
        (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
        image[HEIGHT - height - 12 :, : width + 14] = 16
        cv2.putText(
            image, label, (7, HEIGHT - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 235, 1, cv2.LINE_AA
        )
    return image
