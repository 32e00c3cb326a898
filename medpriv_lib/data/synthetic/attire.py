"""What people wear before a camera: spectacles and make-up, painted over skin, lashes and eye."""

import numpy as np
from jaxtyping import Float

from medpriv_lib.data.synthetic.scene import Scene
from medpriv_lib.data.synthetic.spectacles import Spectacles

Image = Float[np.ndarray, "480 640"]


def made_up(skin: Image, scene: Scene, strength: float) -> Image:
    """Return the skin with a line along both lid margins and shadow on the upper lid."""
    above, below = -scene.below_upper, -scene.above_lower
    shadow = np.clip(1 - above / scene.identity.crease, 0, 1) * (above > 0)
    skin = skin * (1 - 0.45 * strength * shadow)
    line = np.exp(-((np.clip(above, 0, None) / 0.9) ** 2)) * (above > -0.2)
    line = np.maximum(line, 0.8 * np.exp(-((np.clip(below, 0, None) / 0.5) ** 2)) * (below > -0.2))
    return skin + strength * line * (28 - skin)


def behind(image: Image, scene: Scene, spectacles: Spectacles) -> Image:
    """Return the image behind spectacles: a veil and mirrored lamps in the lens, then the rim."""
    x, y = np.abs(scene.x) / spectacles.half_width, np.abs(scene.y) / spectacles.half_height
    outline = (x**spectacles.roundness + y**spectacles.roundness) ** (1 / spectacles.roundness)
    # how far outside the lens in mm, near enough for a rim
    outside = (outline - 1) * min(spectacles.half_width, spectacles.half_height)
    soft = scene.scale / 2
    within = np.clip(0.5 - outside * soft, 0, 1)
    image = image + within * spectacles.veil * (190 - image)
    for mx, my, half_width, half_height, level in spectacles.mirrored:
        away = np.maximum(np.abs(scene.x - mx) / half_width, np.abs(scene.y - my) / half_height)
        lamp = np.clip((1 - away) * soft * min(half_width, half_height) + 0.5, 0, 1) * within
        image = image + 0.92 * lamp * (level - image)
    cast = np.clip(1 - np.abs(outside - 1.5 * spectacles.rim) / spectacles.rim, 0, 1)
    image = image * (1 - 0.25 * cast)  # the rim's shadow on the skin
    rim = np.clip((spectacles.rim / 2 - np.abs(outside - spectacles.rim / 2)) * soft + 0.5, 0, 1)
    bent = 0.5 + 0.5 * np.cos(np.pi * (outside / spectacles.rim - 0.4))  # a rounded bar is lit so
    return image + rim * (spectacles.level * (0.7 + 0.5 * bent) - image)
