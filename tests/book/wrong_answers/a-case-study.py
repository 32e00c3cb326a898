"""Plausible wrong answers to the exercises of the page "A case study"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # looks at the number of pictures only
        """def my_alone(patient, ill):
    counts = np.unique(patient, return_counts=True)[1].tolist()
    return np.mean([counts.count(count) == 1 for count in counts])""",
        # the share of the pictures, not of the patients
        """def my_alone(patient, ill):
    pairs = [((patient == p).sum(), ill[patient == p].sum()) for p in patient]
    alone = [sum(other == pair for other in pairs) == pair[0] for pair in pairs]
    return np.mean(alone)""",
    ],
    "Exercise 2": [
        # forgets the control
        """def my_verdict(low, high, control_low, bar):
    return "missed" if low > bar else "met" if high <= bar else "open\"""",
        # decides by the middle of the interval
        """def my_verdict(low, high, control_low, bar):
    if control_low <= bar:
        return "nothing shown"
    return "met" if (low + high) / 2 <= bar else "missed\"""",
    ],
}
