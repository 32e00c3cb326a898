r"""Reading the code behind a released image: for attackers who have the weights of a generator.

The attacker decodes codes of his own originals and learns by ridge regression how pixels tell the
code and the identity (a linear reader: the mean of K decodes is read as the mean of what K readers
say). The estimate is then corrected a few times by what its own decode leaves over,

    z  <-  z + A (x - D(z, identities)),

with the reader's matrix A in place of the decoder's inverse, and the estimate with the least left
over is kept. How far such estimates err, their covariance E, is seen on further decodes of the
attacker's own.

Likelihoods are multivariate t with `TAIL` degrees of freedom, since the errors have heavier tails
than a normal distribution. A candidate original with code N(mu, sigma^2) is scored by the ratio of
the density of the estimate around mu with sigma^2 + E to that around the middle of all codes, with
their covariance + E. Another original of the same eye has another code: codes vary with B over
eyes and with W within an eye, both read off the attacker's originals (probabilistic linear
discriminant analysis: Ioffe 2006; Prince and Elder 2007), and all originals of an eye but the
source count together.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images, to_tensor, to_uint8
from medpriv_lib.privatizers.codes import Coded, Identities, mean_decode

TAIL = 10.0
RIDGE = 2e-4  # of the number of decodes; pixels are in [-1, 1]
LARGEST = 64  # px: larger images are read averaged down to this
# how much of each correction is taken; the last estimate is looked at and not corrected. A mean of
# K decodes is left as the linear reader says: a correction costs K decodes, and its errors are
# averaged already
STEPS, STEPS_OF_MEANS = (1.0, 1.0, 1.0, 0.5, 0.5, 0.5), ()
KEPT = 0.9  # weight of the covariance of errors beside its own diagonal
FEWEST = 8  # decodes, and originals, that anything can be learned from


@dataclass(frozen=True, eq=False)
class Estimate:
    """Codes read from N images: `z` (N, Z), and `weight` (N, P), how much of each identity is in an
    image, or (N, D) the identity itself where identities are no patients.
    """

    z: Float[np.ndarray, "n z"]
    weight: Float[np.ndarray, "n p"]


class CodeReader:
    """Reads codes from released images of one method; made by `fit_reader`."""

    def __init__(
        self,
        method: Coded,
        middle: Float[np.ndarray, " d"],
        matrix: Float[np.ndarray, "d q"],
        of_codes: Float[np.ndarray, " z"],
        of_identities: Float[np.ndarray, " p"],
        number: int,
    ) -> None:
        """Take the mean picture, the ridge's matrix for codes and identities and their means;
        `number` K of decodes per image.
        """
        self.method, self.middle, self.matrix, self.number = method, middle, matrix, number
        self.of_codes, self.of_identities = of_codes, of_identities
        self.numbered = True
        self.steps: tuple[float, ...] = STEPS if number == 1 else STEPS_OF_MEANS
        self.error = np.eye(len(of_codes))

    def linear(self, images: Images) -> Estimate:
        """Return what the linear reader alone says."""
        told = (seen(images) - self.middle) @ self.matrix
        width = len(self.of_codes)
        return Estimate(self.of_codes + told[:, :width], self.of_identities + told[:, width:])

    def identities(self, weight: Float[np.ndarray, "n p"]) -> Identities:
        """Return the K identities that an image most probably shows."""
        if not self.numbered:
            return weight[:, None].astype(np.float32)
        first = np.argsort(-weight, axis=1, kind="stable")[:, : self.number]
        return first.astype(np.int64)

    def read(self, images: Images) -> Estimate:
        """Return the corrected estimate: that with the least left over between picture and own
        decode.
        """
        start = self.linear(images)
        shown, who = seen(images), self.identities(start.weight)
        z = best = start.z.astype(np.float32)
        least = np.full(len(z), np.inf)
        for size in self.steps:
            made = mean_decode(self.method, torch.from_numpy(z), who)
            left = shown - seen(to_uint8(made))
            far = (left**2).mean(axis=1)
            better = far < least
            best = np.where(better[:, None], z, best)
            least = np.where(better, far, least)
            z = (z + size * left @ self.matrix[:, : z.shape[1]]).astype(np.float32)
        return Estimate(best, start.weight)


def fit_reader(
    method: Coded,
    cohort: Cohort,
    generator: torch.Generator,
    decodes: int,
    held: int,
) -> CodeReader:
    """Return the reader learned from `decodes` pictures of codes of the attacker's originals
    `cohort`, its errors from `held` releases more.

    Raises `NotApplicable` for fewer than eight of either, and as `lend` does.
    """
    if decodes < FEWEST or held < FEWEST:
        raise NotApplicable(f"the budget gives fewer than {FEWEST} own decodes to learn from")
    mean, spread = method.posterior(cohort.images)
    z, lent = _drawn(method, cohort, mean, spread, decodes, generator)
    column = torch.randint(lent.shape[1], (decodes,), generator=generator).numpy()
    one = lent[np.arange(decodes), column]
    pictures = np.concatenate(
        [
            seen(to_uint8(method.decode(z[i : i + 512], torch.from_numpy(one[i : i + 512]))))
            for i in range(0, decodes, 512)
        ]
    )
    numbered = one.ndim == 1
    who = np.eye(int(lent.max()) + 1, dtype=np.float32)[one] if numbered else one
    told = np.concatenate([z.numpy(), who], axis=1)
    middle, of = pictures.mean(axis=0), told.mean(axis=0)
    matrix = ridge(pictures - middle, told - of, RIDGE * decodes).astype(np.float32)
    width = z.shape[1]
    reader = CodeReader(method, middle, matrix, of[:width], of[width:], lent.shape[1])
    reader.numbered = numbered
    z, lent = _drawn(method, cohort, mean, spread, held, generator)
    error = reader.read(to_uint8(mean_decode(method, z, lent))).z - z.numpy()
    # the second moment: a bias counts as an error, too
    moment = error.T @ error / len(error)
    reader.error = KEPT * moment + (1 - KEPT) * np.diag(np.diag(moment)) + 1e-6 * np.eye(width)
    return reader


def _drawn(
    method: Coded,
    cohort: Cohort,
    mean: Tensor,
    spread: Tensor,
    count: int,
    generator: torch.Generator,
) -> tuple[Tensor, Identities]:
    """Return codes of originals drawn at random, and the identities that a release draws for
    them.
    """
    rows = torch.randint(len(mean), (count,), generator=generator)
    z = mean[rows] + spread[rows] * torch.randn(count, mean.shape[1], generator=generator)
    return z, method.lend(cohort.take(rows.numpy()), generator)


def seen(images: Images) -> Float[np.ndarray, "n d"]:
    """Return images as the rows a reader sees: grey, in [-1, 1], at most 64 px wide."""
    x = to_tensor(images).mean(dim=1, keepdim=True)
    if x.shape[-1] > LARGEST:
        x = functional.adaptive_avg_pool2d(x, LARGEST)
    return x.flatten(1).numpy()


def ridge(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n q"], weight: float
) -> Float[np.ndarray, "d q"]:
    """Return the matrix that takes rows x to rows y with the least squares + `weight` |matrix|^2,
    from whichever of the two equal forms is smaller.
    """
    n, d = x.shape
    if n < d:
        return x.T @ np.linalg.solve(x @ x.T + weight * np.eye(n, dtype=x.dtype), y)
    return np.linalg.solve(x.T @ x + weight * np.eye(d, dtype=x.dtype), x.T @ y)


@dataclass(frozen=True, eq=False)
class Population:
    """How codes of originals are spread: `mean` (Z,), `noise` (Z, Z) what a draw adds on average,
    `between` eyes and `within` an eye, (Z, Z) each.
    """

    mean: Float[np.ndarray, " z"]
    noise: Float[np.ndarray, "z z"]
    between: Float[np.ndarray, "z z"]
    within: Float[np.ndarray, "z z"]

    @property
    def whole(self) -> Float[np.ndarray, "z z"]:
        """The covariance of the code of an image of anybody."""
        return self.between + self.within + self.noise


def population(
    mean: Float[np.ndarray, "m z"], spread: Float[np.ndarray, "m z"], eye: Int64[np.ndarray, " m"]
) -> Population:
    """Return the spread of codes over originals (means and standard deviations of their codes) of
    these eyes.

    Raises `NotApplicable` where no eye has two images, or there are too few images.
    """
    _, index, count = np.unique(eye, return_inverse=True, return_counts=True)
    if len(mean) < FEWEST or (count < 2).all():
        raise NotApplicable("no eye has two other originals: nothing is known of how codes vary")
    middle = mean.mean(axis=0)
    rows = (mean - middle).astype(np.float64)
    faces = np.zeros((len(count), rows.shape[1]))
    np.add.at(faces, index, rows)
    faces /= count[:, None]
    left = rows - faces[index]
    within = left.T @ left / (len(rows) - len(count))
    within = KEPT * within + (1 - KEPT) * np.diag(np.diag(within)) + 1e-6 * np.eye(len(middle))
    between = faces.T @ faces / len(count) - within * (1 / count).mean()
    values, vectors = np.linalg.eigh(between)
    between = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    noise = np.diag((np.asarray(spread, dtype=np.float64) ** 2).mean(axis=0))
    return Population(middle, noise, between, within)


def log_density(
    points: Float[np.ndarray, "n z"],
    middle: Float[np.ndarray, " z"],
    covariance: Float[np.ndarray, "z z"],
) -> Float[np.ndarray, " n"]:
    """Return the log-density of the multivariate t with this middle and scale, less a constant."""
    factor = np.linalg.cholesky(covariance)
    far = (np.linalg.solve(factor, (points - middle).T) ** 2).sum(axis=0)
    return -0.5 * (TAIL + len(middle)) * np.log1p(far / TAIL) - np.log(np.diag(factor)).sum()
