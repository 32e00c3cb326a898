"""Risk per patient: a mean of 5 % may be one patient in twenty who is named every time.

The yardstick is what would be seen if all patients ran the same risk: then it does not matter to
whom an image belongs, so the images are dealt out anew to the patients, each keeping the number of
images, and the worst decile is measured again. An image keeps its outcomes over all random draws,
so that draws which agree do not pass for evidence.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.core.intervals import mean_interval, mean_per_patient

SIMULATIONS = 1000
WORST = 0.1


@dataclass(frozen=True, eq=False)
class Risk:
    """How often each of P patients is found; all rates in 0..1.

    `patient` int64 (P,) their numbers, ascending; `images` int64 (P,); `rate` (P,) the share of
    hits over the patient's images and draws. `mean` the share over all images with its 95 %
    `mean_interval` over patients. `worst_decile` the mean rate of the tenth of the patients with
    the highest rates (rounded up), with `worst_interval` from resampling patients;
    `equal_worst_decile` its mean and `equal_interval` its 2.5 to 97.5 % range where all run the
    same risk; `excess_p` the share of the simulations (the observation counted in) that reach the
    observed worst decile. `by_label` label -> (rate, low, high, images, patients) for "healthy" and
    "diseased" images where there are any.
    """

    patient: Int64[np.ndarray, " p"]
    images: Int64[np.ndarray, " p"]
    rate: Float[np.ndarray, " p"]
    mean: float
    mean_interval: tuple[float, float]
    worst_decile: float
    worst_interval: tuple[float, float]
    equal_worst_decile: float
    equal_interval: tuple[float, float]
    excess_p: float
    by_label: dict[str, tuple[float, float, float, int, int]]

    def always(self) -> float:
        """Return the share of patients who are found on every image and draw."""
        return float((self.rate == 1).mean())

    def per_patient(self) -> dict[int, float]:
        """Return patient number -> rate."""
        return dict(zip(self.patient.tolist(), self.rate.tolist(), strict=True))

    def text(self) -> str:
        """Return the risk in three or four lines for a report."""
        low, high = self.equal_interval
        lines = [
            f"mean {self.mean:.3f} [{self.mean_interval[0]:.3f}, {self.mean_interval[1]:.3f}] over "
            f"{len(self.patient)} patients",
            f"worst decile {self.worst_decile:.3f}; equal risk for all would give "
            f"{self.equal_worst_decile:.3f} [{low:.3f}, {high:.3f}], p = {self.excess_p:.3f}",
            f"found every time: {self.always():.3f} of the patients",
        ]
        lines += [
            f"{name}: {rate:.3f} [{a:.3f}, {b:.3f}], {n} images of {p} patients"
            for name, (rate, a, b, n, p) in self.by_label.items()
        ]
        return "\n".join(lines)


def risk(
    hits: Bool[np.ndarray, "*d n"],
    patient: Int64[np.ndarray, " n"],
    diseased: Bool[np.ndarray, " n"] | None,
    rng: np.random.Generator,
    simulations: int = SIMULATIONS,
) -> Risk:
    """Return the risk of every patient from the outcome of an attack on every image.

    `hits` (N,) or (draws, N) bool, or numbers in 0..1; `patient` (N,) whose each image is;
    `diseased` (N,) its label or None; `simulations` how often the images are dealt out anew with
    `rng`. Raises `ValueError` where the lengths differ or nothing is given.
    """
    values = np.atleast_2d(np.asarray(hits, dtype=np.float64)).mean(axis=0)
    if (
        len(values) == 0
        or len(values) != len(patient)
        or (diseased is not None and len(diseased) != len(patient))
    ):
        raise ValueError(
            f"the risk per patient needs one outcome, one patient and one label per image, not "
            f"{len(values)} outcomes for {len(patient)} patients"
        )
    numbers, rate, images = mean_per_patient(values, patient)
    observed = float(worst_decile(rate))
    equal = np.array(
        [
            worst_decile(mean_per_patient(rng.permutation(values), patient)[1])
            for _ in range(simulations)
        ]
    )
    times = rng.integers(len(rate), size=(simulations, len(rate)))
    groups = {} if diseased is None else {"healthy": ~diseased, "diseased": diseased}
    return Risk(
        patient=numbers.astype(np.int64),
        images=images.astype(np.int64),
        rate=rate,
        mean=float(values.mean()),
        mean_interval=mean_interval(values, patient, generator=rng),
        worst_decile=observed,
        worst_interval=_range(worst_decile(rate[times])),
        equal_worst_decile=float(equal.mean()),
        equal_interval=_range(equal),
        excess_p=float((1 + (equal >= observed - 1e-12).sum()) / (1 + simulations)),
        by_label={
            name: _of_group(values, patient, rows, rng)
            for name, rows in groups.items()
            if rows.any()
        },
    )


def worst_decile(rate: Float[np.ndarray, "*d p"]) -> np.ndarray:
    """Return the mean of the highest tenth of the rates along the last axis, at least one of
    them.
    """
    count = int(np.ceil(WORST * rate.shape[-1] - 1e-9))
    return np.sort(rate, axis=-1)[..., -count:].mean(axis=-1)


def spreads(rates: Float[np.ndarray, "seeds draws"]) -> dict[str, float]:
    """Return how much a rate moves with the random draws of the release and with the attacker's
    seed, apart.

    `draws`: the standard deviation over draws within a seed (root mean square over seeds); `seeds`:
    that of the seeds' means. One draw or one seed has no spread and is left out.
    """
    rates = np.asarray(rates, dtype=np.float64)
    found = {}
    if rates.shape[1] > 1:
        found["draws"] = float(np.sqrt(rates.var(axis=1, ddof=1).mean()))
    if rates.shape[0] > 1:
        found["seeds"] = float(rates.mean(axis=1).std(ddof=1))
    return found


def _of_group(
    values: np.ndarray, patient: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float, int, int]:
    low, high = mean_interval(values[rows], patient[rows], generator=rng)
    return float(values[rows].mean()), low, high, int(rows.sum()), len(np.unique(patient[rows]))


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
