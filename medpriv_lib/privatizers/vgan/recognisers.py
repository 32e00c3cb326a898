"""Frozen identity recognisers: a second and third opinion on whose eye the generator shows.

The discriminator's own head D^2 is easily pleased. It knows the training patients, and still the
generator finds patterns that D^2 takes for patient c and that no other network does: its identity
loss falls to zero while an independent judge names c less often: on the default cohort in 89 % of
the test images, and in 97 % with two recognisers beside D^2. What pleases several
networks that were trained apart carries over to a network that took no part (Liu, Chen, Liu, Song,
ICLR 2017, arXiv 1611.02770). So recognisers, trained beforehand on the same training images and
then left alone, share the identity term with D^2. An identity loss from a frozen recogniser is
usual where faces are exchanged (Li, Bao, Yang, Chen, Wen, CVPR 2020, arXiv 1912.13457); Chen et al.
and Montenegro et al. have D^2 alone.

They look at the image at half its size, where that is a multiple of 16. In full size they taught
the generator to cover the eye with a fine checkerboard, which is a name to a network and nothing to
a person.

They are not the judges: those have other seeds and take no part in the training.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.recognition.train import Progress, fit_recogniser

SEED = 7_919  # the judges' seeds are small numbers


def size_seen(size: int) -> int:
    """Return at how many pixels a frozen recogniser sees images of `size` pixels: half as many
    where the half can be halved on.
    """
    return size // 2 if size % 32 == 0 else size


def frozen_recognisers(
    train: Cohort,
    count: int,
    epochs: int,
    seed: int,
    device: torch.device,
    folder: Path | None = None,
    progress: Progress | bool = True,
) -> list[nn.Module]:
    """Train `count` recognisers of the patient on the training images; return them ready to judge,
    without gradients.

    Each maps images (N, C, S, S) in [-1, 1] to logits (N, patients). No image of another split is
    used, so all `epochs` are run and the last state is kept. With a `folder` each goes on from the
    checkpoint it finds there. `progress` as of `fit_recogniser`.
    """
    seen = size_seen(train.images.shape[1])
    images = np.stack(
        [cv2.resize(image, (seen, seen), interpolation=cv2.INTER_AREA) for image in train.images]
    )
    small = replace(train, images=images, twin=None, evidence=None)
    networks: list[nn.Module] = []
    for number in range(count):
        resume = None if folder is None else folder / f"recogniser-{number}"
        network, _ = fit_recogniser(
            small,
            None,
            "identity",
            seed=SEED * (seed + 1) + number,
            epochs=epochs,
            device=device,
            resume=resume,
            progress=progress,
        )
        networks.append(
            nn.Sequential(nn.AdaptiveAvgPool2d(seen), network.merged()).requires_grad_(False)
        )
    return networks
