"""Plausible wrong answers to the exercises of the chapter "Synthetic identities"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # forgets that the probabilities sum to one
        """def my_gradient(z):
    log_p = z.log_softmax(dim=1)
    return log_p.exp() * (log_p + 1)""",
        # of the entropy: the descent would make the head sure
        """def my_gradient(z):
    log_p = z.log_softmax(dim=1)
    p = log_p.exp()
    return -p * (log_p - (p * log_p).sum(dim=1, keepdim=True))""",
    ],
    "Exercise 2": [
        # takes the standard deviation for the variance
        """def longest_vector(images, sigma):
    return int(np.ceil(np.log2(images) / (0.5 * np.log2(1 + 1 / sigma)))) - 1""",
        # exactly enough bits counts as below
        """def longest_vector(images, sigma):
    return int(np.log2(images) // (0.5 * np.log2(1 + 1 / sigma**2)))""",
    ],
    "Exercise 3": [
        # the farthest of all, also where an earlier candidate is far enough
        """def my_choice(near, limit):
    return near.argmax(axis=1)""",
        # the first beyond the limit, and the first of all where there is none
        """def my_choice(near, limit):
    return (near >= limit).argmax(axis=1)""",
    ],
}
