"""Plausible wrong answers to the exercises of the chapter "Confounding"; the self-checks must refuse each."""

WRONG = {
    "Exercise 1": [
        # every patient counts alike, however many images
        """def my_limit(table, told):
    return min(told + entropy(table).mean(), entropy(table.sum(axis=0)))""",
        # forgets that no code tells more than the label has
        """def my_limit(table, told):
    weight = table.sum(axis=1) / table.sum()
    return told + (weight * entropy(table)).sum()""",
    ],
    "Exercise 2": [
        # counts the images of patients with both labels
        """def my_pull(table):
    pull = table.sum(axis=1) * (table > 0).all(axis=1)
    return pull / pull.sum() if pull.any() else pull""",
        # the product alone grows with the square of the images
        """def my_pull(table):
    pull = table.prod(axis=1)
    return pull / pull.sum() if pull.any() else pull""",
    ],
    "Exercise 3": [
        # of all ill images, called ill or not
        """def my_memory(on_images, on_twins, ill):
    return ((on_images > 0) & (on_twins > 0))[ill].mean()""",
        # of all twins of the ill
        """def my_memory(on_images, on_twins, ill):
    return (on_twins[ill] > 0).mean() if (on_images[ill] > 0).any() else 0.0""",
    ],
}
