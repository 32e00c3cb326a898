"""The page of a stepper: one figure whose native controls move through pictures drawn beforehand: a
slider where the levels are numbers, buttons of which one is chosen where they are names.

It needs no kernel, no network and no library. The first picture shows without JavaScript, with the
controls hidden. Nothing below moves with a control: caption and level's name have room for the
tallest of theirs, at each width.
"""

import base64
import html
import json
from collections.abc import Collection, Mapping, Sequence

from medpriv_lib.core.html_page import as_script
from medpriv_lib.core.palette import ACCENT

MANY = 10  # more buttons than this scroll on a phone, so that the picture stays in sight
STYLE = (
    """
.stepper{margin:1rem 0;padding:0;max-width:100%;display:block;text-align:left;color:inherit;
font:inherit}
.stepper [hidden]{display:none!important}
.stepper p,.stepper figcaption{margin:.35rem 0;padding:0;max-width:none;text-align:left;
color:inherit;line-height:1.45}
.stepper .stepper-title{font-weight:650}
.stepper img{display:block;width:100%;height:auto;margin:.4rem 0;padding:0;background:#fff;
border-radius:.4rem}
.stepper img.stepper-small{image-rendering:pixelated}
.stepper .stepper-control{display:grid;gap:.7rem;align-items:center;min-height:2.75rem;
max-width:36rem}
.stepper input[type=range]{width:100%;min-width:0;height:2rem;margin:0;accent-color:ACCENT;
cursor:pointer;
touch-action:pan-y}
.stepper input[type=range]:focus-visible{outline:2px solid currentColor;outline-offset:2px}
.stepper output{font-variant-numeric:tabular-nums;font-weight:600;overflow-wrap:anywhere;
line-height:1.45;
display:flex;align-items:center}
.stepper fieldset{border:0;margin:.35rem 0;padding:0;min-width:0}
.stepper .stepper-buttons{display:flex;flex-wrap:wrap;gap:.35rem;padding:3px}
.stepper legend{float:none;width:auto;margin:0 0 .2rem;padding:0;font:inherit;color:inherit}
.stepper fieldset label{display:inline-flex;gap:.4rem;align-items:center;margin:0;
padding:.2rem .6rem .2rem .45rem;min-height:1.9rem;line-height:1.25;font-size:.92em;cursor:pointer;
border:1px solid rgba(128,128,128,.6);border-radius:1rem;overflow-wrap:anywhere}
.stepper fieldset label:has(:checked){border-color:currentColor;font-weight:650}
.stepper fieldset label:has(:focus-visible){outline:2px solid currentColor;outline-offset:2px}
.stepper input[type=radio]{flex:none;width:1rem;height:1rem;margin:0;accent-color:ACCENT;
cursor:pointer}
.stepper fieldset span{display:inline-grid}
.stepper fieldset span:after{content:attr(data-text);font-weight:650;height:0;overflow:hidden;
visibility:hidden}
.stepper .stepper-caption{min-height:2.9em;font-weight:400;font-size:.95em}
.stepper .stepper-note{font-size:.9em;font-style:italic}
@media print{.stepper .stepper-controls{display:none}}
@media(max-width:34rem){.stepper .stepper-many{max-height:11rem;overflow-y:auto;
border-block:1px solid rgba(128,128,128,.6)}
.stepper .stepper-control{grid-template-columns:max-content minmax(0,
1fr)!important;row-gap:0}
.stepper .stepper-control output{grid-row:1;grid-column:2;text-align:right;min-height:2.9em;
justify-content:flex-end}
.stepper .stepper-control input{grid-row:2;grid-column:1/-1}}
""".strip()
    .replace("\n", "")
    .replace("ACCENT", ACCENT)
)

SCRIPT = """
(function(){
const box=document.getElementById(ID);if(!box||box.dataset.ready)return;box.dataset.ready="1";
const more=MORE,captions=CAPTIONS,img=box.querySelector("img"),text=box.querySelector("figcaption"),
controls=[...box.querySelectorAll("[data-labels]")],pictures=[img.src].concat(more),
sliders=controls.filter(control=>control.type==="range");
const level=control=>+(control.type==="range"?control:control.querySelector(":checked")).value;
function show(){let at=0;
for(const control of controls){const labels=JSON.parse(control.dataset.labels),i=level(control);
at=at*labels.length+i;if(control.type!=="range")continue;
control.setAttribute("aria-valuetext",labels[i]);
control.parentElement.querySelector("output").textContent=labels[i];}
if(box.dataset.at===String(at))return;box.dataset.at=String(at);
img.src=pictures[at];img.alt=captions[at];text.textContent=captions[at];}
function reserve(element,texts){const probe=element.cloneNode();let tall=0;
probe.removeAttribute("aria-live");
probe.setAttribute("aria-hidden","true");probe.style.cssText="position:absolute;visibility:hidden;
min-height:0;width:"
+element.getBoundingClientRect().width+"px";element.after(probe);
for(const words of texts){probe.textContent=words;
tall=Math.max(tall,probe.getBoundingClientRect().height);}
probe.remove();element.style.minHeight=tall?Math.ceil(tall)+"px":"";}
let wide=0;
function room(){if(box.clientWidth===wide)return;wide=box.clientWidth;reserve(text,captions);
for(const slider of sliders)reserve(slider.parentElement.querySelector("output"),
JSON.parse(slider.dataset.labels));}
box.dataset.at="0";
for(const control of controls){if(control.type==="range")control.value="0";
else control.querySelector("input").checked=true;control.addEventListener("input",show);}
box.querySelector(".stepper-note").hidden=true;box.querySelector(".stepper-controls").hidden=false;
new ResizeObserver(room).observe(box);room();
})();
""".strip().replace("\n", "")


