"""The table for a page of the book: HTML that scrolls by itself on a narrow screen and reads well
aloud.
"""

import html
from collections.abc import Sequence

from medpriv_lib.data.packaged import DISEASE
from medpriv_lib.study.rows import headings
from medpriv_lib.study.table import Row, paper_table


def beside_paper(
    rows: Sequence[Row],
    caption: str = "",
    columns: dict[str, str] | None = None,
    disease: str = DISEASE,
) -> str:
    """Return the rows as an HTML table, our number beside the paper's, in percent; a dash where
    there is none.

    `columns` maps column names of the table to headings; those that the paper lacks show our number
    alone. By default they are the paper's and, where an expert judged, the expert's AUC and F1
    before those of the paper's judge. Without any row of the paper its columns are left out.
    `disease` names what the label says. Everything that comes from the rows is escaped.
    """
    expert = any(row.get("expert_auc") is not None for row in rows)
    columns = columns or {
        "identity_accuracy": "Identity",
        "replacement_identity_accuracy": "Replacement",
        **({"expert_auc": "Expert AUC", "expert_f1": "Expert F1"} if expert else {}),
        "disease_accuracy": disease.capitalize(),
        "disease_f1": "F1",
    }
    titles = headings(str(row["experiment"]) for row in rows)
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
    body: list[str] = []
    experiment = None
    for row, their in zip(rows, theirs, strict=True):
        if row["experiment"] != experiment:
            experiment = str(row["experiment"])
            method = html.escape(titles[experiment].title)
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
