"""Plausible wrong answers to the exercises of the chapter "A yardstick"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # what the release of i has of the signs of others, where the releases of others are asked
        """def my_net_evidence(d, s, other):
    share = np.einsum("ihw,jhw->ij", d, s) / (s**2).sum((1, 2))
    by_others = (share * other).sum(1) / other.sum(1)
    return float((np.diag(share) - by_others).mean())""",
        # the case itself and its patient's other images stay in the mean over others
        """def my_net_evidence(d, s, other):
    share = np.einsum("ihw,jhw->ij", d, s) / (s**2).sum((1, 2))
    return float((np.diag(share) - share.mean(0)).mean())""",
    ],
    "Exercise 2": [
        # takes the healthy to be at one half, whatever they are
        """def my_hidden_share(auc_ill, auc_healthy, limit):
    return min(1.0, max(0.0, (limit - 0.5) / (auc_ill - 0.5)))""",
        # a share above 1 or below 0
        """def my_hidden_share(auc_ill, auc_healthy, limit):
    return (limit - auc_healthy) / (auc_ill - auc_healthy)""",
    ],
    "Exercise 3": [
        # shifts the row of 640 numbers: angles run over into the next radius
        """def my_names(turned):
    tried = [likeness_of(np.roll(turned, k, axis=1)) for k in range(0, 640, 10)]
    return eyes[np.mean(tried, axis=0).argmax(1)]""",
        # the mean over all shifts: the one that fits is lost among those that do not
        """def my_names(turned):
    ring = turned.reshape(-1, 10, 64)
    tried = [likeness_of(np.roll(ring, k, axis=2).reshape(-1, 640)) for k in range(0, 64, 2)]
    return eyes[np.mean(tried, axis=0).argmax(1)]""",
    ],
}
