"""The attacks on those who went into a released image, beside its source: by a naive attacker and
by retrained ones.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int64

from medpriv_lib.attacks.battery import Verifier, alike
from medpriv_lib.attacks.contributors import linked, linked_retrained, named_as, parrot, reverse
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.homogeneity import of_contributors
from medpriv_lib.attacks.identification import best_of_patient
from medpriv_lib.attacks.scene import ALL, HALVES, Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits


def seen_as_they_are(
    scene: Scene, identity: Recogniser | None, verifier: Verifier, rng: np.random.Generator
) -> list[Callable[[], Finding]]:
    """Return the attacks of somebody who knows originals only; `identity` a recogniser of them, or
    None.
    """
    cohort = scene.cohort
    has_label = labels_of(cohort)
    shown = cohort.diseased[scene.source]
    attacks = [
        lambda: linked(
            likeness_to_patients(scene, verifier.original(scene.released), verifier),
            scene.contributors,
            scene.patient,
            _comparable(scene, has_label),
            rng,
        ),
        lambda: of_contributors(scene.contributors, shown, has_label),
    ]
    if identity is not None:
        attacks.append(
            lambda: named_as(
                logits(identity, scene.released).argmax(1).numpy(),
                scene.contributors,
                scene.patient,
                cohort.patients,
            )
        )
    return attacks


def seen_by_retrained(
    scene: Scene,
    lenders: dict[str, Verifier],
    half: Int64[np.ndarray, " p"],
    rng: np.random.Generator,
) -> list[Callable[[], Finding]]:
    """Return the attacks of somebody who ran the method himself and learned to see who contributed.

    `lenders` are the verifiers of all parts, `half` (P,) which half each patient is in. The
    originals that the reverse attacker looks for are none that the method was fitted to.
    """
    cohort, everyone = scene.cohort, lenders[ALL]
    unused = np.setdiff1d(np.flatnonzero(cohort.split != "train"), scene.source)

    def both_halves() -> Finding:
        likeness = [
            likeness_to_patients(scene, lenders[part].released(scene.released), lenders[part])
            for part in HALVES
        ]
        attacked = [half != number for number in range(len(HALVES))]
        return linked_retrained(
            likeness,
            attacked,
            scene.contributors,
            scene.patient,
            _comparable(scene, labels_of(cohort)),
            rng,
        )

    attacks: list[Callable[[], Finding]] = []
    if everyone.released is not None:
        attacks += [
            lambda: reverse(
                alike(everyone.bank[unused], everyone.released(scene.released)),
                cohort.patient[unused],
                scene.contributors,
                scene.patient,
                cohort.patients,
            ),
            lambda: parrot(
                alike(everyone.released(scene.released), everyone.released(scene.known)),
                scene.known_contributors,
                scene.contributors,
                scene.patient,
                cohort.patients,
            ),
        ]
    if all(lenders[part].released is not None for part in HALVES):
        attacks.append(both_halves)
    return attacks


def likeness_to_patients(
    scene: Scene, shown: Float[np.ndarray, "n d"], verifier: Verifier
) -> Float[np.ndarray, "n p"]:
    """Return how like each released image, at the points `shown`, is to each patient's originals,
    sources left out.
    """
    others = np.setdiff1d(np.arange(len(scene.cohort)), scene.source)
    return best_of_patient(
        shown @ verifier.bank[others].T, scene.cohort.patient[others], scene.cohort.patients
    )


def labels_of(cohort: Cohort) -> Bool[np.ndarray, "p 2"]:
    """Return whether each patient has images without and with the disease: bool (P, 2).

    In the training images, which most methods draw from; of a patient without any there, in all
    images.
    """
    has_label = np.zeros((2, cohort.patients, 2), dtype=bool)
    trained = cohort.split == "train"
    has_label[0, cohort.patient[trained], cohort.diseased[trained].astype(int)] = True
    has_label[1, cohort.patient, cohort.diseased.astype(int)] = True
    return np.where(has_label[0].any(axis=1, keepdims=True), has_label[0], has_label[1])


def _comparable(scene: Scene, has_label: np.ndarray) -> np.ndarray:
    """Return who has images of the label that most of each image's contributors have: bool (N,
    P).
    """
    there = scene.contributors >= 0
    of_each = has_label[np.where(there, scene.contributors, 0)]
    share = np.where(there, of_each[..., 1] / of_each.sum(axis=2), 0).sum(axis=1)
    return has_label[:, (share / np.maximum(there.sum(axis=1), 1) > 0.5).astype(int)].T
