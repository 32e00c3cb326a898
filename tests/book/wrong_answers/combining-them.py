"""Plausible wrong answers to the exercises of the chapter "Combining them"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # all sites' shares, as if everybody stayed and kept quiet
        """def my_share(noise, clip, sites, lost, colluders):
    if sites - lost - colluders < 1:
        return None
    return noise * clip / math.sqrt(sites)""",
        # a share of the deviation, and not of the variance
        """def my_share(noise, clip, sites, lost, colluders):
    honest = sites - lost - colluders
    return noise * clip / honest if honest > 0 else None""",
    ],
    "Exercise 2": [
        # epsilons added: a bound, and a wasteful one
        """def my_looks(noise, budget):
    return int(budget / one_look(noise))""",
        # the noise falls with the root of the looks, not with the looks
        """def my_looks(noise, budget):
    looks = 0
    while one_look(noise / (looks + 1)) <= budget:
        looks += 1
    return looks""",
    ],
    "Exercise 3": [
        # local noise, as if it were one curator's
        """def my_step_noise(kind, noise, sites, shares, drawn):
    return noise / drawn""",
        # deviations added instead of variances
        """def my_step_noise(kind, noise, sites, shares, drawn):
    each = noise / math.sqrt(shares if kind == "distributed" else 1)
    return sites * each / drawn""",
    ],
}
