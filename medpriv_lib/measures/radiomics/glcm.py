"""Grey level co-occurrence: how often two levels are neighbours (Haralick 1973; IBSI manual, 3.6).

p(i, j) is the share of neighbouring pairs of pixels, along one direction and its opposite, of which
one has level i and the other level j. All 25 features follow from five things: the largest, the sum
of squares and the entropy of p, the distribution of one pixel's level, and those of the difference
|i - j| and the sum i + j of a pair's levels.
"""

import numpy as np
from jaxtyping import Float

from medpriv_lib.measures.radiomics.directions import DIRECTIONS, Aggregation, ends, joined
from medpriv_lib.measures.radiomics.discretise import Levels
from medpriv_lib.measures.radiomics.table import features
from medpriv_lib.measures.radiomics.undefined import refuse

GLCM = features(
    "glcm",
    "joint maximum, GYBY, cm_joint_max,",
    "joint average, 60VM, cm_joint_avg, bin",
    "joint variance, UR99, cm_joint_var, bin2",
    "joint entropy, TU9B, cm_joint_entr, bit",
    "difference average, TF7R, cm_diff_avg, bin",
    "difference variance, D3YU, cm_diff_var, bin2",
    "difference entropy, NTRS, cm_diff_entr, bit",
    "sum average, ZGXS, cm_sum_avg, bin",
    "sum variance, OEEB, cm_sum_var, bin2",
    "sum entropy, P6QZ, cm_sum_entr, bit",
    "angular second moment, 8ZQL, cm_energy,",
    "contrast, ACUI, cm_contrast, bin2",
    "dissimilarity, 8S9J, cm_dissimilarity, bin",
    "inverse difference, IB1Z, cm_inv_diff,",
    "normalised inverse difference, NDRX, cm_inv_diff_norm,",
    "inverse difference moment, WF0Z, cm_inv_diff_mom,",
    "normalised inverse difference moment, 1QCO, cm_inv_diff_mom_norm,",
    "inverse variance, E8JP, cm_inv_var, 1/bin2",
    "correlation, NI2N, cm_corr,",
    "autocorrelation, QWB0, cm_auto_corr, bin2",
    "cluster tendency, DG8W, cm_clust_tend, bin2",
    "cluster shade, 7NFM, cm_clust_shade, bin3",
    "cluster prominence, AE86, cm_clust_prom, bin4",
    "first measure of information correlation, R8DG, cm_info_corr1,",
    "second measure of information correlation, JN9H, cm_info_corr2,",
)


def pairs(levels: Levels, direction: tuple[int, int]) -> Float[np.ndarray, "n g g"]:
    """Return how often level i + 1 has level j + 1 as a neighbour along a direction or against it.

    Both pixels of a pair lie in the region. The matrices are symmetric, G is the largest count of
    bins.
    """
    n, height, width = levels.grey.shape
    size = int(levels.count.max())
    first, second = ends(height, width, direction)
    i, j = levels.grey[:, *first], levels.grey[:, *second]
    code = (np.arange(n)[:, None, None] * size + i - 1) * size + j - 1
    counts = np.bincount(code[(i > 0) & (j > 0)], minlength=n * size * size)
    matrix = counts.reshape(n, size, size).astype(np.float64)
    return matrix + matrix.transpose(0, 2, 1)


def glcm(levels: Levels, aggregation: Aggregation = "averaged") -> Float[np.ndarray, "n 25"]:
    """Return the 25 features of `GLCM` for each image, neighbours one pixel apart.

    Raises `NotApplicable` where a region has no two neighbouring pixels along a direction.
    """
    matrices = [pairs(levels, direction) for direction in DIRECTIONS]
    if aggregation == "combined":
        return glcm_features(np.sum(matrices, axis=0), levels.count)
    return joined([glcm_features(matrix, levels.count) for matrix in matrices])


def glcm_features(
    matrix: Float[np.ndarray, "n g g"], count: np.ndarray
) -> Float[np.ndarray, "n 25"]:
    """Return the features of symmetric matrices of counts; `count` (N,) the bins N_g of each image.

    Where all pairs of a direction have one level the correlation is 0 / 0 and taken as 1, and both
    measures of information correlation as 0, as pyradiomics does. Raises `NotApplicable` for a
    matrix without a pair.
    """
    n, size = matrix.shape[:2]
    total = matrix.sum(axis=(1, 2))
    refuse(
        total == 0,
        "the region has no two neighbouring pixels along one direction; use a larger mask, or "
        "combine the directions",
    )
    p = matrix / total[:, None, None]
    level = np.arange(1, size + 1.0)
    of_one, of_difference, of_sum = p.sum(axis=2), *_difference_and_sum(p)
    k, s = np.arange(size, dtype=float), np.arange(2, 2 * size + 1.0)
    mean = of_one @ level
    variance = ((level - mean[:, None]) ** 2 * of_one).sum(axis=1)
    difference, contrast = of_difference @ k, of_difference @ k**2
    auto = (of_sum @ s**2 - contrast) / 4  # 4 i j = (i + j)^2 - (i - j)^2
    from_mean = s - 2 * mean[:, None]
    tendency, shade, prominence = ((from_mean**e * of_sum).sum(axis=1) for e in (2, 3, 4))
    ng = count[:, None]
    entropy, entropy_of_one = _entropy(p.reshape(n, -1)), _entropy(of_one)
    known = np.maximum(2 * entropy_of_one - entropy, 0)  # what one level tells of the other, in bit
    varies = variance > 1e-12
    columns = [
        p.max(axis=(1, 2)),
        mean,
        variance,
        entropy,
        difference,
        contrast - difference**2,
        _entropy(of_difference),
        of_sum @ s,
        tendency,  # the sum's variance: its mean is twice that of one level
        _entropy(of_sum),
        (p**2).sum(axis=(1, 2)),
        contrast,
        difference,  # dissimilarity, by another name
        of_difference @ (1 / (1 + k)),
        (of_difference / (1 + k / ng)).sum(axis=1),
        of_difference @ (1 / (1 + k**2)),
        (of_difference / (1 + k**2 / ng**2)).sum(axis=1),
        of_difference[:, 1:] @ (1 / k[1:] ** 2),
        np.where(varies, (auto - mean**2) / np.where(varies, variance, 1), 1),
        auto,
        tendency,
        shade,
        prominence,
        np.where(varies, -known / np.where(varies, entropy_of_one, 1), 0),
        np.sqrt(1 - np.exp(-2 * known)),
    ]
    return np.stack(columns, axis=1)


def _difference_and_sum(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distributions of |i - j| (N, G) and of i + j (N, 2 G - 1), from 2 on."""
    n, size = p.shape[:2]
    i, j = np.indices((size, size)).reshape(2, -1)
    flat = p.reshape(n, -1)
    return flat @ np.eye(size)[np.abs(i - j)], flat @ np.eye(2 * size - 1)[i + j]


def _entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of each row in bit."""
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=1)
