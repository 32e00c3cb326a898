"""Plausible wrong answers to the exercises of the chapter "The attacker's view"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # the half-sample mirror of another cosine transform: size in place of size - 1
        """def my_gain(h, k, size):
    middle = len(h) // 2
    return h[middle] + 2 * sum(h[middle + j] * np.cos(np.pi * j * k / size) for j in range(1, middle + 1))""",
        # each neighbour counted once, though there is one on either side
        """def my_gain(h, k, size):
    middle = len(h) // 2
    return h[middle] + sum(h[middle + j] * np.cos(np.pi * j * k / (size - 1)) for j in range(1, middle + 1))""",
    ],
    "Exercise 2": [
        # ties count as wins
        """def my_auc(genuine, impostor):
    return (genuine[:, None] >= impostor[None, :]).mean()""",
        # compares pairs in order of rank, not every genuine with every impostor score
        """def my_auc(genuine, impostor):
    n = min(len(genuine), len(impostor))
    return (np.sort(genuine)[:n] > np.sort(impostor)[:n]).mean()""",
    ],
    "Exercise 3": [
        # forgets that the patient is in every set
        """def my_left(patients, k, releases):
    return patients * (k / patients) ** releases""",
        # divides by the number of releases where probabilities multiply
        """def my_left(patients, k, releases):
    return 1 + (k - 1) / releases""",
    ],
    "Exercise 4": [
        # draws patients with replacement: a bootstrap, which keeps the unequal risks
        """def my_equal_risk(hits, patient, rng):
    rate = np.array([hits[patient == p].mean() for p in np.unique(patient)])
    return rate[rng.integers(len(rate), size=len(rate))]""",
        # permutes the rates: patients with few images get the rates of patients with many
        """def my_equal_risk(hits, patient, rng):
    return rng.permutation(np.array([hits[patient == p].mean() for p in np.unique(patient)]))""",
    ],
}
