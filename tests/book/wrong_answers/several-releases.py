"""Plausible wrong answers to the exercises of the chapter "Several releases, and unequal risk"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # forgets that the patient is in every set
        """def my_left(patients, k, releases):
    return patients * (k / patients) ** releases""",
        # divides by the number of releases where probabilities multiply
        """def my_left(patients, k, releases):
    return 1 + (k - 1) / releases""",
    ],
    "Exercise 2": [
        # draws patients with replacement: a bootstrap, which keeps the unequal risks
        """def my_equal_risk(hits, patient, rng):
    rate = np.array([hits[patient == p].mean() for p in np.unique(patient)])
    return rate[rng.integers(len(rate), size=len(rate))]""",
        # permutes the rates: patients with few images get the rates of patients with many
        """def my_equal_risk(hits, patient, rng):
    return rng.permutation(np.array([hits[patient == p].mean() for p in np.unique(patient)]))""",
    ],
    "Exercise 3": [
        # compares means: one unlucky run does not count
        """def told_surely(scores, inside):
    with_ = np.nanmean(np.where(inside, scores, np.nan), axis=0)
    without = np.nanmean(np.where(inside, np.nan, scores), axis=0)
    return (with_ > without).mean()""",
        # one threshold for all patients
        """def told_surely(scores, inside):
    return (np.where(inside, scores, np.inf).min(axis=0) > scores[~inside].max()).mean()""",
    ],
}
