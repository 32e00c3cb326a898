"""The verbs that `import medpriv_lib` offers and the commands call; nothing here prints."""

from collections.abc import Callable

Note = Callable[[str], None]


def silent(text: str) -> None:
    """Say nothing: what a verb does with its progress where nobody listens."""
