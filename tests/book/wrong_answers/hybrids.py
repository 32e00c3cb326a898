"""Plausible wrong answers to the exercises of the chapter "Hybrids"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # the nearest of all, however it was filed
        """def my_case(vector, ill, cases, filed):
    return np.linalg.norm(cases - vector, axis=1).argmin()""",
        # a row among the allowed ones, and not of the gallery
        """def my_case(vector, ill, cases, filed):
    allowed = cases[filed == ill] if (filed == ill).any() else cases
    return np.linalg.norm(allowed - vector, axis=1).argmin()""",
    ],
    "Exercise 2": [
        # without the intercept
        """def my_sessions(features, each):
    return math.ceil(features / each)""",
        # one session too many where all are full
        """def my_sessions(features, each):
    return (features + 1) // each + 1""",
    ],
    "Exercise 3": [
        # as if every case that was looked up were as frequent as the others
        """def my_told(numbers):
    return math.log2(len(set(numbers)))""",
        # in nats
        """def my_told(numbers):
    _, count = np.unique(numbers, return_counts=True)
    return sum(n / len(numbers) * math.log(len(numbers) / n) for n in count)""",
    ],
}
