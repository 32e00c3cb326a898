"""A table whose columns sort it: plain HTML with a few lines of script, without kernel or network.

Without JavaScript the rows stand in the order in which they came, and the buttons are plain text.
"""

import html
import json
from collections.abc import Sequence

STYLE = """
.sorted-table{overflow-x:auto;max-width:100%;margin:1rem 0}
.sorted-table table{border-collapse:collapse;font-size:.85em;line-height:1.35;width:100%}
.sorted-table th,.sorted-table td{text-align:left;vertical-align:top;padding:.35rem .5rem;
border-bottom:1px solid currentColor}
.sorted-table td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.sorted-table button{font:inherit;font-weight:650;color:inherit;background:none;border:0;
padding:.5rem 0;min-height:2.75rem;text-align:left;cursor:pointer}
.sorted-table button:focus-visible{outline:2px solid currentColor;outline-offset:2px}
""".strip().replace("\n", "")

SCRIPT = """
(function(){
const box=document.getElementById(ID);if(!box||box.dataset.ready)return;box.dataset.ready="1";
const body=box.querySelector("tbody"),heads=[...box.querySelectorAll("th")];
heads.forEach(function(head,column){
const text=head.textContent,button=document.createElement("button");button.type="button";
button.textContent=text;head.textContent="";head.append(button);
button.addEventListener("click",function(){
const up=head.getAttribute("aria-sort")!=="ascending";
for(const other of heads)other.removeAttribute("aria-sort");
head.setAttribute("aria-sort",up?"ascending":"descending");
const rows=[...body.rows];
rows.sort(function(a,b){
const x=a.cells[column].dataset.key,y=b.cells[column].dataset.key;
if(x===""||y==="")return (x==="")-(y==="");
const m=+x,n=+y,order=isNaN(m)||isNaN(n)?x.localeCompare(y):m-n;return up?order:-order;});
body.append(...rows);});});
})();
""".strip().replace("\n", "")


class SortedTable:
    """A table of words and numbers that a reader can sort by any column.

    `columns` are the headings; each of `rows` has one entry per column: text, a number, a pair
    (number to sort by, text to show), or None for nothing. `caption` says what the table shows and
    is read by screen readers. `name` is unique on the page. Raises `ValueError` for a row of
    another length and an empty caption.
    """

    def __init__(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str
    ) -> None:
        """Check that everything fits."""
        odd = [number for number, row in enumerate(rows) if len(row) != len(columns)]
        if odd or not caption.strip():
            raise ValueError(
                f"row {odd[:1]} has not the {len(columns)} entries of the columns"
                if odd
                else "a table needs a caption that says what it shows"
            )
        self.name, self.columns, self.rows, self.caption = name, columns, rows, caption

    def _repr_html_(self) -> str:
        """Return the table as notebooks and books show it."""
        head = "".join(f'<th scope="col">{html.escape(one)}</th>' for one in self.columns)
        body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in self.rows)
        script = SCRIPT.replace("ID", json.dumps(self.name).replace("<", "\\u003c"), 1)
        return (
            f'<div class="sorted-table" id="{html.escape(self.name)}" tabindex="0" role="group" '
            f'aria-label="{html.escape(self.caption)}"><style>{STYLE}</style><table>'
            f"<caption>{html.escape(self.caption)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table><script>{script}</script></div>"
        )

    def __repr__(self) -> str:
        """Return the table as text, for terminals."""
        lines = ["\t".join(self.columns)]
        lines += ["\t".join(_shown(one)[1] for one in row) for row in self.rows]
        return "\n".join(lines)


def _shown(entry: object) -> tuple[str, str, bool]:
    """Return what an entry is sorted by, what is shown, and whether it is a number."""
    if entry is None:
        return "", "", False
    if isinstance(entry, tuple):
        return str(entry[0]), str(entry[1]), True
    number = isinstance(entry, int | float)
    return str(entry), str(entry), number


def _cell(entry: object) -> str:
    key, text, number = _shown(entry)
    kind = ' class="number"' if number else ""
    return f'<td{kind} data-key="{html.escape(key)}">{html.escape(text)}</td>'
