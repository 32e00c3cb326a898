"""Privatise images by the name of a method, from entropy that only the release's key records."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.exposure import refuse_exposed
from medpriv_lib.core.kinds import require_kind
from medpriv_lib.core.randomness import begun, fresh_start
from medpriv_lib.core.release import Release
from medpriv_lib.data.text_regions import text_regions
from medpriv_lib.pipeline import Note, silent
from medpriv_lib.privatizers.protocol import Privatizer, Resources
from medpriv_lib.privatizers.registry import again, privatizer


def privatize(
    images: Cohort,
    method: str,
    *,
    gallery: Cohort | None = None,
    weights: str | os.PathLike | None = None,
    labelled: bool = True,
    note: Note = silent,
    **settings: Any,
) -> Release:
    """Return a release of all `images` by the method of this name.

    `gallery` is the cohort of the weights and of the patients to draw from; methods that need
    neither run without. `weights` is a folder made by `fit`, None means the shipped ones. Where
    the images are not `labelled`, a method that is told labels is told what the disease judge
    reads. Every random choice starts from the operating system's entropy: `parameters["start"]`
    records where, for `made_again`. Settings that nobody gives and that depend on the images' size
    are those of `Privatizer.suited`. Raises `ValueError` for settings out of range, `NotApplicable`
    where the images do not allow the method, and `Exposed` where a picture is as good as an
    original of the images or of the gallery.
    """
    require_kind(images, Cohort, "images", "privatize")
    cls = privatizer(method)
    settings = cls.suited(images.images.shape[1]) | settings
    cls.check(settings)
    ready = cls.ready(_resources(gallery, weights), **settings)
    if not labelled and cls.needs != "nothing":
        if gallery is None:
            raise ValueError(f"{method} is told labels, and there are none; name a cohort")
        note("no labels are given: the disease judge's reading of the originals is used")
        images = _read_labels(images, gallery, weights)
    if gallery is not None:
        images = numbered_as(gallery, images)
    start = fresh_start()
    release = ready.privatize(images, begun(start))
    refuse_exposed(release.images, images)
    parameters = release.parameters | {"start": start}
    if gallery is not None:
        refuse_exposed(release.images, gallery)
        parameters["data_hash"] = gallery.hash()
    if not labelled:
        parameters["labels_known"] = False
    return replace(release, parameters=parameters)


def made_again(
    release: Release,
    images: Cohort,
    *,
    gallery: Cohort | None = None,
    weights: str | os.PathLike | None = None,
) -> Release:
    """Return the release once more, from what its key records: the method, its settings, the labels
    that it was told, and where the random numbers began.

    `images` holds the originals. Raises `ValueError` where they are others, and where the release
    records no start.
    """
    if "start" not in release.parameters or release.given is None:
        raise ValueError("this release does not record where its random numbers began")
    given = images.take(release.given.rows_in(images))
    given = replace(given, diseased=release.given.diseased)
    if gallery is not None:
        given = numbered_as(gallery, given)
    method: Privatizer = again(release, _resources(gallery, weights))
    made = method.privatize(given, begun(release.parameters["start"]))
    return replace(made, parameters=release.parameters)


def refuse_text(release: Release) -> None:
    """Raise `ValueError` where released images look as if text were burned in.

    A DICOM object of the release says BurnedInAnnotation NO, and somebody must have looked.
    """
    found = [row for row, image in enumerate(release.images) if text_regions(_grey(image))]
    if found:
        raise ValueError(
            f"{len(found)} of {len(release)} released images look as if text were burned in, and a "
            "DICOM object of the release would deny it; cover the text with "
            "`medpriv prepare --mask`, or write PNGs"
        )


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else np.rint(image.mean(axis=2)).astype(np.uint8)


def numbered_as(cohort: Cohort, images: Cohort) -> Cohort:
    """Return the images with the patients' numbers of `cohort`; patients it does not know follow
    its last.
    """
    if images.patient_names is cohort.patient_names:
        return images
    numbers, names = number_patients(images.patient_names[images.patient], cohort)
    return replace(images, patient=numbers, patient_names=names)


def number_patients(
    names: np.ndarray, cohort: Cohort
) -> tuple[Int64[np.ndarray, " n"], np.ndarray]:
    """Return the numbers in `cohort` of the patients with these names (N,), and all names: those it
    does not know follow its last.
    """
    known = [str(name) for name in cohort.patient_names]
    extended = known + sorted({str(name) for name in names} - set(known))
    place = {name: number for number, name in enumerate(extended)}
    return np.array([place[str(name)] for name in names], dtype=np.int64), np.array(extended)


def _resources(gallery: Cohort | None, weights: str | os.PathLike | None) -> Resources:
    return Resources(gallery, None if weights is None else Path(weights))


def _read_labels(images: Cohort, gallery: Cohort, weights: str | os.PathLike | None) -> Cohort:
    from medpriv_lib.recognition.judges import Judges
    from medpriv_lib.recognition.train import logits

    judges = Judges.load(weights, gallery)
    found = logits(judges.disease, images.images).argmax(1).numpy().astype(bool)
    return replace(images, diseased=found)
