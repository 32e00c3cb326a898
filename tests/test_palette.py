"""One palette: no figure, page or chapter uses a colour that `core/palette.py` does not name."""

import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from medpriv_lib.core import palette

ROOT = Path(__file__).resolve().parents[1]
NAMED = {"black", "white", "none", "k", "w"}
HEX = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b")
SAID = re.compile(
    r"\b(?:color|colors|facecolor|edgecolor|c|mfc|mec)\"?\s*[=:]\s*[\"']([^\"']+)[\"']"
)
KNOWN = {
    *palette.CYCLE,
    *palette.SHADES,
    palette.SKY,
    palette.AMBER,
    palette.HEAT,
    palette.COOL,
    palette.INK,
    palette.PAPER,
}
LOGO = {"#14919b", "#45b3a8", "#2b6f8f", "#334155"}  # drawn once; its shades mark no result


def grey(colour: str) -> bool:
    """Say whether a hex colour is a grey or nearly one, as inks, papers and lines are."""
    digits = colour[1:]
    three = palette.channels("#" + ("".join(2 * d for d in digits) if len(digits) == 3 else digits))
    return max(three) - min(three) <= 24


def cells() -> list[tuple[str, str]]:
    """Return (chapter, source) of every code cell."""
    found = []
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                found.append((path.stem, "".join(cell["source"])))
    return found


def files() -> list[Path]:
    """Return the files of the library and the book that could hold a colour."""
    own = [*(ROOT / "medpriv_lib").rglob("*.py"), *(ROOT / "book").glob("*.py")]
    return [*own, ROOT / "book" / "static" / "style.css", *(ROOT / "book" / "front").rglob("*.css")]


def strange(text: str) -> set[str]:
    """Return the colours in a text that the palette does not name."""
    named = {match for match in SAID.findall(text) if not re.fullmatch(r"C[0-7]|[01]?\.\d+", match)}
    others = {one for one in named if one not in NAMED and not HEX.fullmatch(one)}
    others = {one for one in others if one in matplotlib.colors.get_named_colors_mapping()}
    hexes = {one.lower() for one in HEX.findall(text)}
    tabs = set(re.findall(r"[\"'](tab:\w+)[\"']", text))
    return others | tabs | {one for one in hexes if one not in KNOWN and not grey(one)}


def test_the_rule_sees_a_strange_colour():
    assert strange('plot(x, color="tab:blue"); bar(y, color="darkred"); c="#ff00ff"') == {
        "tab:blue",
        "darkred",
        "#ff00ff",
    }
    assert not strange('plot(x, color="C3"); axvline(0, color="0.6", c="k"); f="#0f766e"')


def test_no_chapter_uses_another_colour():
    wrong = {(name, colour) for name, text in cells() for colour in strange(text)}
    assert not wrong, f"use C0 to C7, a grey level, or medpriv_lib.core.palette: {wrong}"


def test_no_figure_and_no_page_uses_another_colour():
    wrong = {}
    for path in files():
        if found := strange(path.read_text(encoding="utf-8")) - LOGO:
            wrong[path.relative_to(ROOT).as_posix()] = found
    assert not wrong, f"name the colour in medpriv_lib/core/palette.py: {wrong}"


def test_maps_of_two_directions_are_one_map():
    maps = {
        (name, one)
        for name, text in cells()
        for one in re.findall(r"cmap=\"(\w+)\"", text)
        if one not in ("gray", "magma")
    }
    assert {one for _, one in maps} <= {palette.DIVERGING, f"{palette.DIVERGING}_r"}, maps


def test_chapters_draw_in_the_cycle():
    told = matplotlib.rc_params_from_file(
        ROOT / "chapters" / "matplotlibrc", use_default_template=False
    )
    drawn = [f"#{one.removeprefix('#')}" for one in told["axes.prop_cycle"].by_key()["color"]]
    assert drawn == list(palette.CYCLE)


def test_met_and_missed_are_drawn_alike_on_every_page():
    style = (ROOT / "book" / "static" / "style.css").read_text(encoding="utf-8")
    assert f".cases .safe img {{ border: 3px solid {palette.MET}; }}" in style
    assert f".cases .leak img {{ border: 3px solid {palette.MISSED}; }}" in style
    landing = (ROOT / "book" / "landing.py").read_text(encoding="utf-8")
    assert "palette.veil(palette.MET, 0.16)" in landing
    from medpriv_lib.lessons.guide_html import STYLE
    from medpriv_lib.study.figures.requirements import FAILS, MEETS

    assert palette.tint(palette.MET, 0.16) == MEETS
    assert palette.tint(palette.MISSED, 0.26) == FAILS
    assert f"border:2px solid {palette.MET}" in STYLE


@pytest.mark.parametrize(("share", "want"), [(0, "#ffffff"), (1, "#0f766e"), (0.5, "#87bab6")])
def test_a_tint_lies_between_white_and_the_colour(share, want):
    assert palette.tint(palette.MET, share) == want
    assert palette.veil(palette.MET, 0.5) == "rgba(15, 118, 110, 0.5)"


def test_neighbours_in_the_cycle_differ():
    cycle = np.array([palette.channels(one) for one in palette.CYCLE], float)
    apart = np.linalg.norm(cycle[:, None] - cycle, axis=2)[np.triu_indices(len(cycle), 1)]
    assert apart.min() > 50
