"""Draw the book's mark, an iris that turns into blocks: `python book/mark.py` writes logo.svg and
favicon.svg.
"""

from pathlib import Path

import numpy as np

STATIC = Path(__file__).resolve().parent / "static"
COLOURS = ("#0f766e", "#14919b", "#45b3a8", "#2b6f8f")


def fibres(radius: float, inner: float, n: int, rng: np.random.Generator) -> list[str]:
    """Return the left half of the iris: radial strokes between the radii `inner` and `radius`,
    around (0, 0).
    """
    lines = []
    for angle in np.linspace(np.pi / 2, 3 * np.pi / 2, n):
        start, end = inner * rng.uniform(1.0, 1.15), radius * rng.uniform(0.88, 1.0)
        x, y = np.cos(angle), np.sin(angle)
        lines.append(
            f'<path d="M{start * x:.1f} {start * y:.1f}L{end * x:.1f} {end * y:.1f}" '
            f'stroke="{COLOURS[rng.integers(len(COLOURS))]}"/>'
        )
    return lines


def blocks(radius: float, inner: float, side: float, rng: np.random.Generator) -> list[str]:
    """Return the right half of the iris: squares of the given side whose centres lie between the
    two radii.
    """
    squares = []
    for x in np.arange(side / 2 + 1, radius, side):
        for y in np.arange(-radius + side / 2, radius, side):
            if inner * 1.02 <= np.hypot(x, y) <= radius:
                squares.append(
                    f'<rect x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side - 0.8:.1f}" '
                    f'height="{side - 0.8:.1f}" rx="1" '
                    f'fill="{COLOURS[rng.integers(len(COLOURS))]}"/>'
                )
    return squares


def mark(n: int, side: float, stroke: float) -> str:
    """Return the mark as SVG, 100 units wide; `n` strokes on the left, blocks of `side` on the
    right.
    """
    rng = np.random.default_rng(3)
    parts = [*fibres(46, 19, n, rng), "</g>", *blocks(46, 19, side, rng)]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-50 -50 100 100" role="img" '
        f'aria-label="An iris, half fibres, half blocks"><g fill="none" stroke-width="{stroke}" '
        'stroke-linecap="round">'
        + "".join(parts)
        + '<circle r="15" fill="#334155"/><circle cx="-5" cy="-6" r="3.4" fill="#fff"/></svg>\n'
    )


if __name__ == "__main__":
    (STATIC / "logo.svg").write_text(mark(n=41, side=9.2, stroke=2.2))
    (STATIC / "favicon.svg").write_text(mark(n=15, side=15.0, stroke=5.5))
