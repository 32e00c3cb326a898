"""What the landing page shows: the four pictures of a case, one eye through every method, the
result, what ships.
"""

import base64
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from IPython.display import HTML

from medpriv_lib.core import palette, weights
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.lessons.widgets import Stepper
from medpriv_lib.measures.evidence import evidence_kept
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import Original, RealOther
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.study.rows import headings
from medpriv_lib.study.table import read_table
from medpriv_lib.study.verdict import ORIGINAL, Line, verdicts

K = 6
AVERAGED = (3, 6, 12)
RESULTS = (
    Path(__file__).resolve().parent.parent / "chapters" / "results" / "confounded" / "table.csv"
)
SUMMED_UP = (
    ("blur", "kernel 9"),
    ("blur", "kernel 21"),
    ("k-same-select", "6 identities"),
    ("pprl-vgan", "identities with the same pathology"),
    ("pprl-vgan", "average of 6 with the same pathology"),
    ("disentangled", "synthetic identities"),
    ("sign-transfer", "pupil kept"),
    ("control", "real image, other patient, same label"),
    ("control", "mean sign on a stranger"),
    ("control", "true signs on a stranger, same pupil"),
)


@dataclass(frozen=True)
class Story:
    """The rows of the case and of the similar case, the privatised image, and the judges' numbers
    in percent.
    """

    case: int
    similar: int
    private: np.ndarray
    decision: float
    named: float
    named_private: float
    disease_private: float


def tell(cohort: Cohort, judges: Judges) -> Story:
    """Choose a test image called diseased, find the nearest such training image of another patient,
    and privatise that.

    "Nearest" is in the disease judge's last hidden layer: what that network sees as similar. The
    case is the one whose similar case lies nearest. The privatised image averages K patients with
    the same label (K-Same-Select).
    """
    asked = _seen(judges, cohort, (cohort.split == "test") & cohort.diseased)
    stored = _seen(judges, cohort, (cohort.split == "train") & cohort.diseased)
    with torch.no_grad():
        queries, gallery = (
            judges.disease.embed(to_tensor(cohort.images[rows])) for rows in (asked, stored)
        )
    distance = torch.cdist(queries, gallery).numpy()
    distance[cohort.patient[asked][:, None] == cohort.patient[stored][None]] = np.inf
    i, j = np.unravel_index(distance.argmin(), distance.shape)
    case, similar = int(asked[i]), int(stored[j])
    release = (
        KSameSelect(K, form="query")
        .fit(cohort.of("train"))
        .privatize(cohort.take(np.array([similar])))
    )
    identity = _percent(
        judges.identity,
        np.stack([cohort.images[similar], release.images[0]]),
        cohort.patient[similar],
    )
    disease = _percent(judges.disease, np.stack([cohort.images[case], release.images[0]]), 1)
    return Story(case, similar, release.images[0], disease[0], identity[0], identity[1], disease[1])


def _seen(judges: Judges, cohort: Cohort, rows: np.ndarray) -> np.ndarray:
    """Return those of the chosen rows (mask) whose disease the judge sees."""
    rows = np.flatnonzero(rows)
    return rows[logits(judges.disease, cohort.images[rows]).argmax(1).numpy() == 1]


def _percent(network: Recogniser | None, images: np.ndarray, label: int) -> list[float]:
    assert network is not None  # the shipped judges are both there
    return (100 * logits(network, images).softmax(1)[:, int(label)]).tolist()


def tile(image: np.ndarray, alt: str, size: int = 256) -> str:
    """Return one grey image (H, W) as an <img>, enlarged with cubic interpolation and embedded as
    PNG.
    """
    large = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
    data = base64.b64encode(cv2.imencode(".png", large)[1].tobytes()).decode()
    return (
        f'<img alt="{html.escape(alt)}" width="{size}" height="{size}" '
        f'src="data:image/png;base64,{data}">'
    )


def sure(percent: float) -> str:
    """Return a probability in percent as text; no network is 100 % sure."""
    return f"{percent:.0f}&nbsp;%" if percent < 99.5 else "&gt;&nbsp;99&nbsp;%"


def card(kind: str, step: str, picture: str, title: str, text: str) -> str:
    """Return one of the four cards; `kind` is its CSS class."""
    return (
        f'<figure class="{kind}"><span class="step">{step}</span>{picture}'
        f"<figcaption><b>{title}</b>{text}</figcaption></figure>"
    )


