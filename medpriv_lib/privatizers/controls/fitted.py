"""What a control that learns from training images says before it has any."""

from medpriv_lib.core.cohort import Cohort


def fitted(train: Cohort | None, method: str) -> Cohort:
    """Return the training images. Raises `ValueError` before `fit`."""
    if train is None:
        raise ValueError(f"{method} has no training images yet; call fit(train) first")
    return train
