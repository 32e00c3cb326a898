"""Explain a decision on one image by similar cases, privatised by a method of one's choice."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.exposure import refuse_exposed
from medpriv_lib.core.kinds import require_kind
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.printable import printable
from medpriv_lib.core.randomness import fresh
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.eyes.localize import SMALLEST
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.images import read_grey
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.synthetic.population import population
from medpriv_lib.explanation.case import MOST_CASES, Explanation, explain_by_cases
from medpriv_lib.explanation.edits import Edit, by_medical_vector, by_signs
from medpriv_lib.explanation.other_reading import OtherReading, Way, other_readings
from medpriv_lib.explanation.retrieval import UNKNOWN, decide
from medpriv_lib.pipeline.explaining import require_explaining
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.privatizers.disentangled.disentangled import Disentangled, model_of
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import privatizer
from medpriv_lib.privatizers.sign_transfer.sign_transfer import SignTransfer
from medpriv_lib.recognition.expert import Expert
from medpriv_lib.recognition.judges import no_better_than_guessing
from medpriv_lib.recognition.networks import Recogniser

INVENTED = 5  # people who lend signs to a healthy eye; nobody's signs are shown


def explain(
    image: UInt8[np.ndarray, "h w"],
    cohort: Cohort,
    method: str,
    *,
    cases: int = 3,
    weights: str | os.PathLike | None = None,
    patient: str | None = None,
    classes: tuple[str, ...] | None = None,
    counterfactual: bool = False,
    **settings: Any,
) -> Explanation:
    """Decide on an image and explain it by its most similar training cases, privatised.

    `image` uint8 of the cohort's size (`read_case` makes one from a file); `cases` 1 to 12;
    `weights` a folder made by `fit`, None means the shipped ones; `patient` the name of the image's
    patient where the cohort has one, who is never shown (None: the patient of `on_file`); `classes`
    the names of the two readings,
    None takes the cohort's; with `counterfactual` the image is also shown with
    the other reading, by its signs and, where disentangled weights of the cohort are there, by its
    medical vector. A method that lends identities lends those of the same label, unless
    `settings` say otherwise. Every random choice comes from the operating system's entropy. Raises
    `ValueError` for settings out of range and an unknown patient, and `Exposed` where a case that
    is shown is as good as an original of the cohort.
    """
    require_kind(cohort, Cohort, "cohort", "explain")
    cls = privatizer(method)
    policies = next((one.choices for one in cls.parameters if one.name == "policy"), None)
    if policies and "same" in policies:
        settings = {"policy": "same"} | settings
    if not 1 <= cases <= MOST_CASES:
        raise ValueError(f"an explanation shows 1 to {MOST_CASES} cases, not {cases}")
    settings = cls.suited(cohort.images.shape[1]) | settings
    require_explaining(method, settings, cohort)
    number = _patient(on_file(image, cohort) if patient is None else patient, cohort)
    judges, vgan, _ = load_weights(weights, cohort, "cpu")
    folder = None if weights is None else Path(weights)
    resources = Resources(cohort, folder, {vgan.name: vgan})
    ready = cls.ready(resources, **settings)
    result = explain_by_cases(
        image,
        judges.disease,
        cohort.of("train"),
        ready,
        cases,
        fresh(),
        patient=number,
        identity=judges.identity,
        classes=classes,
    )
    weak = no_better_than_guessing(judges.card.get("metrics", {}))
    result = replace(result, caution=" ".join([*filter(None, [result.caution]), *weak]))
    refuse_exposed(result.cases[~result.held_back], cohort, "cases")
    if counterfactual:
        others = _others(image, result.decision, judges.disease, resources, cohort)
        result = replace(result, others=others)
    return result


def _others(
    image: UInt8[np.ndarray, "h w"],
    decision: int,
    network: Recogniser,
    resources: Resources,
    cohort: Cohort,
) -> tuple[OtherReading, ...]:
    """Return the image with the other reading; a way that is not possible says why."""
    change = "Signs removed" if decision else "Signs of an invented person added"
    ways: Mapping[str, Way] = {
        f"{change}, as sign transfer reads them": _by_signs(resources, cohort),
        "The medical vector of the other reading (the mean of the training images), everything "
        "else as it was": _by_medical_vector(resources),
    }
    expert = Expert.load()
    fits = image.shape == (expert.networks[0].size,) * 2
    read = partial(decide, network)
    return other_readings(image, decision, read, ways, fresh(), expert if fits else None)


def _by_signs(resources: Resources, cohort: Cohort) -> Edit:
    reader = SignTransfer.ready(resources)

    @cache
    def donors() -> Cohort:
        return population(INVENTED, 2, secrets.randbits(31), workers=1)

    def edit(images: np.ndarray, wanted: np.ndarray, generator: Any) -> np.ndarray:
        reader.read(images[:0])  # refuses images that it cannot read, before anybody is drawn
        lent = donors() if wanted.any() else cohort
        return by_signs(reader.read, lent, reader.calibration)(images, wanted, generator)

    return edit


def _by_medical_vector(resources: Resources) -> Way:
    try:
        name = f"{Disentangled.name}-closed"
        return by_medical_vector(model_of(resources, name, resources.cohort))
    except FileNotFoundError:
        return NotApplicable(
            "there are no disentangled weights of this cohort; train them with "
            "data_scripts/train_disentangled.py into the folder of its weights"
        )


def on_file(image: UInt8[np.ndarray, "h w"], cohort: Cohort) -> str | None:
    """Return the patient whose image of the cohort this one is, mirrored or not; None of nobody."""
    if image.shape != cohort.images.shape[1:]:
        return None
    found = min(
        (
            np.flatnonzero((cohort.images == one).reshape(len(cohort), -1).all(axis=1))
            for one in (image, image[:, ::-1])
        ),
        key=lambda rows: len(rows) == 0,
    )
    return str(cohort.patient_names[cohort.patient[found[0]]]) if len(found) else None


def read_case(
    path: str | os.PathLike,
    size: int,
    *,
    right: bool = False,
    localize: bool = True,
    colour: bool = False,
) -> UInt8[np.ndarray, "s s"]:
    """Return an image file as a cohort's images are: cut, centred, mirrored where it is a right
    eye, resized to `size` pixels; (S, S, 3) with `colour`.

    Raises `FileNotFoundError` and `ValueError` for what cannot be read, and `ValueError` where no
    eye is found or what is found may be none.
    """
    file = Path(path)
    if localize:
        _refuse_doubtful(file)
    eye = np.array(["R" if right else ""])
    listing = Listing((file,), np.array(["case"]), eye, np.array([False]), file.parent)
    prepared, _ = prepare(listing, Cut(size, localize, colour), progress=False)
    return prepared.images[0]


def _refuse_doubtful(file: Path) -> None:
    """Raise where the localiser is not sure: in noise it finds something round, too, and a reading
    would follow.
    """
    image = read_grey(file)
    image = image[: len(image) - strip_rows(image)]
    if min(image.shape) < SMALLEST:
        return  # preparation says what is wrong
    finding = examine(image)
    if not finding.sure:
        raise ValueError(
            f"{printable(file, 1000)}: {finding.doubt}; for an image that is no eye use "
            "--no-localize; is it an eye, cut a square of 1.4 iris widths around the iris and use "
            "--no-localize for that"
        )


def _patient(name: str | None, cohort: Cohort) -> int:
    if name is None:
        return UNKNOWN
    rows = np.flatnonzero(cohort.patient_names == name)
    if len(rows) == 0:
        raise ValueError(
            f"unknown patient {printable(name)!r}: none of the {cohort.patients} patients of the "
            "cohort has this name; correct it, or leave --patient out for a patient who is not on "
            "file"
        )
    return int(rows[0])
