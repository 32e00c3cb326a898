"""Plausible wrong answers to the exercises of the chapter "Federated learning"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # leaves the site out of the sum and not of its divisor
        """def my_average(weights, patients):
    good = np.isfinite(weights).all(axis=1)
    return patients[good] @ weights[good] / patients.sum()""",
        # leaves out single numbers, so that a site counts in part
        """def my_average(weights, patients):
    return np.nansum(patients[:, None] * weights, axis=0) / patients.sum()""",
    ],
    "Exercise 2": [
        # exactly as many bytes are taken for more
        """def my_rounds(images, size, weights):
    return -(-images * size * size // (4 * weights))""",
        # forgets that a weight has four bytes
        """def my_rounds(images, size, weights):
    return images * size * size // weights + 1""",
    ],
    "Exercise 3": [
        # the count without class weights
        """def my_count(g, p, batch, a):
    return batch * (p - g)""",
        # divides by the weight as if every image had it
        """def my_count(g, p, batch, a):
    return batch * (p - g) / a""",
    ],
}