def picture() -> HTML:
    """Return the whole picture, computed from the default cohort and the shipped judges."""
    cohort, judges = default_cohort(), Judges.load()
    story = tell(cohort, judges)
    name = html.escape(str(cohort.patient_names[cohort.patient[story.similar]]))
    cards = [
        card(
            "",
            "The case",
            tile(cohort.images[story.case], "Near-infrared image of the eye in question"),
            "An eye nobody has judged yet.",
            "What does it show?",
        ),
        card(
            "",
            "The decision",
            f'<div class="verdict" role="img" aria-label="Glaucoma, {sure(story.decision)}">'
            f"<strong>glaucoma</strong><span>{sure(story.decision)}</span></div>",
            "A network answers.",
            "It does not say why.",
        ),
        card(
            "leak",
            "The explanation",
            tile(
                cohort.images[story.similar],
                "Near-infrared image of another patient's eye, similar to the first",
            ),
            "&ldquo;Because it looks like this one.&rdquo;",
            f"Convincing, and a leak: a network that knows the patients names patient {name}, "
            f"{story.named:.0f}&nbsp;% sure.",
        ),
        card(
            "safe",
            "Shown instead",
            tile(story.private, f"A blend of {K} eyes with the same diagnosis"),
            f"The same case, {K} patients averaged.",
            f"Patient {name}: {story.named_private:.0f}&nbsp;%. Glaucoma: "
            f"{story.disease_private:.0f}&nbsp;%. Is that enough?",
        ),
    ]
    return HTML(f'<div class="cases">{"".join(cards)}</div>')


def ways(train: Cohort) -> dict:
    """Return the methods that the moving picture steps through, by name, each fitted."""
    vgan = PPRLVGAN.load(weights.shipped("pprl-vgan"))
    return (
        {"nothing done": Original()}
        | {f"blur, kernel {kernel}": Blur(kernel) for kernel in (3, 9, 15, 21)}
        | {f"{k} patients averaged": KSameSelect(k, form="query").fit(train) for k in AVERAGED}
        | {
            "generated, identity with the same diagnosis": vgan.with_policy("same"),
            "generated, identity with another diagnosis": vgan.with_policy("different"),
            "six generated images averaged": Averaged(vgan, K, "same"),
            "another patient's photograph": RealOther().fit(train),
        }
    )


@dataclass(frozen=True)
class Shown:
    """What one method makes of the diseased test images: `images` (n, s, s), and in percent, one
    number each, how sure the judges are of the patient (`named`) and of the disease (`sick`), and
    how strongly the signs arrive (`kept`).
    """

    images: np.ndarray
    named: np.ndarray
    sick: np.ndarray
    kept: np.ndarray


def shown_by(method: Privatizer, name: str, ill: Cohort, judges: Judges) -> Shown:
    """Return what a method makes of images with signs and of their twins, by the same draw."""
    assert ill.twin is not None
    assert ill.evidence is not None
    shown, without = (
        method.privatize(part, seeded(0, "journey", name)).images
        for part in (ill, replace(ill, images=ill.twin))
    )
    assert judges.identity is not None  # the shipped judges are both there
    sure_of = logits(judges.identity, shown).softmax(1).numpy()
    return Shown(
        shown,
        100 * sure_of[np.arange(len(ill)), ill.patient],
        np.array(_percent(judges.disease, shown, 1)),
        100 * evidence_kept(shown, without, ill.images, ill.twin, ill.evidence),
    )


def ordinary(made: Mapping[str, Shown]) -> int:
    """Return the image for which the numbers of all methods together lie nearest to their means."""
    numbers = [getattr(each, key) for each in made.values() for key in ("named", "sick", "kept")]
    spread = [(values - values.mean()) / (values.std() + 1) for values in numbers]
    return int(np.square(spread).sum(axis=0).argmin())


