"""The page of a guide: a few questions with one answer each, and what follows from the answers.

It needs no kernel, no network and no library. Without JavaScript the questions are hidden, and a
table lists what follows from which answers.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medpriv_lib.core import palette
from medpriv_lib.core.html_page import as_script

STYLE = (
    """
.guide{margin:1rem 0;max-width:46rem;text-align:left;color:inherit;font:inherit}
.guide [hidden]{display:none!important}
.guide fieldset{border:1px solid rgba(128,128,128,.5);border-radius:.5rem;margin:.6rem 0;
padding:.3rem .8rem .6rem;min-width:0}
.guide fieldset:disabled{opacity:.45}
.guide legend{font-weight:650;font-size:1rem;padding:0 .3rem;margin:0;width:auto;float:none}
.guide label{display:flex;gap:.6rem;align-items:flex-start;padding:.3rem 0;margin:0;
line-height:1.4;cursor:pointer;min-height:1.75rem}
.guide input{flex:none;width:1.15rem;height:1.15rem;margin:.15rem 0 0;accent-color:MET}
.guide input:focus-visible{outline:2px solid currentColor;outline-offset:2px}
.guide .guide-answer{border:2px solid MET;border-radius:.5rem;padding:.4rem .9rem;
margin:.8rem 0}
.guide .guide-answer.guide-no{border-color:MISSED}
.guide p,.guide li{max-width:none;line-height:1.5;overflow-wrap:anywhere}
.guide .guide-title{font-weight:650;font-size:1.15rem;margin:.4rem 0}
.guide details{max-width:none;margin:.5rem 0}
.guide summary{cursor:pointer;font-weight:600;min-height:1.75rem}
.guide .guide-scroll{overflow-x:auto}
.guide table{border-collapse:collapse;font-size:.86rem;width:100%}
.guide :is(th,td){text-align:left;vertical-align:top;padding:.3rem .5rem;white-space:normal;
border-bottom:1px solid rgba(128,128,128,.4);min-width:6.5rem}
""".strip()
    .replace("\n", "")
    .replace("MET", palette.MET)
    .replace("MISSED", palette.MISSED)
)

SCRIPT = """
(function(){
const box=document.getElementById(ID);if(!box||box.dataset.ready)return;box.dataset.ready="1";
const data=DATA,sets=[...box.querySelectorAll("fieldset")];
const answer=box.querySelector(".guide-answer");
const part=name=>answer.querySelector(".guide-"+name);
function list(element,lines){element.replaceChildren(...lines.map(text=>{
const item=document.createElement("li");item.textContent=text;return item;}));}
function show(){
const key=sets.map(set=>(set.querySelector("input:checked")||{}).value).join("|");
const at=data.keys[key],found=data.outcomes[at.outcome];
for(const set of sets)set.disabled=!at.asked.includes(set.dataset.question);
part("title").textContent=found.title;part("step").textContent=found.step;
part("reason").textContent=found.reason;
list(part("figures"),found.figures);list(part("missed"),found.missed);
part("why").hidden=!found.missed.length;
const link=part("link");link.href=found.page+".html";link.textContent=found.link;
answer.classList.toggle("guide-no",found.refused);box.dataset.at=key;}
sets.forEach((set,i)=>{set.querySelector("input[value="+START[i]+"]").checked=true;
set.addEventListener("change",show);});
box.querySelector(".guide-form").hidden=false;box.querySelector(".guide-table").open=false;
show();
})();
""".strip().replace("\n", "")


@dataclass(frozen=True)
class Outcome:
    """What follows from some answers: `title`, the next `step`, the `reason`, `figures` and what
    was `missed` as sentences, a `page` with the text of its `link`, and whether it is a refusal
    (`refused`).
    """

    title: str
    step: str
    reason: str
    figures: tuple[str, ...]
    missed: tuple[str, ...]
    page: str
    link: str
    refused: bool = False


Answers = tuple[str, ...]  # one name for each question, in the questions' order


def page(
    name: str,
    questions: Mapping[str, tuple[str, Mapping[str, str]]],
    outcomes: Mapping[Answers, Outcome],
    asked: Mapping[Answers, Sequence[str]],
    start: Answers,
) -> str:
    """Return the guide as HTML.

    `name` is its id, unique on the page. `questions` maps each question's name to its text and its
    answers (name -> text); `outcomes` has every combination of answers, and `asked` the questions
    that matter then: the others are switched off. It begins with the answers `start`. Raises
    `ValueError` for a missing combination.
    """
    count = 1
    for _, answers in questions.values():
        count *= len(answers)
    if len(outcomes) != count or set(outcomes) != set(asked):
        raise ValueError(
            f"{len(outcomes)} of {count} combinations of answers have an outcome; give one to each"
        )
    listed, first = list(dict.fromkeys(outcomes.values())), outcomes[start]
    keys = {
        "|".join(answers): {"outcome": listed.index(one), "asked": list(asked[answers])}
        for answers, one in outcomes.items()
    }
    data = {"keys": keys, "outcomes": [vars(one) for one in listed]}
    script = SCRIPT.replace("ID", as_script(name), 1).replace("DATA", as_script(data), 1)
    script = script.replace("START", as_script(list(start)), 1)
    sets = "".join(_fieldset(name, key, *one) for key, one in questions.items())
    return (
        f'<div class="guide" id="{name}"><style>{STYLE}</style>'
        f'<div class="guide-form" hidden>{sets}'
        '<div class="guide-answer" role="status" aria-live="polite" aria-atomic="true">'
        '<p class="guide-title"></p><p class="guide-step"></p><p class="guide-reason"></p>'
        '<p>What an attacker reached:</p><ul class="guide-figures"></ul>'
        '<details class="guide-why"><summary>Tried before, and what was missed</summary>'
        '<ul class="guide-missed"></ul></details>'
        f'<p><a class="guide-link" href="{html.escape(first.page)}.html">'
        f"{html.escape(first.link)}</a></p></div></div>"
        f"{_table(questions, outcomes, asked)}<script>{script}</script></div>"
    )


def _fieldset(name: str, key: str, text: str, answers: Mapping[str, str]) -> str:
    labels = "".join(
        f'<label><input type="radio" name="{name}-{key}" value="{html.escape(value)}" '
        f'autocomplete="off"><span>{html.escape(said)}</span></label>'
        for value, said in answers.items()
    )
    return (
        f'<fieldset data-question="{html.escape(key)}"><legend>{html.escape(text)}</legend>'
        f"{labels}</fieldset>"
    )


def _table(
    questions: Mapping[str, tuple[str, Mapping[str, str]]],
    outcomes: Mapping[Answers, Outcome],
    asked: Mapping[Answers, Sequence[str]],
) -> str:
    """Return all outcomes as a table, one row for the combinations that differ in what matters."""
    rows: dict[tuple[str, ...], Outcome] = {}
    for answers, one in outcomes.items():
        said = tuple(
            questions[key][1][answer] if key in asked[answers] else "any"
            for key, answer in zip(questions, answers, strict=True)
        )
        rows.setdefault(said, one)
    heads = [text for text, _ in questions.values()]
    heads += ["Recommendation", "What an attacker reached"]
    body = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(text)}</td>" for text in said)
        + f"<td><strong>{html.escape(one.title)}</strong></td>"
        + f"<td>{html.escape(one.figures[0] if one.figures else '-')}</td></tr>"
        for said, one in rows.items()
    )
    top = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in heads)
    return (
        '<details class="guide-table" open><summary>All answers as a table</summary>'
        '<div class="guide-scroll" tabindex="0" role="region" aria-label="all answers">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )
