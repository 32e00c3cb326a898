"""Cohorts with visits, small and made by hand, with the strangers to go with them."""

from dataclasses import replace

import cv2
import numpy as np
import torch
from small_cohorts import cohort_of, parted

from medpriv_lib.core.release import Release
from medpriv_lib.measures.measure import Exam, Ground
from medpriv_lib.privatizers.strangers import Strangers
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser

SIZE = 32


def faces(count, size=SIZE, seed=0):
    """Return smooth random pictures, levels float."""
    rng = np.random.default_rng(seed)
    soft = np.stack(
        [cv2.GaussianBlur(one, (0, 0), 2) for one in rng.normal(size=(count, size, size))]
    )
    return 130 + 25 * soft / soft.std(axis=(1, 2), keepdims=True)


def confounded(patients=16, each=6, size=SIZE, seed=0):
    """Return patients with a face and, every other one, signs of their own, the same in all images.

    The signs are two spots, one brighter and one darker, at places of the patient's; two visits;
    left eyes only. Training images, then one for validation and one for testing.
    """
    rng = np.random.default_rng([seed, 1])
    own, n = faces(patients, size, seed), patients * each
    patient = np.repeat(np.arange(patients), each)
    twin = np.clip(np.rint(own[patient] + rng.normal(0, 4, (n, size, size))), 0, 255)
    y, x = np.mgrid[:size, :size]
    spots = np.zeros((patients, size, size))
    for one in spots[::2]:
        for sign in (40, -50):
            cy, cx = rng.uniform(0.3 * size, 0.7 * size, 2)
            one += sign * (np.hypot(y - cy, x - cx) < rng.uniform(2, 3.5))
    images = np.clip(twin + spots[patient], 0, 255).astype(np.uint8)
    twin = twin.astype(np.uint8)
    return cohort_of(
        images,
        patient,
        patient % 2 == 0,
        eye="L",
        split=parted(patients, each),
        evidence=images != twin,
        twin=twin,
        name="confounded",
        visit=np.tile(np.arange(each) // max(1, each // 2) + 1, patients).astype(np.int64),
    )


def bank(count=40, size=SIZE, seed=99):
    """Return strangers who are faces, too."""
    images = np.clip(np.rint(faces(count, size, seed)), 0, 255).astype(np.uint8)
    return Strangers(np.repeat(images, 2, axis=0), np.tile([0.3, 0.5], count).astype(np.float32))


def untrained(size=SIZE, seed=0):
    """Return judges who know nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Judges(None, Recogniser(2, size).eval(), None)


def ground_of(cohort, **more):
    """Return what rows are measured on: the cohort's test images."""
    size = cohort.images.shape[1]
    return Ground(cohort.of("train"), cohort.of("test"), untrained(size), 0, **more)


def without_visits(cohort):
    """Return the cohort as if nobody knew of visits."""
    return replace(cohort, visit=None)


def released(images, contributors=None):
    """Return these images as a release, one per source."""
    n = len(images)
    nobody = np.empty((n, 0), dtype=np.int64) if contributors is None else contributors
    return Release(np.asarray(images, dtype=np.uint8), np.arange(n), nobody, "by hand")


def exam_of(images, twins=None, labels=""):
    """Return the exam of a release that is given by hand, and of its twins."""
    drawn = [released(images)]
    return Exam("by hand", "set", labels, drawn, lambda: [released(twins)], lambda: None)


def exam_by(method, cohort, draws=1, seed=0):
    """Return the exam of a method on the test images, its twins made by the same draws."""

    def of(test):
        return [
            method.privatize(test, torch.Generator().manual_seed(seed + draw))
            for draw in range(draws)
        ]

    test = cohort.of("test")
    twins = replace(test, images=test.twin)
    return Exam("by hand", method.name, "", of(test), lambda: of(twins), lambda: method)
