"""Run the study: `python -m medpriv_lib.study.gradient_inversion --out FOLDER`."""

from medpriv_lib.study.command import into_folder
from medpriv_lib.study.gradient_inversion.run import run


def main(argv: list[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder("medpriv_lib.study.gradient_inversion", run, argv)


if __name__ == "__main__":
    main()
