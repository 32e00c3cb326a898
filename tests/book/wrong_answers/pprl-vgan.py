"""Plausible wrong answers to the exercises of the chapter "PPRL-VGAN"; each must fail its self-check."""

WRONG = {
    "Exercise 1": [
        # the mean over the code in place of the sum
        "def my_kl(mu, log_variance):\n    return ((mu**2 + log_variance.exp() - 1 - log_variance) / 2).mean(dim=1)",
        # the log-variance taken for the log of the standard deviation
        "def my_kl(mu, log_variance):\n"
        "    return ((mu**2 + (2 * log_variance).exp() - 1 - 2 * log_variance) / 2).sum(dim=1)",
    ],
    "Exercise 2": [
        "def weight_of(D):\n    return (1 - D) / D",  # the odds the wrong way round
        "def weight_of(D):\n    return D",  # the gradient itself, not the ratio
    ],
    "Exercise 3": [
        # the variance in place of its logarithm
        "def cheapest(r):\n    variance = 1 / (1 + r**2)\n    return r * variance**0.5, variance",
        # as wide as the prior: the expensive way
        "def cheapest(r):\n    return r, 0.0",
    ],
}
