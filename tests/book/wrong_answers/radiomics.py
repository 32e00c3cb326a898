"""Plausible wrong answers to the exercises of the chapter "Radiomics and what it reveals"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # the mean length: not squared
        """def my_long_run_emphasis(row):
    changes = sum(a != b for a, b in zip(row[:-1], row[1:]))
    return len(row) / (changes + 1)""",
        # a run is closed where a new one begins, so the last one is never counted
        """def my_long_run_emphasis(row):
    lengths, length = [], 1
    for a, b in zip(row[:-1], row[1:]):
        if a == b:
            length += 1
        else:
            lengths.append(length)
            length = 1
    return float(np.mean(np.square(lengths))) if lengths else 0.0""",
    ],
    "Exercise 2": [
        # the largest value gets a bin of its own, bins + 1
        """def my_bins(x, bins):
    return np.floor(bins * (x - x.min()) / (x.max() - x.min())).astype(int) + 1""",
        # bins over all grey levels that there could be, not over the region's
        """def my_bins(x, bins):
    return np.minimum(np.floor(bins * x / 256) + 1, bins).astype(int)""",
    ],
    "Exercise 3": [
        # the variance of the means where MSB is m times as large
        """def my_icc(values):
    eyes, m = values.shape
    between, within = values.mean(axis=1).var(ddof=1), values.var(axis=1, ddof=1).mean()
    return (between - within) / (between + (m - 1) * within)""",
        # the share of all variance that lies between the eyes' means: above 0 for noise alone
        """def my_icc(values):
    return values.mean(axis=1).var() / values.var()""",
    ],
    "Exercise 4": [
        # publishes the reliable features and leaves out the others
        """def my_rate_without(vectors, icc, limit):
    return named(discriminant(), vectors[:, icc >= limit]).mean()""",
        # the nearest row in place of the discriminant
        """def my_rate_without(vectors, icc, limit):
    return named(nearest(), vectors[:, icc < limit]).mean()""",
    ],
}
