"""A generator small enough to be understood: what it decodes is linear in the code."""

import numpy as np
import torch
from small_cohorts import cohort_of, parted

from medpriv_lib.core.pixels import to_tensor, to_uint8
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.codes import mean_decode

SIZE, CODE = 16, 6


def coded_cohort(patients=24, each=6, within=0.4, seed=0):
    """Return a cohort, and codes (N, 6) of its images: patients differ by 1, images of one patient
    by `within`; the last image of each patient is for testing."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), each)
    code = rng.normal(size=(patients, CODE))[patient]
    code = code + within * rng.normal(size=code.shape)
    images = to_uint8(_drawn(torch.from_numpy(code).float()))
    split = parted(patients, each)
    return cohort_of(images, patient, patient % 3 == 0, split=split, name="coded"), code


def _basis():
    rng = np.random.default_rng(7)
    return torch.linalg.qr(torch.from_numpy(rng.normal(size=(SIZE * SIZE, CODE)))).Q.float()


def _drawn(code):
    return (2.0 * code @ _basis().T).reshape(-1, 1, SIZE, SIZE)


class LinearGenerator:
    """Encodes an image by projection, and shows a code on one of P faint patterns of its own.

    `sigma` is what a draw adds to each coordinate; `number` K decodes are averaged, the first with
    the source's own pattern."""

    name, settings = "linear", {}  # noqa: RUF012

    def __init__(self, patients, sigma=0.3, number=1, looks=True):
        self.sigma, self.number, self.looks = sigma, number, looks
        rng = np.random.default_rng(8)
        self.pattern = torch.from_numpy(0.15 * rng.normal(size=(patients, 1, SIZE, SIZE))).float()

    @classmethod
    def averages_from(cls, settings):
        return None

    def posterior(self, images):
        mean = to_tensor(images).flatten(1) @ _basis() / 2.0
        return mean, torch.full_like(mean, self.sigma)

    def lend(self, cohort, generator):
        rows = []
        for own in cohort.patient.tolist():
            others = torch.randperm(len(self.pattern), generator=generator)
            others = others[others != own][: self.number]
            if self.number > 1:
                others = torch.cat([torch.tensor([own]), others[:-1]])
            rows.append(others.numpy())
        return np.stack(rows)

    def decode(self, z, identity):
        return _drawn(z) + self.pattern[identity]

    def in_sets(self, cohort, generator):
        return self.privatize(cohort, generator)

    def privatize(self, cohort, generator):
        mean, sigma = self.posterior(cohort.images)
        if not self.looks:  # a code that has nothing to do with the image
            mean = torch.randn(mean.shape, generator=generator)
        z = mean + sigma * torch.randn(mean.shape, generator=generator)
        lent = self.lend(cohort, generator)
        images = to_uint8(mean_decode(self, z, lent))
        return Release(images, np.arange(len(images)), lent, self.name, {})
