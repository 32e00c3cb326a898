"""How long a chapter is and how long it takes, from its text: words, minutes, and the time that the
chapter states. Each rule returns what is wrong, as lines a writer can act on.
"""

import re

from skeleton import code_cells, headings, source, tags

MAX_WORDS = 3500
MAX_MINUTES = 60
# Adults read English non-fiction silently at 238 words a minute (Brysbaert 2019, the mean of 190
# studies); text with formulas, figures and numbers, read to be understood, is given half of that
WORDS_A_MINUTE = 120
LINES_A_MINUTE = 30  # of code, followed and not typed
MINUTES_AN_EXERCISE = 8  # of the core ones
BELOW = 0.9  # a stated time may be this much below the estimate: it is rounded to 5 minutes


def words(notebook: dict) -> int:
    """Return the words of a chapter that somebody reads: headings, text, tables, the folded answers
    too. The list of references, formulas set apart, and code are not counted.
    """
    text = "\n".join(
        f"{title}\n{below}" for _, title, below in prose(notebook) if title != "References"
    )
    text = re.sub(r"\$\$.*?\$\$|</?(details|summary)>|\]\([^)]*\)", " ", text, flags=re.S)
    return sum(any(sign.isalnum() for sign in word) for word in text.split())


def prose(notebook: dict) -> list[tuple[int, str, str]]:
    """Return `skeleton.headings` of the Markdown cells alone."""
    text = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return headings({"cells": text})


def lines(notebook: dict) -> int:
    """Return the lines of code that a reader follows: not the set-up cell, checks and solutions."""
    folded = {"check", "solution", "setup"}
    return sum(
        bool(line.strip())
        for cell in code_cells(notebook)
        if not folded & set(tags(cell))
        for line in source(cell).splitlines()
    )


def exercises(notebook: dict) -> int:
    """Return how many core exercises a chapter has."""
    text = "\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return len(re.findall(r"\*\*Exercise \d+ \(core\)", text))


def minutes(notebook: dict) -> int:
    """Return the estimated minutes of a chapter: its words, its code, and its core exercises."""
    return round(
        words(notebook) / WORDS_A_MINUTE
        + lines(notebook) / LINES_A_MINUTE
        + MINUTES_AN_EXERCISE * exercises(notebook)
    )


def stated(notebook: dict) -> tuple[int, int]:
    """Return the minutes that the section "Time" states: to read, and for the exercises. (0, 0)
    where it does not state them as "To read: N minutes" and "Exercises: N minutes".
    """
    text = next((below for _, title, below in prose(notebook) if title == "Time"), "")
    read = re.search(r"To read: (\d+) minutes", text)
    solve = re.search(r"Exercises: (\d+) minutes", text)
    return (int(read[1]), int(solve[1])) if read and solve else (0, 0)


def faults(notebook: dict) -> list[str]:
    """Return where a chapter is too long or states a time that its text does not bear out."""
    found = []
    if (long := words(notebook)) > MAX_WORDS:
        found.append(f"it has {long:,} words of at most {MAX_WORDS:,}; shorten or split it")
    if (needed := minutes(notebook)) > MAX_MINUTES:
        found.append(f"it takes about {needed} minutes of at most {MAX_MINUTES}; split it")
    read, solve = stated(notebook)
    if not read:
        found.append("Time does not say 'To read: N minutes' and 'Exercises: N minutes'")
    elif not BELOW * needed <= read + solve <= MAX_MINUTES:
        found.append(
            f"Time states {read} + {solve} minutes, and the text needs about {needed} of at most "
            f"{MAX_MINUTES}"
        )
    return found
