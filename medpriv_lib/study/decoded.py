"""Every test image under every identity that the study draws, decoded once: its draws are then only
look-ups.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.memory import Memory
from medpriv_lib.core.pixels import Images, channels_of, to_tensor, to_uint8
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.controls import PriorSample
from medpriv_lib.privatizers.controls.stencil import JUDGES
from medpriv_lib.privatizers.protocol import Privatizer, Resources
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges

CANDIDATES = 15


class Decoded:
    """The decodes of the test images under the identities that are drawn for them.

    For each image and policy 15 candidates are drawn from the policy's pool without replacement
    (all of the pool where it is smaller); each draw of the study takes one of them at random, or k
    - 1 for an averaged set. A draw by itself is thus uniform over the pool, as the privatizers
    draw; the ten draws share candidates, so that an image is decoded some 40 times and not 115. The
    latent code z of a test image is drawn once. The candidates depend on the seed, the policy and
    the image's label only: rows with true and with predicted labels differ where the labels do.

    `images` float16 (M, C, H, W) in [-1, 1]: half precision is finer (0.0005) than a grey level
    (0.008), so that an average of six, rounded once at the end, is within one grey level of the
    privatizer's own. `index` (N, P) says which of the M is the image of test row n under identity
    p, -1 where it is not drawn.
    """

    def __init__(
        self, vgan: PPRLVGAN, cohort: Cohort, seed: int, candidates: int = CANDIDATES
    ) -> None:
        """Prepare; nothing is decoded yet."""
        self.vgan, self.seed, self.candidates = vgan, seed, candidates
        self.z = vgan.encode(cohort.images, seeded(seed, "latent"))
        self.index = np.full((len(cohort), vgan.architecture.patients), -1, dtype=np.int64)
        shape = (channels_of(cohort.images), *cohort.images.shape[1:3])
        self.images = np.empty((0, *shape), dtype=np.float16)

    @classmethod
    def of(cls, resources: Resources, cohort: Cohort, seed: int) -> Self:
        """Return the decodes by the PPRL-VGAN of these resources."""
        return cls(PPRLVGAN.of(resources), cohort, seed)

    @staticmethod
    def serves(method: type[Privatizer]) -> bool:
        """Say whether the releases of a method can be taken from the decodes."""
        return method in (PPRLVGAN, Averaged)

    def drawn(
        self, method: type[Privatizer], settings: Mapping[str, Any], cohort: Cohort, draw: int
    ) -> Int64[np.ndarray, "n k"]:
        """Return the identities that a method which is served shows each image as, in a draw.

        Raises `NotApplicable` where this cohort does not allow the method.
        """
        if method is PPRLVGAN:
            return self.identities(cohort, settings["policy"], draw)
        return self.averaged_identities(cohort, settings["k"], settings["policy"], draw)

    def release(
        self,
        method: type[Privatizer],
        settings: Mapping[str, Any],
        named: Int64[np.ndarray, "n k"],
    ) -> Release:
        """Return what a method which is served releases for these identities."""
        make = self.single if method is PPRLVGAN else self.averaged
        return make(named, settings["policy"])

    def identities(self, cohort: Cohort, policy: str, draw: int) -> Int64[np.ndarray, "n 1"]:
        """Return the replacement identity of each image in a draw; errors as of
        `PPRLVGAN.draw_identities`.
        """
        return self._pick(cohort, policy, 1, draw)

    def averaged_identities(
        self, cohort: Cohort, k: int, policy: str, draw: int
    ) -> Int64[np.ndarray, "n k"]:
        """Return the identities of an averaged set, the own one first; errors as of
        `Averaged.identities`.
        """
        generator = seeded(self.seed, "average", policy, draw)
        drawn = Averaged(self.vgan, k, policy).identities(cohort, generator)
        if self.vgan.pools.candidates(cohort, policy).sum(1).min() >= k - 1:
            drawn[:, 1:] = self._pick(cohort, policy, k - 1, draw)
        return drawn

    def decode(self, needed: Bool[np.ndarray, "n p"], advance: Callable[[int], None]) -> None:
        """Decode image n under identity p wherever `needed` says so; `advance(n)` is told the
        progress.
        """
        rows, identities = np.nonzero(needed)
        self.index[rows, identities] = np.arange(len(rows))
        self.images = np.empty((len(rows), *self.images.shape[1:]), dtype=np.float16)
        for start in range(0, len(rows), 128):
            part = slice(start, start + 128)
            made = self.vgan.decode(self.z[rows[part]], torch.from_numpy(identities[part]))
            self.images[part] = made.numpy()
            advance(len(made))

    def single(self, named: Int64[np.ndarray, "n 1"], policy: str) -> Release:
        """Return what `PPRLVGAN` with this policy releases for these identities."""
        rows = np.arange(len(named))
        return Release(
            _levels(self.images[self.index[rows, named[:, 0]]]),
            rows,
            named,
            PPRLVGAN.name,
            {"policy": policy},
        )

    def averaged(self, named: Int64[np.ndarray, "n k"], policy: str) -> Release:
        """Return what `Averaged` releases for these identities."""
        rows = np.arange(len(named))
        total = np.zeros((len(named), *self.images.shape[1:]), dtype=np.float32)
        for column in named.T:
            total += self.images[self.index[rows, column]]
        return Release(
            _levels(total / named.shape[1]),
            rows,
            named,
            Averaged.name,
            {"k": named.shape[1], "policy": policy},
        )

    def _pick(
        self, cohort: Cohort, policy: str, count: int, draw: int
    ) -> Int64[np.ndarray, "n count"]:
        smallest = int(self.vgan.pools.candidates(cohort, policy).sum(1).min())
        there = max(
            count, min(self.candidates, smallest)
        )  # an empty pool becomes the error of draw_identities
        candidates = self.vgan.draw_identities(
            cohort, seeded(self.seed, "candidates", policy), there, policy, False
        )
        order = torch.rand(
            candidates.shape, generator=seeded(self.seed, "pick", policy, count, draw)
        ).argsort(1)
        return np.take_along_axis(candidates, order[:, :count].numpy(), axis=1)


def _levels(images: np.ndarray) -> Images:
    """Turn values in [-1, 1], (N, C, H, W), into levels."""
    return to_uint8(torch.from_numpy(images))


def networks_of(vgan: PPRLVGAN, judges: Judges | None = None) -> dict[str, Any]:
    """Return what the study has in memory, as `Resources.trained`: prior samples are remembered.

    `judges` are what some controls ask.
    """
    networks: dict[str, Any] = {PPRLVGAN.name: vgan, PriorSample.name: RememberingDecoder(vgan)}
    if judges is None:
        return networks
    return networks | {PPRLVGAN.name: RememberingVGAN(vgan), JUDGES: judges}


class RememberingVGAN(PPRLVGAN):
    """PPRL-VGAN with a memory of what it decoded, for draws that share nothing.

    A healthy image is its own twin, and true and predicted labels agree in most images: their
    codes and identities are the same. Kept as float16, as `Decoded` keeps them: 8 kB an image.
    """

    def __init__(self, vgan: PPRLVGAN) -> None:
        """Take the trained networks and start with an empty memory."""
        super().__init__(vgan.policy, vgan.generator, vgan.pools)
        self._memory = Memory()

    def with_policy(self, policy: str) -> "RememberingVGAN":
        """Return the same networks under another policy, with the same memory."""
        other = RememberingVGAN(super().with_policy(policy))
        other._memory = self._memory
        return other

    def decode(
        self, z: Float[Tensor, "n z"], identity: Int64[Tensor, " n"], batch: int = 16
    ) -> Float[Tensor, "n c s s"]:
        """Return what `PPRLVGAN.decode` returns, rounded to float16; each code once."""
        if len(z) == 0:
            return super().decode(z, identity, batch)
        keys = [
            code.tobytes() + c.to_bytes(8, "big")
            for code, c in zip(z.numpy(), torch.as_tensor(identity).tolist(), strict=True)
        ]
        plain = super().decode

        def read(rows: np.ndarray) -> np.ndarray:
            made: np.ndarray = plain(z[rows], torch.as_tensor(identity)[rows], batch).half().numpy()
            return made

        return torch.from_numpy(self._memory.recall(keys, read)).float()


class RememberingDecoder:
    """The part of PPRL-VGAN that prior samples use; a code shown as a patient is decoded once.

    A prior sample does not look at the source, so image and twin, true and predicted labels share
    theirs. Kept as grey levels, 4 kB per image of 64x64: `decode` returns values on the 256 levels,
    which `to_uint8` turns back exactly.
    """

    def __init__(self, vgan: PPRLVGAN) -> None:
        """Start with an empty memory."""
        self.vgan, self.latent, self.draw_identities = vgan, vgan.latent, vgan.draw_identities
        self._memory = Memory()

    def decode(
        self, z: Float[Tensor, "n z"], identity: Int64[Tensor, " n"]
    ) -> Float[Tensor, "n 1 s s"]:
        """Return what `PPRLVGAN.decode` returns, rounded to grey levels."""
        keys = [
            code.tobytes() + c.to_bytes(8, "big")
            for code, c in zip(z.numpy(), identity.tolist(), strict=True)
        ]
        levels = self._memory.recall(
            keys, lambda rows: to_uint8(self.vgan.decode(z[rows], identity[rows]))
        )
        return to_tensor(levels)
