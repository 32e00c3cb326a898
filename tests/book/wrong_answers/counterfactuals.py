"""Plausible wrong answers to the exercises of the chapter "Counterfactuals"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # the error of laying over, not of lifting off
        """def my_opacity(error):
    return 0.5 / error""",
        # takes the rounding error for a whole level
        """def my_opacity(error):
    return 1 - 1 / error""",
    ],
    "Exercise 2": [
        # rewards images that were read as wanted before
        """def my_flips(before, after, wanted):
    could = before != wanted
    return (after == wanted).mean() if could.any() else np.nan""",
        # counts flips among all images
        """def my_flips(before, after, wanted):
    could = before != wanted
    return (could & (after == wanted)).mean() if could.any() else np.nan""",
    ],
    "Exercise 3": [
        # the opacity with the other sign
        """def my_alpha(r1, s1, r2, s2):
    apart = s1 - s2
    return np.where(apart == 0, 0, ((r1 - s1) - (r2 - s2)) / np.where(apart == 0, 1, apart))""",
        # what shines through, not what covers
        """def my_alpha(r1, s1, r2, s2):
    apart = s1 - s2
    return np.where(apart == 0, 0, (r1 - r2) / np.where(apart == 0, 1, apart))""",
    ],
}
