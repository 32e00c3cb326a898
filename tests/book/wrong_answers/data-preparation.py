"""Plausible wrong answers to the exercises of the chapter "Data preparation", two for each; every self-check must
refuse them."""

WRONG = {
    "Exercise 1": [
        "def known(n, q):\n    return 1 - (1 - q) ** n\n",
        "def known(n, q):\n    return q * (n - 1)\n",
    ],
    "Exercise 2": [
        "def by_patient(patient, rng):\n"
        "    place = np.arange(len(patient)) / len(patient)\n"
        '    return np.where(place < 0.65, "train", np.where(place < 0.8, "val", "test"))\n',
        "def by_patient(patient, rng):\n"
        '    return np.array(["train", "val", "test"])[patient % 3]\n',
    ],
    "Exercise 3": [
        # standard deviations in place of variances
        "def telling(images, patient):\n"
        "    people, index = np.unique(patient, return_inverse=True)\n"
        "    means = np.stack([images[index == p].astype(float).mean(0) for p in range(len(people))])[index]\n"
        "    total = images.astype(float).std(0)\n"
        "    return np.where(total > 0, means.std(0) / np.where(total > 0, total, 1), 0.0)\n",
        "def telling(images, patient):\n"
        "    within = np.stack([images[patient == p].astype(float).var(0) for p in np.unique(patient)]).mean(0)\n"
        "    total = images.astype(float).var(0)\n"
        "    return np.where(total > 0, within / np.where(total > 0, total, 1), 0.0)\n",
    ],
}
