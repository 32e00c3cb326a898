"""The rows of a CSV text, whatever its separator."""

import csv
import io
import re

# what Excel puts before the header, so that it opens the file with this separator anywhere
NAMED = re.compile(r'"?sep=(\\t|[^\r\n])"?[;,\t]*\r?(\n|$)', re.IGNORECASE)


def rows_of(text: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty with their numbers, their cells without blanks around.

    The separator is the one that a first line `sep=;` names (that line is then not counted), else
    the commonest of comma, semicolon and tab in the first line. Raises `csv.Error` and `ValueError`
    where the text is no CSV.
    """
    if named := NAMED.match(text):
        text, separator = text[named.end() :], "\t" if named[1] == "\\t" else named[1]
    else:
        separator = max(",;\t", key=text.split("\n", 1)[0].count)
    if separator in '"\n\r ':
        raise ValueError(f"{separator!r} cannot separate cells")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows = ((number, [c.strip() for c in cells]) for number, cells in enumerate(reader, 1))
    return [(number, cells) for number, cells in rows if any(cells)]
