"""Plausible wrong answers to the exercises of the chapter "What PPRL-VGAN releases"; each must fail its self-check."""

WRONG = {
    "Exercise 1": [
        "def largest_nats(patients, chance):\n    return chance * math.log(patients)",  # forgets the ln 2
        "def largest_nats(patients, chance):\n    return chance * math.log2(patients) - 1",  # bits, not nats
    ],
    "Exercise 2": [
        # standard deviations in place of powers
        "def draws_until(ratio, wanted):\n    return max(1, math.ceil((wanted / ratio) ** 2 - 1e-9))",
        # cut off in place of rounded up
        "def draws_until(ratio, wanted):\n    return max(1, int(wanted / ratio))",
    ],
    "Exercise 3": [
        # "different" taken for "has the other label"
        """def may_lend(has_label, source, ill, policy):
    allowed = {"random": has_label.any(axis=1), "same": has_label[:, ill], "different": has_label[:, 1 - ill]}
    return np.setdiff1d(np.flatnonzero(allowed[policy]), [source])""",
        # the source may lend to itself
        """def may_lend(has_label, source, ill, policy):
    shares = has_label[:, ill]
    allowed = {"random": np.ones(len(shares), dtype=bool), "same": shares, "different": ~shares}
    return np.flatnonzero(allowed[policy])""",
    ],
}