def journey() -> Stepper:
    """Return one case as every method would show it, with what the judges and the twin say of each
    picture, and what they say of half of the diseased test images.

    The case is the diseased test image whose numbers lie nearest to the means over all methods.
    """
    cohort, judges = default_cohort(), Judges.load()
    test = cohort.of("test")
    assert test.evidence is not None
    ill = test.take(np.flatnonzero(test.evidence.any(axis=(1, 2)))[::2])  # half: a page is short
    made = {
        name: shown_by(method, name, ill, judges)
        for name, method in ways(cohort.of("train")).items()
    }
    row = ordinary(made)

    def draw(shown_instead: str) -> np.ndarray:
        gap = np.full((64, 4), 255, np.uint8)
        pair = np.hstack([ill.images[row], gap, made[shown_instead].images[row]])
        return cv2.resize(pair, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)

    def describe(shown_instead: str) -> str:
        each = made[shown_instead]
        low, high = np.percentile(each.kept, [10, 90])
        return (
            f"Left the case, right what is shown instead: {shown_instead}. The judges: this "
            f"patient {each.named[row]:.0f} %, glaucoma {each.sick[row]:.0f} %; the signs arrive "
            f"with strength {each.kept[row]:.0f} %. {len(ill)} diseased test images: patient "
            f"{each.named.mean():.0f} %, glaucoma {each.sick.mean():.0f} %, signs "
            f"{each.kept.mean():.0f} % (eight in ten between {low:.0f} and {high:.0f})."
        )

    return Stepper(
        draw, {"shown_instead": list(made)}, describe, title="One case, twelve ways to show it"
    )


def result() -> HTML:
    """Return the study's outcome at a glance: methods against requirements, from the results'
    table.
    """
    rows = read_table(RESULTS)
    found = verdicts(rows)
    told = {(row["experiment"], row["set"]) for row in rows if row["labels"] != "predicted"}
    told = {name for name in told if name in found and name != ORIGINAL}
    perfect = sum(found[name].meets_all is True for name in told)
    shown = {name: found[name] for name in SUMMED_UP if name in found}
    titles = headings(name for name, _ in shown)
    lines = {name: (*one.lines, one.at_ceiling) for name, one in shown.items()}
    heads = "".join(
        f'<th scope="col" style="white-space:normal;text-align:center">'
        f"{html.escape(line.requirement)}</th>"
        for line in next(iter(lines.values()))
    )
    body = "".join(
        f'<tr><th scope="row">{html.escape(titles[name[0]].title)}: {html.escape(name[1])}</th>'
        + "".join(map(_cell, lines[name]))
        + "</tr>"
        for name in shown
    )
    count = "None" if perfect == 0 else str(perfect)
    caption = (
        f"{count} of {len(told)} rows, methods and controls, meets all six requirements. Cross and "
        "orange: not met. Last column: hidden as well as the signs alone are. In percent; "
        "the chapter A yardstick sets the limits."
    )
    return HTML(
        '<div class="scroll" tabindex="0" role="region" aria-label="methods against requirements">'
        f'<table class="numbers narrow"><caption>{caption}</caption>'
        f"<thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(line: Line) -> str:
    colour = {
        None: "transparent",
        True: palette.veil(palette.MET, 0.16),
        False: palette.veil(palette.MISSED, 0.26),
    }[line.holds]
    number = re.search(r"\d+\.\d", line.numbers)
    said = (number.group() if number else "nobody") if line.holds is not None else "-"
    said = ("\u2717&nbsp;" if line.holds is False else "") + said
    return f'<td style="background:{colour};text-align:center;white-space:normal">{said}</td>'


def shipped_table() -> HTML:
    """Return what trained networks ship, from their cards: command, seed, cohort, checksum."""
    rows = []
    for path in sorted(weights.FOLDER.rglob("*.safetensors")):
        card = weights.read_card(path)
        cells = (
            path.relative_to(weights.FOLDER).as_posix(),
            f"{path.stat().st_size / 1e6:.1f} MB",
            str(card["seed"]),
            card["data_hash"],
            card["sha256"][:16],
        )
        command = html.escape(card["command"]).replace(" --", "<br>--")
        rows.append(
            "<tr>"
            + "".join(f"<td><code>{html.escape(cell)}</code></td>" for cell in cells)
            + f'<td style="white-space: normal; text-align: left"><code>{command}</code></td></tr>'
        )
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("file", "size", "seed", "cohort", "SHA-256", "command")
    )
    return HTML(
        '<div class="scroll" tabindex="0" role="region" aria-label="weights that ship">'
        '<table class="numbers">'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
