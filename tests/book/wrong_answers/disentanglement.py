"""Plausible wrong answers to the exercises of the chapter "Disentanglement"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # the difference with the other sign
        """def patients_for(u, label, s, wanted):
    return u + label[:, None] * (wanted - s)""",
        # changes the healthy patients, too
        """def patients_for(u, label, s, wanted):
    return u + (s - wanted)""",
    ],
    "Exercise 2": [
        # asks of each label by itself whether it varies within some patient
        """def directions_found(patient, labels):
    people = [labels[patient == p] for p in np.unique(patient)]
    return int(sum(any(np.ptp(one[:, k]) for one in people) for k in range(labels.shape[1])))""",
        # forgets the patients: the labels among themselves
        """def directions_found(patient, labels):
    return int(np.linalg.matrix_rank(labels - labels.mean(axis=0)))""",
    ],
    "Exercise 3": [
        # tens and units of the patient's number: each half tells something
        """def two_halves(patient, P, rng):
    return patient // 2, patient % 2""",
        # one half is the patient in the clear
        """def two_halves(patient, P, rng):
    return rng.integers(0, P, size=patient.shape), patient""",
    ],
}
