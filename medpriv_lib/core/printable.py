"""Text from files, made fit for a message: nothing in it moves a cursor, its length is bounded."""

LONGEST = 200


def printable(text: object, longest: int = LONGEST) -> str:
    r"""Return the text with every character that is not visible written out, as `\x1b` or `\u202e`.

    A terminal obeys control characters, and marks of direction turn the order of letters around: a
    cell of somebody's table, a file's name or a text inside a file goes through here before it
    stands in a message. What is longer than `longest` characters is cut, with `…` at its end.
    """
    shown = _decoded(str(text))
    cut = shown[:longest] + "…" if len(shown) > longest else shown
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in cut
    )


def _decoded(text: str) -> str:
    """Return a path that came in as bytes of UTF-8 in a locale without it as the text it is."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return text
