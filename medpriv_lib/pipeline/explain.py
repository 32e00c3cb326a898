"""Explain a decision on one image by similar cases, privatised by a method of one's choice."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.exposure import refuse_exposed
from medpriv_lib.core.printable import printable
from medpriv_lib.core.randomness import fresh
from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.eyes.localize import SMALLEST
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.images import read_grey
from medpriv_lib.data.listing import Listing
from medpriv_lib.data.prepare import prepare
from medpriv_lib.explanation.case import MOST_CASES, Explanation, explain_by_cases
from medpriv_lib.explanation.retrieval import UNKNOWN
from medpriv_lib.pipeline.weights import load_weights
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import privatizer


def explain(
    image: UInt8[np.ndarray, "h w"],
    cohort: Cohort,
    method: str,
    *,
    cases: int = 3,
    weights: str | os.PathLike | None = None,
    patient: str | None = None,
    classes: tuple[str, ...] | None = None,
    **settings: Any,
) -> Explanation:
    """Decide on an image and explain it by its most similar training cases, privatised.

    `image` uint8 of the cohort's size (`read_case` makes one from a file); `cases` 1 to 12;
    `weights` a folder made by `fit`, None means the shipped ones; `patient` the name of the image's
    patient where the cohort has one, who is never shown; `classes` the names of the two readings,
    None takes the cohort's. A method that lends identities lends those of the same label, unless
    `settings` say otherwise. Every random choice comes from the operating system's entropy. Raises
    `ValueError` for settings out of range and an unknown patient, and `Exposed` where a case that
    is shown is as good as an original of the cohort.
    """
    cls = privatizer(method)
    policies = next((one.choices for one in cls.parameters if one.name == "policy"), None)
    if policies and "same" in policies:
        settings = {"policy": "same"} | settings
    if not 1 <= cases <= MOST_CASES:
        raise ValueError(f"an explanation shows 1 to {MOST_CASES} cases, not {cases}")
    require_explaining(method, settings)
    number = _patient(patient, cohort)
    judges, vgan, _ = load_weights(weights, cohort, "cpu")
    folder = None if weights is None else Path(weights)
    ready = cls.ready(Resources(cohort, folder, {vgan.name: vgan}), **settings)
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
    refuse_exposed(result.cases[~result.held_back], cohort, "cases")
    return result


def require_explaining(method: str, settings: Mapping[str, Any]) -> None:
    """Raise `ValueError` for settings out of range, and for a method that forms its groups among
    the images that it is given: here these are the few cases of one page.
    """
    cls = privatizer(method)
    cls.check(settings)
    whole = {one.name: one.default for one in cls.parameters} | dict(settings)
    if cls.averages_from(whole) == "given":
        form = " --form release" if whole.get("form") == "release" else ""
        raise ValueError(
            f"--method {method}{form} averages the images that it is given, and an explanation "
            "gives it the few cases of one page, which may be of one patient; use --method "
            "k-same-select --form query, which averages training patients"
        )


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
    prepared, _ = prepare(listing, size=size, localize=localize, colour=colour, progress=False)
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
