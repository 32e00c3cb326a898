"""Plausible wrong answers to the exercises of the chapter "Averaged sets"; each must fail its self-check."""

WRONG = {
    "Exercise 1": [
        # the sum of six grey levels does not fit into uint8 and wraps round
        "def mean_image(images):\n    return images.sum(axis=0, dtype=np.uint8) // len(images)",
        # cut off in place of rounded
        "def mean_image(images):\n    return images.mean(axis=0).astype(np.uint8)",
    ],
    "Exercise 2": [
        # counts all K members, the source too
        "def draws_needed(patients, K, wanted):\n    n = 1\n"
        "    while patients * (K / patients) ** n >= wanted:\n        n += 1\n    return n",
        # one draw too many
        "def draws_needed(patients, K, wanted):\n    n = 1\n"
        "    while (patients - 1) * ((K - 1) / (patients - 1)) ** n >= wanted:\n        n += 1\n    return n + 1",
    ],
    "Exercise 3": [
        "def the_source(lists):\n    return [lists[0][0]]",  # trusts the order
        "def the_source(lists):\n    return sorted(set.union(*(set(map(int, one)) for one in lists)))",
    ],
    "Exercise 4": [
        "def distances_without_own(K):\n    return 1 - 1 / K, 1 - 1 / K",  # the source taken for a member
        "def distances_without_own(K):\n    return 1 + 1 / K, 1 / K",
    ],
}