def data_uri(image: bytes, media: str) -> str:
    """Return an encoded picture of the given media type ("image/png") as a `data:` address."""
    return f"data:{media};base64,{base64.b64encode(image).decode()}"


def page(
    name: str,
    title: str,
    controls: Mapping[str, Sequence[str]],
    pictures: Sequence[str],
    captions: Sequence[str],
    size: tuple[int, int],
    shown_width: int,
    named: Collection[str] = (),
) -> str:
    """Return the stepper as HTML.

    `name` is its id, unique on the page; `controls` each control's label and what its levels are
    called; the controls in `named` are buttons, the others sliders. `pictures` (`data:` addresses)
    and `captions` run through all combinations, the last control fastest. `size` is the pictures'
    (width, height) in pixels, `shown_width` how wide they are shown at most, in CSS pixels.
    """
    # fixed columns: a slider that changes its width with the level's name would run away under the
    # finger
    sliding = {name: levels for name, levels in controls.items() if name not in named}
    longest = max(map(len, sliding), default=0)
    level = max((len(text) for levels in sliding.values() for text in levels), default=0)
    columns = f"grid-template-columns:min({longest + 1}ch,30%) minmax(0,1fr) min({level + 2}ch,38%)"
    moved = "".join(
        _choices(f"{name}-{i}", label, levels)
        if label in named
        else _slider(f"{name}-{i}", label, levels, columns)
        for i, (label, levels) in enumerate(controls.items())
    )
    small = ' class="stepper-small"' if shown_width > size[0] else ""
    said = "control needs" if len(controls) == 1 else "controls need"
    script = SCRIPT.replace("ID", as_script(name), 1).replace(
        "MORE", as_script(list(pictures[1:])), 1
    )
    script = script.replace("CAPTIONS", as_script(list(captions)), 1)
    return (
        f'<figure class="stepper" id="{name}" role="group" aria-label="{html.escape(title)}">'
        f"<style>{STYLE}</style>"
        f'<p class="stepper-title">{html.escape(title)}</p>'
        f'<div class="stepper-controls" hidden>{moved}</div>'
        f'<img{small} alt="{html.escape(captions[0])}" width="{size[0]}" height="{size[1]}" '
        f'style="max-width:{shown_width}px" src="{pictures[0]}">'
        '<figcaption class="stepper-caption" aria-live="polite" aria-atomic="true">'
        f"{html.escape(captions[0])}</figcaption>"
        f'<p class="stepper-note">This is the first of {len(pictures)} pictures. '
        f"The {said} JavaScript; in a notebook, run the cell.</p>"
        f"<script>{script}</script></figure>"
    )


def _slider(name: str, label: str, levels: Sequence[str], columns: str) -> str:
    return (
        f'<div class="stepper-control" style="{columns}">'
        f'<label for="{name}">{html.escape(label)}</label>'
        f'<input id="{name}" type="range" min="0" max="{len(levels) - 1}" step="1" value="0" '
        f'autocomplete="off" aria-valuetext="{html.escape(levels[0])}" '
        f'data-labels="{html.escape(json.dumps(list(levels)))}">'
        f'<output for="{name}">{html.escape(levels[0])}</output></div>'
    )


def _choices(name: str, label: str, levels: Sequence[str]) -> str:
    buttons = "".join(
        f'<label for="{name}-{i}"><input id="{name}-{i}" type="radio" name="{name}" value="{i}" '
        f'autocomplete="off"{" checked" * (i == 0)}><span data-text="{html.escape(level)}">'
        f"{html.escape(level)}</span></label>"
        for i, level in enumerate(levels)
    )
    many = " stepper-many" * (len(levels) > MANY)
    return (
        f'<fieldset data-labels="{html.escape(json.dumps(list(levels)))}">'
        f"<legend>{html.escape(label)}</legend>"
        f'<div class="stepper-buttons{many}">{buttons}</div></fieldset>'
    )
