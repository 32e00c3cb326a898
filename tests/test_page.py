"""The table as HTML for the book."""

import re

from medpriv_lib.study.beside_paper import beside_paper
from medpriv_lib.study.table import arrange, paper_table


def cells(table: str, row: str) -> list[str]:
    """Return the numbers of one row of the table."""
    line = next(line for line in table.split("<tr") if f">{row}</th>" in line)
    return re.findall(r"<td[^>]*>([^<]*)</td>", line)


def test_ours_stands_before_the_papers_number():
    rows = arrange([row | {"identity_accuracy": 1.25} for row in paper_table()])
    table = beside_paper(rows)
    assert cells(table, "kernel 3") == ["1.2", "69.4", "–", "–", "93.2", "93.2", "87.6", "87.6"]
    assert table.count("<tr>") + table.count('<tr class="first">') == 2 + 14 + 4


def test_rows_that_the_paper_lacks_have_no_column_for_it():
    row = arrange([])[0] | {"experiment": "control", "set": "mean image", "identity_accuracy": 0.0}
    table = beside_paper([row])
    assert cells(table, "mean image") == ["0.0", "–", "–", "–"]
    assert "paper" not in table


def test_the_expert_stands_before_the_papers_judge():
    rows = arrange([row | {"expert_auc": 91.25, "expert_f1": 77.5} for row in paper_table()])
    wanted = ["–", "69.4", "–", "–", "91.2", "77.5", "93.2", "93.2", "87.6", "87.6"]
    table = beside_paper(rows)
    assert cells(table, "kernel 3")[1:] == wanted[1:]
    assert table.index("Expert AUC") < table.index("Glaucoma")


def test_text_is_escaped():
    row = arrange([])[0] | {"experiment": "<b>", "set": "<script>"}
    table = beside_paper([row], caption="a & b")
    assert "<script>" not in table
    assert "&lt;script&gt;" in table
    assert "<caption>a &amp; b</caption>" in table
