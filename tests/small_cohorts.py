"""Small cohorts that several test files share, and who is found in them."""

import cv2
import numpy as np

from medpriv_lib.attacks.scene import Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.distances import centred, squared_distances


def cohort_of(
    images,
    patient=None,
    diseased=None,
    *,
    eye="",
    split="train",
    names=None,
    evidence=None,
    twin=None,
    visit=None,
    name="cohort",
):
    """Return a cohort of these images, by default one healthy patient each, all for training.

    Rows of numbers are images too. `eye` and `split` are one word for all images or one for each;
    `names` are the patients', p0, p1, … by default.
    """
    images = np.asarray(images, dtype=np.uint8)
    images = images.reshape(len(images), *(images.shape[1:] if images.ndim > 2 else (1, -1)))
    patient = np.asarray(range(len(images)) if patient is None else patient, dtype=np.int64)
    return Cohort(
        images=images,
        patient=patient,
        eye=np.full(len(images), eye),
        diseased=np.full(len(images), False if diseased is None else diseased, dtype=bool),
        split=np.full(len(images), split),
        patient_names=np.array([f"p{i}" for i in range(patient.max() + 1)])
        if names is None
        else np.asarray(names),
        evidence=evidence,
        twin=twin,
        visit=visit,
        name=name,
    )


def noise_cohort(patient, diseased=None, *, size=16, seed=0, **columns):
    """Return a cohort of white noise, one image for each entry of `patient`; by default every
    other patient is diseased. `columns` as for `cohort_of`."""
    patient = np.asarray(patient)
    images = np.random.default_rng(seed).integers(
        0, 256, (len(patient), size, size), dtype=np.uint8
    )
    diseased = patient % 2 == 0 if diseased is None else diseased
    return cohort_of(images, patient, diseased, **columns)


def parted(patients, each, last=("val", "test")):
    """Return the split where images lie patient by patient: training, but for the last of each."""
    return np.tile(np.array(["train"] * (each - len(last)) + list(last)), patients)


def toy_cohort(patients=8, each=6, seed=0, size=16):
    """Return images whose brightness is the patient's; all patients in every split, one test
    image each.

    The first four patients are diseased, the fifth has both labels, the rest are healthy.
    """
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), each)
    diseased = (patient < 4) | ((patient == 4) & (np.arange(patients * each) % 2 == 0))
    images = np.clip(
        rng.normal(30 * patient[:, None, None] + 20, 25, (patients * each, size, size)), 0, 255
    )
    return cohort_of(images, patient, diseased, split=parted(patients, each), name="toy")


def patterned_cohort(patients=10, images=16, size=16, seed=0, by_patient=False):
    """Return a cohort that networks can learn: a pattern of noise for each patient, a bright patch
    for the disease."""
    rng = np.random.default_rng(seed)
    n = patients * images
    patient = np.repeat(np.arange(patients), images)
    pattern = np.stack(
        [cv2.GaussianBlur(p, (0, 0), 1.0) for p in rng.normal(size=(patients, size, size))]
    )
    pattern /= pattern.std(axis=(1, 2), keepdims=True)
    diseased = rng.random(n) < np.where(patient % 2, 0.6, 0.2)
    grey = 120 + 30 * pattern[patient] + rng.normal(0, 8, (n, size, size))
    grey[diseased, 2:6, 9:14] += 70
    names = np.array(["train", "train", "train", "val", "test"])
    split = names[patient % 5] if by_patient else names[np.arange(n) % 5]
    return cohort_of(grey.clip(0, 255), patient, diseased, split=split, name="toy")


def scene_of(cohort, images):
    """Return the scene where `images` (all rows) is what became of the cohort; the test images are
    under attack."""
    test, rest = np.flatnonzero(cohort.split == "test"), np.flatnonzero(cohort.split != "test")
    return Scene(cohort, images[test], test, images[rest], rest, np.empty((len(test), 0), np.int64))


def people(n=60, images=1, size=8, noise=10.0, seed=0, diseased=None, **columns):
    """Return a cohort where the images of one person resemble each other: a random face each, plus
    noise.

    By default every third person is diseased. `columns` as for `cohort_of`.
    """
    rng = np.random.default_rng(seed)
    faces = rng.uniform(60, 195, (n, size, size))
    patient = np.repeat(np.arange(n), images)
    shown = faces[patient] + rng.normal(0, noise, (n * images, size, size))
    diseased = patient % 3 == 0 if diseased is None else diseased
    return cohort_of(np.clip(np.rint(shown), 0, 255), patient, diseased, **columns)


def strangers(patients=24, each=3, seed=0):
    """Return a cohort of noise, where no image resembles another; every third patient is
    diseased."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), each)
    return cohort_of(rng.integers(0, 256, (patients * each, 8, 8)), patient, patient % 3 == 0)


def hits(release, cohort, gallery):
    """Match every released image to the nearest image of the gallery; return how often that names
    its patient."""
    d = squared_distances(centred(release.images), centred(gallery.images))
    return int((gallery.patient[d.argmin(axis=1)] == cohort.patient[release.source]).sum())


def signed_cohort(patients, each, patch, diseased, seed=0, size=16):
    """Return noise images where the disease is a dark square, its mask and its twin known.

    `patch` is the square's (top, bottom, left, right); `diseased` bool (patients,); all patients in
    every split, the last image of each for testing and the one before for validation.
    """
    rng = np.random.default_rng(seed)
    n = patients * each
    patient = np.repeat(np.arange(patients), each)
    sick = np.asarray(diseased)[patient]
    twin = rng.integers(90, 160, (n, size, size), dtype=np.uint8)
    images, evidence = twin.copy(), np.zeros(twin.shape, dtype=bool)
    top, bottom, left, right = patch
    images[sick, top:bottom, left:right] -= 60
    evidence[sick, top:bottom, left:right] = True
    split = parted(patients, each)
    return cohort_of(images, patient, sick, split=split, evidence=evidence, twin=twin)
