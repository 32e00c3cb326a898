"""The map of technologies over the pipeline, measured and printed."""

from pathlib import Path

from medpriv_lib.cli.options import progress, say


def print_map(folder: Path) -> None:
    """Measure the map of the pipeline, or what is left of it, and print its cells."""
    try:
        from medpriv_lib.study.pipeline.run import measure

        content = measure(folder, progress)
    except ImportError as error:
        raise ValueError(str(error)) from error
    for key, cell in content["cells"].items():
        value, low, high = cell["auc"]
        best = cell["attacks"][0] if cell["attacks"] else None
        attack = (
            "no attack applies"
            if best is None
            else (f"{best['attack']} {best['value']:.3f}, guessing {best['chance']:.3f}")
        )
        say(f"{key}: AUC {value:.3f} ({low:.3f} to {high:.3f}); {attack}")
    say(f"written to {folder}: pipeline.json")
