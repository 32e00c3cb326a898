"""Plausible wrong answers to the exercises of the chapter "The comparison", two for each; every self-check must
refuse them."""

WRONG = {
    "Exercise 1": [
        # as if "healthy" were always the frequent label
        "def majority_scores(actual):\n    return 1 - actual.mean(), 0.0\n",
        # F1 of the frequent class
        "def majority_scores(actual):\n"
        "    share = max(actual.mean(), 1 - actual.mean())\n"
        "    return share, 2 * share / (1 + share)\n",
    ],
    "Exercise 2": [
        # the paper's column: the source counts too
        "def others_named(named, source, contributors):\n"
        "    return (contributors == named[:, None]).any(1).mean()\n",
        # anybody but the source
        "def others_named(named, source, contributors):\n    return (named != source).mean()\n",
    ],
    "Exercise 3": [
        # draws images
        "def interval_over_patients(values, patient, rng, draws=500):\n"
        "    means = [rng.choice(values, len(values)).mean() for _ in range(draws)]\n"
        "    return np.quantile(means, [0.025, 0.975])\n",
        # a patient who is drawn twice counts once
        "def interval_over_patients(values, patient, rng, draws=500):\n"
        "    people = np.unique(patient)\n"
        "    means = [values[np.isin(patient, rng.choice(people, len(people)))].mean() for _ in range(draws)]\n"
        "    return np.quantile(means, [0.025, 0.975])\n",
    ],
    "Exercise 4": [
        # better in everything is asked of a rival
        "def undominated(scores):\n"
        "    return [i for i, s in enumerate(scores) if not any((o > s).all() for o in scores)]\n",
        # equals throw each other out
        "def undominated(scores):\n"
        "    return [i for i, s in enumerate(scores)"
        " if not any((o >= s).all() for j, o in enumerate(scores) if j != i)]\n",
    ],
}
