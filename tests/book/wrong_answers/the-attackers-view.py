"""Plausible wrong answers to the exercises of the chapter "The attacker's view"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # ties count as wins
        """def my_auc(genuine, impostor):
    return (genuine[:, None] >= impostor[None, :]).mean()""",
        # compares pairs in order of rank, not every genuine with every impostor score
        """def my_auc(genuine, impostor):
    n = min(len(genuine), len(impostor))
    return (np.sort(genuine)[:n] > np.sort(impostor)[:n]).mean()""",
    ],
    "Exercise 2": [
        # the share on the wrong side
        """def my_tar(genuine, impostor, percent):
    return (genuine > np.quantile(impostor, percent / 100)).mean()""",
        # sets the threshold on the genuine scores
        """def my_tar(genuine, impostor, percent):
    return (impostor > np.quantile(genuine, 1 - percent / 100)).mean()""",
    ],
    "Exercise 3": [
        # the approximation in place of the bound
        """def patients_needed(bound):
    return int(np.ceil(3 / bound))""",
        # rounds down: the last patient is missing
        """def patients_needed(bound):
    return int(np.log(0.05) / np.log(1 - bound))""",
    ],
}
