"""The table as text for a terminal, at most 120 characters wide."""

from collections.abc import Iterable, Iterator, Sequence

from medpriv_lib.measures.measure import Column
from medpriv_lib.study.rows import PREDICTED
from medpriv_lib.study.table import Row, all_measures, has_visits, paper_table

WIDTH = 120
ACROSS = 11  # columns of measures beside each other


def render(rows: Sequence[Row], disease: str = "disease") -> str:
    """Return the table, the paper's numbers beside ours; `disease` names what the label says.

    Where an expert judged, its columns stand first after the paper's, and those of judges that
    never saw the patient are left to the file.
    """
    paper = {(row["experiment"], row["set"]): row for row in paper_table()}
    pairs = (
        ("identity", "identity_accuracy"),
        ("replacement", "replacement_identity_accuracy"),
        (disease, "disease_accuracy"),
        (f"{disease} F1", "disease_f1"),
    )
    expert = any(row.get("expert_auc") is not None for row in rows)
    alone = (
        (
            ("exp AUC", "expert_auc"),
            ("exp F1", "expert_f1"),
            ("other", "other_contributor_accuracy"),
        )
        if expert
        else (
            ("other", "other_contributor_accuracy"),
            ("unseen", "disease_accuracy_unseen"),
            ("F1 uns.", "disease_f1_unseen"),
        )
    )
    names = [str(row["set"]).removesuffix(PREDICTED) for row in rows]
    width = max(map(len, names)) + 3
    lines = [
        " " * width + "".join(f"{title:>14}" for title, _ in pairs),
        "percent".ljust(width)
        + f"{'ours':>7}{'paper':>7}" * len(pairs)
        + "".join(f"{t:>8}" for t, _ in alone),
    ]
    section = None
    for row, name in zip(rows, names, strict=True):
        if section != (
            section := f"{row['experiment']}{PREDICTED if row['labels'] == 'predicted' else ''}"
        ):
            lines.append(section)
        theirs = paper.get((row["experiment"], row["set"]), {})
        cells = "".join(f"{_show(row.get(key)):>7}{_show(theirs.get(key)):>7}" for _, key in pairs)
        cells += "".join(f"{_show(row.get(key)):>8}" for _, key in alone)
        lines.append(
            f"  {name}".ljust(width)
            + (f"  {row['note']}" if row["disease_accuracy"] is None else cells)
        )
    return "\n".join([*lines, "", *_legend(rows, expert)])


def render_measures(rows: Sequence[Row]) -> str:
    """Return the columns of all measures that have a title for the terminal; "" without numbers."""
    visits = has_visits(rows)
    found = [one for one in all_measures().values() if visits or not one.needs_visits]
    shown = [column for one in found for column in one.columns if column.title]
    rows = [row for row in rows if row["labels"] != "predicted"]
    if not any(row.get(column.name) is not None for row in rows for column in shown):
        return ""
    width = max(len(str(row["set"])) for row in rows) + 3
    lines: list[str] = []
    for first in range(0, len(shown), ACROSS):
        lines += [*_block(rows, shown[first : first + ACROSS], width), ""]
    legends = [one.legend(rows) for one in found]
    return "\n".join([*lines, *(legend for legend in legends if legend)])


def render_notes(notes: Iterable[dict]) -> str:
    """Return why which measure has no number, one line for each reason; "" where all have."""
    lines = []
    for note in notes:
        rows = note["rows"]
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        where = rows[0] + more if rows else "all rows"
        lines.append(f"{note['measure']}, {where}: {note['reason']}")
    return "\n".join(["left empty:", *(f"  {line}" for line in lines)]) if lines else ""


def _block(rows: Sequence[Row], shown: Sequence[Column], width: int) -> Iterator[str]:
    yield "measures".ljust(width) + "".join(f"{column.title:>7}" for column in shown)
    for row in rows:
        values = [row.get(column.name) for column in shown]
        cells = "".join(f"{'-' if value is None else format(value, '.1f'):>7}" for value in values)
        yield f"  {row['set']}".ljust(width) + cells


def _legend(rows: Sequence[Row], expert: bool) -> list[str]:
    """Say what the columns mean, with the counts and floors that the numbers are to be read
    against.
    """
    judge = (
        "exp: AUC and F1 by a judge that was taught on people who are in no cohort"
        if expert
        else "unseen: a judge that never saw the patient"
    )
    row = next((row for row in rows if row["n"] is not None), None)
    if row is None:
        return ["no row could be computed"]
    chance = (
        ""
        if row["chance_identity"] is None
        else f"; chance identity {row['chance_identity']:.2f} %"
    )
    return [
        f"{row['n']} test images of {row['test_patients']} patients; always answering the more "
        f"frequent label is right in {row['majority_rate']:.2f} %{chance}",
        "other: a contributor who is not the source patient is named",
        judge,
    ]


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
