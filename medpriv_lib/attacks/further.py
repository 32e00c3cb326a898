"""The attacks that only some methods allow: inversion, contributors, groups, several draws,
copying, membership.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Int64

from medpriv_lib.attacks.battery import Verifier
from medpriv_lib.attacks.contributing import seen_as_they_are, seen_by_retrained
from medpriv_lib.attacks.copying import copying
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.homogeneity import homogeneity
from medpriv_lib.attacks.intersection import add_evidence, intersect_groups
from medpriv_lib.attacks.inversion import EXACT, ROUNDING, Blurred, deblur
from medpriv_lib.attacks.members import known, of_gallery
from medpriv_lib.attacks.membership import against_images, nearness
from medpriv_lib.attacks.scene import ALL, Scene
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.randomness import seeded
from medpriv_lib.measures.anonymity import groups_of_equal
from medpriv_lib.privatizers.averaging import Averaged
from medpriv_lib.privatizers.blur import sigma_of
from medpriv_lib.privatizers.k_same import KSameSelect
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.study.rows import AVERAGED, GROUPS

EPOCHS, PAIRS = 4, 400  # of the network that undoes a blur; it learns little more from more


def more(
    parameters: dict,
    scenes: Sequence[Scene],
    identity: Recogniser | None,
    verifiers: dict[str, Verifier],
    seed: int,
    half: Int64[np.ndarray, " p"],
    lenders: dict[str, Verifier] | None,
) -> list[Finding]:
    """Return the findings of all further attacks that the method allows, from its first draw where
    one is enough.

    `parameters` are those of the release; `identity` is a recogniser of the patients' originals, or
    None; `half` (P,) is how the patients were dealt to the verifiers, and `lenders` are those that
    learned to see contributors, or None. An attack that finds nothing to work on is left out.
    """
    scene, rng = scenes[0], np.random.default_rng(seed)
    attacks: list[Callable[[], Finding]] = []
    if parameters.get("kernel", 1) > 1 and identity is not None:
        attacks += [
            lambda: inverted(scene, parameters["kernel"], identity, seeded(seed, "inversion")),
            lambda: inverted(scene, parameters["kernel"], identity, None),
        ]
    if identity is not None:
        attacks.append(lambda: several(scenes, identity))
    if scene.contributors.shape[1]:
        attacks += seen_as_they_are(scene, identity, verifiers[ALL], rng)
        attacks += _of_training(scene, verifiers[ALL], rng)
        attacks += _of_members(scene, parameters, identity, np.random.default_rng(seed))
    if len(np.unique(groups := groups_of_equal(scene.released))) < len(groups):
        labels = scene.cohort.diseased[scene.source]
        attacks.append(lambda: homogeneity(groups, scene.patient, labels, rng))
    if lenders is not None:
        attacks += seen_by_retrained(scene, lenders, half, np.random.default_rng(seed))
    found = []
    for attack in attacks:
        try:
            found.append(attack())
        except (
            ValueError
        ):  # nobody to attack in this way: no contributor apart, one draw, no patient of both kinds
            continue
    return found


def inverted(
    scene: Scene, kernel: int, identity: Recogniser, generator: torch.Generator | None
) -> Finding:
    """Undo a blur; with a `generator` from the released grey levels, without one as if they had not
    been rounded.
    """
    weights = cv2.getGaussianKernel(kernel, sigma_of(kernel), cv2.CV_64F)[:, 0]
    originals, known = (
        scene.cohort.images[scene.source],
        scene.cohort.images[scene.known_source[:PAIRS]],
    )

    def name(images: np.ndarray) -> np.ndarray:
        return logits(identity, images).argmax(1).numpy()

    if generator is not None:
        blurred = Blurred(scene.released, weights, ROUNDING, known, scene.known[:PAIRS])
        return deblur(blurred, originals, scene.patient, name, generator, EPOCHS)
    blurred = Blurred(exactly(originals, kernel), weights, EXACT, known, exactly(known, kernel))
    return replace(
        deblur(blurred, originals, scene.patient, name), attack="inversion before rounding"
    )


def exactly(images: np.ndarray, kernel: int) -> np.ndarray:
    """Return blurred images in float64, not rounded."""
    sigma = sigma_of(kernel)
    return np.stack(
        [
            cv2.GaussianBlur(
                image.astype(np.float64),
                (kernel, kernel),
                sigma,
                sigmaY=sigma,
                borderType=cv2.BORDER_REFLECT_101,
            )
            for image in images
        ]
    )


def several(scenes: Sequence[Scene], identity: Recogniser) -> Finding:
    """Add up what the recogniser of originals says of several draws. Raises `ValueError` for a
    single draw.
    """
    if len(scenes) < 2:
        raise ValueError("one release alone has nothing to be intersected with")
    scores = [
        torch.log_softmax(logits(identity, scene.released), dim=1).numpy() for scene in scenes
    ]
    return add_evidence(np.stack(scores), scenes[0].patient)


def _of_training(
    scene: Scene, verifier: Verifier, rng: np.random.Generator
) -> list[Callable[[], Finding]]:
    """Return the attacks on the images that the method was made from."""
    train, sources = scene.cohort.of("train"), scene.cohort.take(scene.source)
    return [
        lambda: copying(scene.released, scene.contributors, train, sources),
        lambda: copying(
            scene.released,
            scene.contributors,
            train,
            sources,
            verifier.original,
            "the verifier's embedding",
        ),
        lambda: trained_on(scene, verifier, rng),
    ]


def _of_members(
    scene: Scene, parameters: dict, identity: Recogniser | None, rng: np.random.Generator
) -> list[Callable[[], Finding]]:
    """Return the attacks on K-Same's groups: whose images are in the gallery, and K - 1 known
    members.
    """
    attacks: list[Callable[[], Finding]] = [lambda: of_gallery(scene, parameters, rng)]
    if identity is not None:
        with suppress(ValueError):  # no group whose members are at hand
            attacks += known(
                scene, parameters, lambda images: logits(identity, images).argmax(1).numpy(), rng
            )
    return attacks


def trained_on(scene: Scene, verifier: Verifier, rng: np.random.Generator) -> Finding:
    """Tell a patient's training images from the validation images: the tower has seen both, the
    method only the first.

    Raises `ValueError` where no patient has both.
    """
    cohort = scene.cohort
    train, val = np.flatnonzero(cohort.split == "train"), np.flatnonzero(cohort.split == "val")
    if len(val) == 0:
        raise ValueError("without validation images there is nothing that the method has not seen")
    shown = verifier.original(scene.released)
    scores = [
        nearness(verifier.bank[rows].astype(np.float64), shown.astype(np.float64))
        for rows in (train, val)
    ]
    return against_images(scores[0], cohort.patient[train], scores[1], cohort.patient[val], rng)


def together(train: Cohort, test: Cohort, vgan: PPRLVGAN, seed: int, draws: int = 10) -> list[dict]:
    """Return what several releases of the same images tell to somebody who knows each one's group.

    K-Same-Select with every K of the study, in both forms, and `draws` draws of the averaged sets.
    What the cohort does not allow is left out.
    """
    sets: dict[str, Callable[[], list[np.ndarray]]] = {
        f"K-Same-Select, {form} form, K = {', '.join(map(str, GROUPS))}": lambda form=form: [
            KSameSelect(k, form).fit(train).privatize(test).contributors[: len(test)]
            for k in GROUPS
        ]
        for form in ("query", "release")
    }
    sets |= {
        f"averages of {AVERAGED}, {policy} identities, {draws} draws": lambda policy=policy: [
            Averaged(vgan, AVERAGED, policy).identities(
                test, seeded(seed, "together", policy, draw)
            )
            for draw in range(draws)
        ]
        for policy in ("random", "same")
    }
    found = []
    for name, groups in sets.items():
        try:
            one = intersect_groups(groups(), test.patient, test.patients).rows() | {
                "per_patient": {}
            }
        except ValueError:
            continue
        found.append({"releases": name, "finding": one})
    return found
