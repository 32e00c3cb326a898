"""Federated averaging: the mean of the sites' weights, each weighted by its patients."""

from collections.abc import Sequence

import torch

from medpriv_lib.federation.local import Update, Weights


def average(updates: Sequence[Update]) -> Weights:
    """Return sum_k n_k w_k / sum_k n_k of the updates' weights w_k with n_k patients (McMahan et
    al. 2017), summed in float64 and returned in each tensor's own type.

    Integer tensors (counters) are rounded. Raises `ValueError` with the site's name where an update
    is not fit to be averaged (`require_fit`), and where there is none.
    """
    if not updates:
        raise ValueError("there is no update to average; no site answered")
    first = updates[0]
    for update in updates:
        require_fit(update, first.weights)
    total = sum(update.patients for update in updates)
    mean: Weights = {}
    for name, like in first.weights.items():
        summed = torch.zeros(like.shape, dtype=torch.float64)
        for update in updates:
            summed += update.patients * update.weights[name].double()
        summed /= total
        mean[name] = (summed if like.is_floating_point() else summed.round()).to(like.dtype)
    return mean


def require_fit(update: Update, like: Weights) -> None:
    """Raise `ValueError`, naming the site, for an update that cannot be averaged.

    That is: other tensors or shapes than `like`, numbers that are not finite, no patient.
    """
    where = f"the update of {update.site}"
    if list(update.weights) != list(like):
        raise ValueError(
            f"{where} has tensors of another network; install the same version of medpriv there"
        )
    for name, tensor in update.weights.items():
        if tensor.shape != like[name].shape or tensor.dtype != like[name].dtype:
            raise ValueError(
                f"{where}: {name} is {tensor.dtype} {tuple(tensor.shape)}, expected "
                f"{like[name].dtype} {tuple(like[name].shape)}; its images or labels differ from "
                "those of the others"
            )
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"{where} holds numbers that are not finite, in {name}; lower the rate there, or "
                "look at its images"
            )
    if update.patients < 1:
        raise ValueError(f"{where} was learnt from {update.patients} patients; leave the site out")
