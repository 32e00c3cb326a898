"""Plausible wrong answers to the exercises of the chapter "Recognition networks", two for each; every self-check must
refuse them."""

WRONG = {
    "Exercise 1": [
        "def constant_scores(share):\n    return 1 - share, 2 * share / (1 + share)\n",
        "def constant_scores(share):\n    return max(share, 1 - share), share\n",
    ],
    "Exercise 2": [
        "def interval(values, patient, draws, rng):\n"
        "    per_patient = np.array([values[patient == one].mean() for one in np.unique(patient)])\n"
        "    means = [rng.choice(per_patient, len(per_patient)).mean() for _ in range(draws)]\n"
        "    return np.quantile(means, [0.025, 0.975])\n",
        "def interval(values, patient, draws, rng):\n"
        "    people = np.unique(patient)\n"
        "    means = [values[np.isin(patient, rng.choice(people, len(people)))].mean() for _ in range(draws)]\n"
        "    return np.quantile(means, [0.025, 0.975])\n",
    ],
    "Exercise 3": [
        "def covered(k):\n    return (2 / 5) ** k\n",
        "def covered(k):\n    return 4 * (2 / 5) ** k\n",
    ],
}
