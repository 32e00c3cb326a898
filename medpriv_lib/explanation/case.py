"""One case-based explanation: the viewer's case, the decision, and similar cases that were
privatised first.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.exposure import refuse_exposed
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.release import Release
from medpriv_lib.data.packaged import disease_of
from medpriv_lib.explanation.deep_taylor import deep_taylor, explainable
from medpriv_lib.explanation.other_reading import OtherReading
from medpriv_lib.explanation.retrieval import UNKNOWN, Gallery, decide, privatize_cases, retrieve
from medpriv_lib.privatizers.protocol import Privatizer
from medpriv_lib.recognition.embedding import embeddings
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

MOST_CASES = 12
SYNTHETIC = (
    "The recogniser learned from synthetic images, and the earlier cases are synthetic: no patient "
    "is behind them, and what is said of a real image means nothing."
)


@dataclass(frozen=True, eq=False)
class Explanation:
    """What the viewer is shown. It holds no patient, no file and no row of the gallery: it may be
    handed out.

    `query` uint8 (H, W) and its relevance `query_map` float32 (H, W) >= 0, all 0 where there is
    none; `decision` an index into `classes` with its `probability`; `cases` uint8 (K, H, W) the
    privatised cases, nearest first, with `case_maps`, `case_decisions` (of the privatised image),
    `similarity` (of the case behind it, see `Retrieved`) and `held_back` bool (K,): an identity
    judge still names its patient, so the image and its map are blanked; `method` in words;
    `on_file` how many cases of this decision there were to choose from; `caution` what a reader
    must be told of network and cases, or ""; `others` the image itself with the other reading,
    where that was asked for.
    """

    query: UInt8[np.ndarray, "h w"]
    query_map: Float[np.ndarray, "h w"]
    decision: int
    probability: float
    cases: UInt8[np.ndarray, "k h w"]
    case_maps: Float[np.ndarray, "k h w"]
    case_decisions: Int64[np.ndarray, " k"]
    similarity: Float[np.ndarray, " k"]
    held_back: Bool[np.ndarray, " k"]
    method: str
    on_file: int
    classes: tuple[str, ...]
    caution: str = ""
    others: tuple[OtherReading, ...] = ()

    @property
    def chance(self) -> str:
        """The probability of the decision in words; no network is sure."""
        return "more than 99 %" if self.probability > 0.99 else f"{100 * self.probability:.0f} %"

    @property
    def caption(self) -> str:
        """What the decision is, where the cases come from and what was done to them, in plain
        language.
        """
        count = len(self.cases)
        reading = self.classes[self.decision]
        are = "is the one earlier case" if count == 1 else f"are the {count} earlier cases"
        return (
            f"The recogniser reads this image as \u201c{reading}\u201d and gives that a "
            "probability of "
            f"{self.chance}. Below {are} most similar to it, as the recogniser sees them, among "
            f"{self.on_file:,} "
            f"with the same reading, all of other patients. Each picture was changed first "
            f"({self.method}) to hide "
            "whose it is: what it shows is not to be taken as real."
        )

    def case_caption(self, number: int) -> str:
        """Say what the case at place `number` (from 0) shows, and what its privatised image no
        longer shows.
        """
        text = f"Case {number + 1}, similarity {self.similarity[number]:.2f}."
        if self.held_back[number]:
            return f"{text} Held back: after the change a recogniser still named the patient."
        reading = self.classes[int(self.case_decisions[number])]
        if self.case_decisions[number] == self.decision:
            return f"{text} The changed picture is still read as \u201c{reading}\u201d."
        return (
            f"{text} The changed picture is read as \u201c{reading}\u201d: the change lost what "
            "the decision "
            "rested on."
        )


def classes_of(cohort: Cohort) -> tuple[str, ...]:
    """Return the names of the two readings, by the word that the cohort's label has."""
    disease = disease_of(cohort.name)
    return f"no {disease}", disease


def is_synthetic(cohort: Cohort) -> bool:
    """Return whether these are drawn eyes: of them alone signs and healthy twin are known."""
    return cohort.evidence is not None or cohort.twin is not None


def explain_by_cases(
    image: UInt8[np.ndarray, "h w"],
    network: Recogniser,
    gallery: Cohort,
    privatizer: Privatizer,
    k: int,
    generator: torch.Generator,
    *,
    patient: int = UNKNOWN,
    identity: Recogniser | None = None,
    classes: tuple[str, ...] | None = None,
) -> Explanation:
    """Decide on an image and explain it by its k most similar cases of the same decision,
    privatised.

    `patient` is the query's index into `gallery.patient_names`; where it is `UNKNOWN` but the very
    image is on file, the patient is known after all and left out. With an `identity` judge, cases
    whose patient it still names are held back. `k` at most 12; `classes` None takes those of
    `classes_of`. Raises `ValueError` for an image of another size, k out of range, and what
    `retrieve` refuses, and `Exposed` where a case that is not held back is as good as an original
    of the gallery.
    """
    if image.dtype != np.uint8 or image.shape != gallery.images.shape[1:]:
        height, width = gallery.images.shape[1:3]
        kind = "colour" if gallery.images.ndim == 4 else "grey"
        raise ValueError(
            f"the image is {image.dtype} {image.shape}, the gallery holds uint8 "
            f"{gallery.images.shape[1:]}; prepare it to {height}x{width}, in {kind}"
        )
    if not 1 <= k <= MOST_CASES:
        raise ValueError(f"an explanation shows 1 to {MOST_CASES} cases, not {k}")
    if patient == UNKNOWN:
        same = np.flatnonzero((gallery.images == image).reshape(len(gallery), -1).all(axis=1))
        patient = int(gallery.patient[same[0]]) if len(same) else UNKNOWN
    query, known = image[None], Gallery.of(network, gallery)
    scores = logits(network, query)[0]
    decision = int(scores.argmax())
    found = retrieve(
        embeddings(network, query), np.array([decision]), np.array([patient]), known, k
    )
    release = privatize_cases(gallery, found.rows[0], privatizer, generator)
    held = np.zeros(k, dtype=bool)
    if identity is not None:
        held = decide(identity, release.images) == gallery.patient[release.source]
    refuse_exposed(release.images[~held], gallery, "cases")
    cases, maps = release.images.copy(), _maps(network, release.images)
    cases[held], maps[held] = 255, 0
    return Explanation(
        query=image,
        query_map=_maps(network, query)[0],
        decision=decision,
        probability=float(scores.softmax(0)[decision]),
        cases=cases,
        case_maps=maps,
        case_decisions=decide(network, release.images),
        similarity=found.similarity[0],
        held_back=held,
        method=_in_words(release, privatizer),
        on_file=int((known.decision == decision).sum()),
        classes=classes or classes_of(gallery),
        caution=SYNTHETIC if is_synthetic(gallery) else "",
    )


def _maps(network: Recogniser, images: np.ndarray) -> np.ndarray:
    """Return the Deep Taylor maps of the predicted classes, 0 where there is no positive logit to
    distribute: (N, H, W), in colour the sum of what each channel gets.
    """
    x = to_tensor(images)
    maps = np.zeros(images.shape[:3], dtype=np.float32)
    rows = explainable(network, x)
    if rows.any():
        maps[rows.numpy()] = deep_taylor(network, x[rows]).sum(dim=1).numpy()
    return maps


def _in_words(release: Release, privatizer: Privatizer) -> str:
    """Name the method and its declared settings; nothing else of a release comes into the page."""
    declared = [one.name for one in privatizer.parameters]
    told = [f"{key} {release.parameters[key]}" for key in declared if key in release.parameters]
    return ", ".join([release.method, *told])
