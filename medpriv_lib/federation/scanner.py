"""A hospital's own camera: the same eyes, brighter, flatter, softer or noisier."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from medpriv_lib.core.pixels import Images


@dataclass(frozen=True)
class Scanner:
    """How one hospital's camera shows an eye: level -> 255 (level / 255)^`gamma` `gain` + `black`,
    smoothed by a Gaussian of `blur` pixels, with white noise of `noise` grey levels.
    """

    gain: float
    black: float
    gamma: float
    blur: float
    noise: float

    @classmethod
    def drawn(cls, generator: "torch.Generator") -> "Scanner":
        """Draw a camera: gains of .65 to 1.05, black levels to 50, gammas of .7 to 1.4, blurs to
        1.2 pixels, noise to 12 levels.
        """
        import torch

        u = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
        return cls(0.65 + 0.4 * u[0], 50 * u[1], 0.7 + 0.7 * u[2], 1.2 * u[3], 12 * u[4])

    def photograph(self, images: "Images", generator: "torch.Generator") -> "Images":
        """Return uint8 images as this camera takes them; the noise is drawn from `generator`."""
        import cv2
        import torch

        curve = 255 * (np.arange(256) / 255) ** self.gamma * self.gain + self.black
        shown = curve[images].astype(np.float32)
        if self.blur > 0.05:  # a kernel this narrow is one pixel
            shown = np.stack([cv2.GaussianBlur(one, (0, 0), self.blur) for one in shown])
        noise = torch.randn(shown.shape, generator=generator).numpy()
        return np.clip(np.rint(shown + self.noise * noise), 0, 255).astype(np.uint8)
