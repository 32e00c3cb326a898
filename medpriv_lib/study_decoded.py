"""Every test image under every identity, decoded and judged once: all draws of the study are then only look-ups."""

import hashlib
from collections.abc import Callable

import numpy as np
import torch

from medpriv_lib.cohort import Cohort, Release, to_uint8
from medpriv_lib.evaluation.scores import Verdicts, judge
from medpriv_lib.recognition.judges import Judges

LARGEST = 80_000  # decoded images of 64x64 kept in memory as float16: 655 MB; larger studies privatise draw by draw


def seeded(seed: int, *names: str | int) -> torch.Generator:
    """Return a generator for one named part of the study, so that parts can run alone or in any order."""
    text = "/".join(map(str, (seed, *names)))
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))


class Decoded:
    """The table of decodes `images` float16 (N, P, H, W) in [-1, 1] of N test images under P identities.

    The latent code z of each test image is drawn once, with `generator`; the ten draws of the study draw identities.
    Half precision is finer (0.0005 of [-1, 1]) than a grey level (0.008), so that an average of six, rounded once at
    the end, is within one grey level of the privatizer's own. `verdicts` are those of the judges on the N * P single
    images, in row-major order.
    """

    def __init__(self, vgan, cohort: Cohort, judges: Judges, generator: torch.Generator, advance: Callable) -> None:
        """Decode and judge; `advance(n)` is told how many of the 2 * N * P steps are done."""
        self.vgan, self.cohort = vgan, cohort
        n, identities = len(cohort), cohort.patients
        self.images = np.empty((n, identities, *cohort.images.shape[1:]), dtype=np.float16)
        z = vgan.encode(cohort.images, generator)
        everyone = torch.arange(identities)
        parts = []
        for row in range(n):
            decoded = vgan.decode(z[row:row + 1].expand(identities, -1), everyone)
            self.images[row] = decoded.squeeze(1).cpu().numpy()
            advance(identities)
        for start in range(0, n, 8):
            rows = np.repeat(np.arange(start, min(start + 8, n)), identities)
            named = np.tile(np.arange(identities), len(rows) // identities)
            parts.append(judge(_grey(self.images[rows, named]), cohort.patient[rows], named[:, None], judges))
            advance(len(rows))
        self.verdicts = Verdicts(*(None if parts[0].__dict__[key] is None else
                                   np.concatenate([part.__dict__[key] for part in parts])
                                   for key in ("identity", "disease", "unseen", "contributor_seen")))

    def single(self, cohort: Cohort, policy: str, generator: torch.Generator) -> tuple[Release, Verdicts]:
        """Return what `PPRLVGAN` with this policy releases, and the verdicts; `cohort` may carry predicted labels."""
        named = np.asarray(self.vgan.draw_identities(cohort, generator, 1, policy), dtype=np.int64)
        rows = np.arange(len(cohort))
        release = Release(_grey(self.images[rows, named[:, 0]]), rows, named, "pprl-vgan", {"policy": policy})
        return release, self.verdicts.take(rows * cohort.patients + named[:, 0])

    def averaged(self, cohort: Cohort, k: int, policy: str, generator: torch.Generator) -> tuple[Release, None]:
        """Return what `Averaged` releases: the mean over the own identity and k - 1 others."""
        others = np.asarray(self.vgan.draw_identities(cohort, generator, k - 1, policy), dtype=np.int64)
        named = np.concatenate([cohort.patient[:, None], others], axis=1)
        rows = np.arange(len(cohort))
        mean = self.images[rows[:, None], named].astype(np.float32).mean(axis=1)
        return Release(_grey(mean), rows, named, "averaged", {"k": k, "policy": policy}), None


def _grey(images: np.ndarray) -> np.ndarray:
    """Turn values in [-1, 1], (N, H, W), into grey levels."""
    return to_uint8(torch.from_numpy(images).unsqueeze(1))
