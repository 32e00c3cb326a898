"""A table that sorts itself: its cells, its keys, what it refuses."""

import pytest

from medpriv_lib.lessons.sorted_table import SortedTable


def test_cells_carry_what_they_are_sorted_by():
    page = SortedTable(
        "t", ["a", "b"], [["x<y", (0.5, "0.50 [.4, .6]")], [None, 3]], "two"
    )._repr_html_()
    assert '<td data-key="x&lt;y">x&lt;y</td>' in page
    assert '<td class="number" data-key="0.5">0.50 [.4, .6]</td>' in page
    assert '<td data-key=""></td>' in page
    assert 'getElementById("t")' in page
    assert "<caption>two</caption>" in page
    assert "http" not in page


def test_text_and_refusals():
    assert repr(SortedTable("t", ["a", "b"], [["x", (1, "one")]], "c")) == "a\tb\nx\tone"
    with pytest.raises(ValueError, match="has not the 2 entries"):
        SortedTable("t", ["a", "b"], [["x"]], "c")
    with pytest.raises(ValueError, match="caption"):
        SortedTable("t", ["a"], [["x"]], " ")
