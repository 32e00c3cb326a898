"""Blur beside a plain OpenCV loop on 8-bit images and beside torchvision, in images per second.

Ours and the peers take turns on the same images; the figures are medians, the ratio is ours / peer.
"""

import time
from statistics import median

import cv2
import numpy as np
import torch
from torchvision.transforms.v2.functional import gaussian_blur

from medpriv_lib.privatizers.blur import blurred, sigma_of

REPEATS = 7


def plain_loop(images: np.ndarray, kernel: int) -> np.ndarray:
    sigma = sigma_of(kernel)
    return np.stack(
        [
            cv2.GaussianBlur(
                image, (kernel, kernel), sigma, sigmaY=sigma, borderType=cv2.BORDER_REFLECT_101
            )
            for image in images
        ]
    )


def with_torchvision(images: np.ndarray, kernel: int) -> np.ndarray:
    batch = torch.from_numpy(images).unsqueeze(1)
    return gaussian_blur(batch, [kernel, kernel], [sigma_of(kernel)] * 2).squeeze(1).numpy()


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    images = np.random.default_rng(0).integers(0, 256, (1795, 64, 64), dtype=np.uint8)
    rows = []
    for kernel in (3, 9, 15, 21):
        works = {
            "ours": blurred,
            "a plain OpenCV loop": plain_loop,
            "torchvision": with_torchvision,
        }
        speed: dict[str, list[float]] = {name: [] for name in works}
        for repeat in range(REPEATS + 1):
            for name, work in works.items():
                start = time.perf_counter()
                work(images, kernel)
                if repeat:  # the first round warms up
                    speed[name].append(len(images) / (time.perf_counter() - start))
        ours = median(speed.pop("ours"))
        rows += [
            {
                "name": f"blur, kernel {kernel}, beside {name}",
                "ours": ours,
                "peer": median(each),
                "ratio": ours / median(each),
                "unit": "images/s",
            }
            for name, each in speed.items()
        ]
    return rows


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<48} {row['ours']:8.0f} {row['unit']}   peer {row['peer']:8.0f}  ratio "
            f"{row['ratio']:.2f}"
        )
