"""Numbers of findings as words, for the verdict and the page."""

from medpriv_lib.attacks.finding import Finding

NOT_PROVED = (
    "A low number here does not prove that nobody can do better: it says that these attackers, "
    "with this training and these images, did not. Another network, more images, several releases "
    "of the same patient, or knowledge from elsewhere (a name in a file, a rare disease, an age) "
    "were not tried beyond what is listed. A high number is a proof: it was done."
)

RATES = (
    *("rank", "tar", "own_tar", "copied", "right", "placed"),
    *("eye_rank", "found", "first", "exact"),
)


def interval(one: Finding, key: str) -> str:
    """Return the 95 % interval of a measure in brackets, nothing where there is none."""
    if key not in one.intervals:
        return ""
    low, high = one.intervals[key]
    return f" (95 % {number(key, low)} to {number(key, high)})"


def number(key: str, value: float) -> str:
    """Return the value of a measure as text: a rate in percent, all others as they are."""
    rate = key.startswith(RATES)
    return share(value) if rate else f"{value:.3f}"


def share(value: float) -> str:
    """Return a rate in percent."""
    return f"{100 * value:.1f} %"
