"""The table for a page of the book: HTML that scrolls by itself on a narrow screen and reads well
aloud.
"""

import html
from collections.abc import Sequence

from medpriv_lib.study.table import Row, paper_table

SHOWN = {
    "identity_accuracy": "Identity",
    "replacement_identity_accuracy": "Replacement",
    "disease_accuracy": "Glaucoma",
    "disease_f1": "F1",
}
METHODS = {
    "baseline": "Baseline",
    "pprl-vgan": "PPRL-VGAN",
    "blur": "Blur",
    "k-same-select": "K-Same-Select",
    "control": "Control",
}


def beside_paper(
    rows: Sequence[Row], caption: str = "", columns: dict[str, str] | None = None
) -> str:
    """Return the rows as an HTML table, our number beside the paper's, in percent; a dash where
    there is none.

    `columns` maps column names of the table to headings; those that the paper lacks show our number
    alone. Without any row of the paper its columns are left out. Everything that comes from the
    rows is escaped.
    """
    columns = columns or SHOWN
    paper = {(row["experiment"], row["set"]): row for row in paper_table()}
    theirs = [paper.get((row["experiment"], row["set"])) for row in rows]
    pair = {key: any(theirs) and key in next(iter(paper.values())) for key in columns}
    heads = "".join(
        f'<th scope="colgroup" colspan="{2 if pair[key] else 1}">{html.escape(title)}</th>'
        for key, title in columns.items()
    )
    second = "".join(
        '<th scope="col">ours</th><th scope="col">paper</th>'
        if pair[key]
        else '<th scope="col">ours</th>'
        for key in columns
    )
    second = f"<tr><th></th>{second}</tr>" if any(pair.values()) else ""
    body, experiment = [], None
    for row, their in zip(rows, theirs, strict=True):
        if row["experiment"] != experiment:
            experiment = row["experiment"]
            method = html.escape(METHODS.get(experiment, str(experiment)))
            body.append(
                f'<tr class="first"><th class="method" scope="rowgroup">{method}</th>'
                f'<td colspan="{sum(2 if both else 1 for both in pair.values())}"></td></tr>'
            )
        cells = "".join(
            f'<td class="ours">{_number(row.get(key))}</td>'
            + (f'<td class="theirs">{_number((their or {}).get(key))}</td>' if pair[key] else "")
            for key in columns
        )
        body.append(f'<tr><th scope="row">{html.escape(str(row["set"]))}</th>{cells}</tr>')
    head = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="results">'
        f'<table class="numbers">{head}<thead><tr><th></th>{heads}</tr>{second}</thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _number(value: str | float | int | None) -> str:
    return "–" if value is None or value == "" else f"{float(value):.1f}"
