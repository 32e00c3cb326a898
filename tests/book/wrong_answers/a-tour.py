"""Plausible wrong answers to the exercises of the page "A tour of one hour"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # measured from zero: what guessing names counts as a success of the attack
        """def my_hidden(in_originals, in_release, guess):
    return 1 - in_release / in_originals if in_originals > guess else np.nan""",
        # a blind attack counts as proof that all is hidden
        """def my_hidden(in_originals, in_release, guess):
    left = in_originals - guess
    return (in_originals - in_release) / left if left > 0 else 1.0""",
    ],
    "Exercise 2": [
        # compares releases with photographs as they are
        """def my_names(released, known, who, method):
    apart = [((known.astype(float) - one) ** 2).sum(axis=(1, 2)) for one in released]
    return who[np.argmin(apart, axis=1)]""",
        # returns rows of the photographs in place of people
        """def my_names(released, known, who, method):
    mine = method(known).astype(float)
    return np.array([((mine - one) ** 2).sum(axis=(1, 2)).argmin() for one in released])""",
    ],
}
