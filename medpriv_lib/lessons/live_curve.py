"""A learning curve that grows in a notebook while a network trains."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from IPython.display import display

from medpriv_lib.core.palette import ACCENT

STYLES = {"train_loss": "o-", "val_loss": "s--"}


class LiveCurve:
    """Two losses over the epochs above a bar of how far the training is, redrawn in place.

    Shown when it is made; an object is the `progress` that a training calls after each epoch with
    the epoch (from 1), their number, and a row that holds "train_loss" and "val_loss".
    """

    def __init__(self, width: float = 7, height: float = 3.4) -> None:
        """Show the empty figure, `width` times `height` inches."""
        self.figure, (self.curve, self.bar) = plt.subplots(
            2, 1, figsize=(width, height), height_ratios=(8, 1), layout="constrained"
        )
        plt.close(self.figure)  # `display` shows it and redraws it in place
        self.screen = display(self.figure, display_id=True)
        self.rows: list[Mapping[str, float]] = []

    def __call__(self, epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        """Add one epoch."""
        self.rows.append(row)
        self.curve.clear()
        self.bar.clear()
        for key, style in STYLES.items():
            values = [row[key] for row in self.rows]
            self.curve.plot(range(1, len(values) + 1), values, style, label=key.replace("_", " "))
        self.curve.set(xlim=(0.8, epochs + 0.2), xlabel="epoch", ylabel="cross-entropy")
        self.curve.legend(frameon=False)
        self.bar.barh([0], [epoch], color=ACCENT)
        self.bar.set(xlim=(0, epochs), yticks=[], xticks=range(epochs + 1))
        if self.screen is not None:  # no screen outside IPython
            self.screen.update(self.figure)
