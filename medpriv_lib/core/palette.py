"""The colours of every figure and page, each with one meaning.

Lines and bars take `CYCLE` in its order, so that neighbours differ in lightness too; a chapter says
"C0" to "C7" (`chapters/matplotlibrc` holds the same list) or a grey level such as "0.6". What a
requirement says is drawn in two colours everywhere: `MET` and `MISSED`. On photographs only the
brighter `SKY`, `AMBER`, `HEAT` and `COOL` are seen.
"""

ACCENT = MET = "#0f766e"
MISSED = "#c2410c"
CYCLE = (ACCENT, MISSED, "#4477aa", "#aa4499", "#999933", "#555555", "#88ccee", "#cc6677")
DIVERGING = "PuOr"  # a map of two directions; reversed ("PuOr_r") orange is more
SKY, AMBER = "#00a0ff", "#ffbe00"  # outlines and tints on a grey picture
HEAT, COOL = "#ff8c00", "#005ac8"  # relevance or brighter; darker
INK, PAPER = "#333333", "#ffffff"
# of ACCENT for links, on light and on dark pages, and of MISSED on dark ones; they mark no result
SHADES = ("#0b6760", "#0a4f4a", "#5cc8bd", "#6fd0c6", "#a5e6df", "#f0a26b")


def channels(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of a colour such as "#0f766e"."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def tint(colour: str, share: float) -> str:
    """Return a colour laid over white with the opacity `share`, as hex: the ground of a cell."""
    mixed = [round(255 - share * (255 - part)) for part in channels(colour)]
    return "#" + bytes(mixed).hex()


def veil(colour: str, share: float) -> str:
    """Return a colour with the opacity `share` as CSS, for a page that may be light or dark."""
    return f"rgba({', '.join(map(str, channels(colour)))}, {share:g})"
