"""Options that would change nothing: whoever gives one expects something of it."""

import argparse


def refuse_of_training(args: argparse.Namespace, trains: bool) -> None:
    """Raise `ValueError` for options of a training where nothing is trained."""
    for name in ("rounds", "epochs"):
        if not trains and getattr(args, name) is not None:
            raise ValueError(
                f"--{name} is of a training, and nothing is trained here: the weights are there "
                "already; leave it out, or add --train"
            )


def refuse_beside(
    args: argparse.Namespace, usual: argparse.Namespace, which: str, *allowed: str
) -> None:
    """Raise `ValueError` for an option that is not as `usual` and has no meaning beside `which`."""
    for name, value in vars(usual).items():
        if name not in ("out", which, *allowed) and getattr(args, name) != value:
            raise ValueError(f"--{name} has no meaning beside --{which}; leave it out")
