"""The arrow from features to training: what leaves the place where the images lie."""

import numpy as np

from medpriv_lib.core.promise import Promise
from medpriv_lib.federation.private import histograms, local_noise
from medpriv_lib.pipeline.slots.explain import released
from medpriv_lib.pipeline.slots.technology import (
    PLAIN,
    Context,
    Given,
    Model,
    Seen,
    Table,
    Technology,
    slot,
    vectors,
)
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.registry import privatizer

CLIP = 6.0  # of a patient's vector, for local noise; the strangers' median length is near 9
ANNOUNCED = 0.24  # share of diseased images, known from outside; a patient above counts as ill
SYNTHETIC = Promise(
    "the eye that a vector was computed from",
    "everybody who gets the synthetic images",
    "whoever runs the generator on the originals",
    "what the signs themselves tell; a pupil's size that is kept where a sign was found",
)
GENERATED = Promise(
    "the eye that a vector was computed from",
    "everybody who gets the synthetic images",
    "whoever trains the generator on the patients",
    "identities of other patients, in which the generator shows each image",
)


def plain(table: Table, context: Context) -> Given:
    """Send every image's vector."""
    return Given(table, [vectors("the trainer", table, context)], table.features.nbytes)


def local(table: Table, context: Context) -> Given:
    """Send one noised vector of each patient."""
    noise, spent = context.price(context.epsilon, context.delta, 1.0, 1)
    x, ill, numbers = local_noise.noised_vectors(
        table.features, table.diseased, table.patient, CLIP, noise, context.generator, ANNOUNCED
    )
    sent = Table(x, ill, numbers, numbers)
    notes: dict[str, float | str] = {"epsilon": spent, "noise": noise}
    return Given(sent, [vectors("the trainer", sent, context)], x.nbytes, notes)


def counted(table: Table, context: Context) -> Given:
    """Send noised histograms; what is computed from them is already the model."""
    noise, spent = context.price(context.epsilon, context.delta, 1.0, 1)
    told = histograms.private_histograms(
        table.features, table.diseased, table.patient, noise, context.generator
    )
    notes: dict[str, float | str] = {"epsilon": spent, "noise": noise}
    return Given(Model(told.scores), [Seen("the trainer", "model", {"score": told.scores})],
                 told.counts.nbytes, notes)  # fmt: skip


def synthetic(table: Table, context: Context) -> Given:
    """Send images of invented eyes with the patients' signs, and train on their features.

    The generator, sign transfer, was taught on invented people, so nothing of it remembers a
    patient.
    """
    method = privatizer("sign-transfer").ready(Resources(context.cohort))
    part = context.cohort.take(table.group)
    release = method.privatize(part, context.generator)
    return _described(release.images[np.argsort(release.source, kind="stable")], table, context)


def generated(table: Table, context: Context) -> Given:
    """Send images that PPRL-VGAN makes, each of another patient's identity, and train on their
    features.

    Unlike sign transfer, this generator was trained on the cohort's patients.
    """
    return _described(
        released("pprl-vgan", context.cohort, table.group, context.generator), table, context
    )


def _described(images: np.ndarray, table: Table, context: Context) -> Given:
    features = context.describe(images)
    sent = Table(features, table.diseased, table.patient, table.group)
    return Given(sent, [vectors("the trainer", sent, context)], images.nbytes)


LEAVING = slot(
    Technology("plain", "vectors as they are", PLAIN, "radiomics", plain),
    Technology(
        "local", "local differential privacy", local_noise.PROMISE, "differential-privacy", local
    ),
    Technology(
        "histograms", "private histograms", histograms.PROMISE, "differential-privacy", counted
    ),
    Technology(
        "synthetic", "synthetic images: sign transfer", SYNTHETIC, "sign-transfer", synthetic
    ),
    Technology("generated", "synthetic images: PPRL-VGAN", GENERATED, "pprl-vgan", generated),
)
