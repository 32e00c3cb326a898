"""The picture on the landing page: a case, the decision, the similar case that explains it, and what may be shown."""

import base64
import html
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from IPython.display import HTML

from medpriv_lib.cohort import Cohort, to_tensor
from medpriv_lib.data.default import default_cohort
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits

K = 6


@dataclass(frozen=True)
class Story:
    """The rows of the case and of the similar case, the privatised image, and the judges' numbers in percent."""

    case: int
    similar: int
    private: np.ndarray
    decision: float
    named: float
    named_private: float
    disease_private: float


def tell(cohort: Cohort, judges) -> Story:
    """Choose a test image called diseased, find the nearest such training image of another patient, and privatise that.

    "Nearest" is in the disease judge's last hidden layer: what that network sees as similar. The case is the one whose
    similar case lies nearest. The privatised image averages K patients with the same label (K-Same-Select).
    """
    asked = _seen(judges, cohort, (cohort.split == "test") & cohort.diseased)
    stored = _seen(judges, cohort, (cohort.split == "train") & cohort.diseased)
    with torch.no_grad():
        queries, gallery = (judges.disease.embed(to_tensor(cohort.images[rows])) for rows in (asked, stored))
    distance = torch.cdist(queries, gallery).numpy()
    distance[cohort.patient[asked][:, None] == cohort.patient[stored][None]] = np.inf
    i, j = np.unravel_index(distance.argmin(), distance.shape)
    case, similar = int(asked[i]), int(stored[j])
    release = KSameSelect(K, form="query").fit(cohort.of("train")).privatize(cohort.take(np.array([similar])))
    identity = _percent(judges.identity, np.stack([cohort.images[similar], release.images[0]]), cohort.patient[similar])
    disease = _percent(judges.disease, np.stack([cohort.images[case], release.images[0]]), 1)
    return Story(case, similar, release.images[0], disease[0], identity[0], identity[1], disease[1])


def _seen(judges, cohort: Cohort, rows: np.ndarray) -> np.ndarray:
    """Return those of the chosen rows (mask) whose disease the judge sees."""
    rows = np.flatnonzero(rows)
    return rows[logits(judges.disease, cohort.images[rows]).argmax(1).numpy() == 1]


def _percent(network, images: np.ndarray, label: int) -> list[float]:
    return (100 * logits(network, images).softmax(1)[:, int(label)]).tolist()


def tile(image: np.ndarray, alt: str, size: int = 256) -> str:
    """Return one grey image (H, W) as an <img>, enlarged with cubic interpolation and embedded as PNG."""
    large = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
    data = base64.b64encode(cv2.imencode(".png", large)[1].tobytes()).decode()
    return f'<img alt="{html.escape(alt)}" width="{size}" height="{size}" src="data:image/png;base64,{data}">'


def card(kind: str, step: str, picture: str, title: str, text: str) -> str:
    """Return one of the four cards; `kind` is its CSS class."""
    return (f'<figure class="{kind}"><span class="step">{step}</span>{picture}'
            f"<figcaption><b>{title}</b>{text}</figcaption></figure>")


def picture() -> HTML:
    """Return the whole picture, computed from the default cohort and the shipped judges."""
    cohort, judges = default_cohort(), Judges.load()
    story = tell(cohort, judges)
    name = html.escape(str(cohort.patient_names[cohort.patient[story.similar]]))
    cards = [
        card("", "The case", tile(cohort.images[story.case], "Near-infrared image of the eye in question"),
             "An eye nobody has judged yet.", "What does it show?"),
        card("", "The decision", f'<div class="verdict" role="img" aria-label="Glaucoma, {story.decision:.0f} percent">'
             f"<strong>glaucoma</strong><span>{story.decision:.0f}&nbsp;%</span></div>",
             "A network answers.", "It does not say why."),
        card("leak", "The explanation",
             tile(cohort.images[story.similar], "Near-infrared image of another patient's eye, similar to the first"),
             "&ldquo;Because it looks like this one.&rdquo;",
             f"Convincing, and a leak: a network that knows the patients names patient {name}, "
             f"{story.named:.0f}&nbsp;% sure."),
        card("safe", "Shown instead", tile(story.private, f"A blend of {K} eyes with the same diagnosis"),
             f"The same case, {K} patients averaged.",
             f"Patient {name}: {story.named_private:.0f}&nbsp;%. Glaucoma: {story.disease_private:.0f}&nbsp;%. "
             "Is that enough?"),
    ]
    return HTML(f'<div class="cases">{"".join(cards)}</div>')
