"""The battery: what the naive and the retrained attackers find in one scene."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.identification import naive, parrot, reverse
from medpriv_lib.attacks.residue import linkage_residue
from medpriv_lib.attacks.scene import ALL, HALVES, Scene
from medpriv_lib.attacks.verification import Places, finding, pairs, places

Embed = Callable[[UInt8[np.ndarray, "n h w"]], Float[np.ndarray, "n d"]]
Scores = Callable[[UInt8[np.ndarray, "n h w"]], Float[np.ndarray, "n p"]]


@dataclass(frozen=True, eq=False)
class Verifier:
    """A trained pair of towers: `bank` (R, D) all originals of the cohort as the first one sees
    them, `original` that tower, and `released` the one that was trained on released images (None:
    there was nothing to train it on).
    """

    bank: Float[np.ndarray, "r d"]
    original: Embed
    released: Embed | None


def linkage_naive(
    scene: Scene, verifiers: dict[str, Verifier], half: Int64[np.ndarray, " p"]
) -> Finding:
    """Compare a released image with originals by a verifier that never saw a released one.

    Knowledge: originals of other patients to learn from, and other originals of the patient who is
    looked for; the attacker does not know that the images were changed.
    """
    return _over_halves(
        "naive linkage",
        knowledge_of(linkage_naive),
        scene,
        verifiers,
        half,
        lambda verifier, images: verifier.original(images),
    )


def linkage_retrained(
    scene: Scene, verifiers: dict[str, Verifier], half: Int64[np.ndarray, " p"]
) -> Finding:
    """Compare a released image with originals by a verifier trained on pairs of both.

    Knowledge: pairs of originals and released images of other patients to learn from, and other
    originals of the patient who is looked for.
    """
    return _over_halves(
        "retrained linkage",
        knowledge_of(linkage_retrained),
        scene,
        verifiers,
        half,
        lambda verifier, images: verifier.released(images),
    )


def linkage_parrot(
    scene: Scene, verifiers: dict[str, Verifier], half: Int64[np.ndarray, " p"]
) -> Finding:
    """Compare a released image with what the method makes of other originals.

    Knowledge: the method, applied by the attacker to images of other patients to learn from, and to
    other originals of the patient who is looked for.
    """
    return _over_halves(
        "parrot linkage",
        knowledge_of(linkage_parrot),
        scene,
        verifiers,
        half,
        lambda verifier, images: verifier.released(images),
        own_releases=True,
    )


def battery(
    scene: Scene,
    verifiers: dict[str, Verifier],
    half: Int64[np.ndarray, " p"],
    recogniser: Scores | None,
    residue: bool = True,
) -> list[Finding]:
    """Run identification and linkage; attacks that the scene does not allow are findings without
    measures.

    `verifiers` "all" knows every patient and serves identification; "half-0" and "half-1" each
    learned from the patients in that half (`half` (P,)) and are tried on those of the other.
    `recogniser` gives the logits of a network trained on originals, or is None where the patients
    are not among those it knows. `residue` False leaves out the matched filters, which are not
    trained from a seed.
    """
    cohort, everyone = scene.cohort, verifiers[ALL]
    found = []
    if recogniser is not None:
        found.append(naive(recogniser(scene.released), scene.patient))
    if everyone.released is not None:
        shown, others = everyone.released(scene.released), scene.originals(ALL, half)
        found.append(
            _tried(
                reverse,
                lambda: reverse(
                    alike(everyone.bank[others], shown),
                    cohort.patient[others],
                    scene.patient,
                    cohort.patients,
                    alike(everyone.bank[scene.source], shown),
                ),
            )
        )
        found.append(
            _tried(
                parrot,
                lambda: parrot(
                    alike(shown, everyone.released(scene.known)),
                    scene.patient,
                    cohort.patient[scene.known_source],
                    cohort.patients,
                ),
            )
        )
    found.append(_tried(linkage_naive, lambda: linkage_naive(scene, verifiers, half)))
    if all(verifiers[part].released is not None for part in HALVES):
        found += [
            _tried(attack, lambda attack=attack: attack(scene, verifiers, half))
            for attack in (linkage_retrained, linkage_parrot)
        ]
    if residue:
        found += [
            _tried(linkage_residue, lambda dense=dense: linkage_residue(scene, half, dense))
            for dense in (False, True)
        ]
    return found


def linkage_by_others(scene: Scene, verifier: Verifier) -> list[Finding]:
    """Link all released images by one verifier that learned from people outside the cohort.

    Knowledge: originals of people who are not in the cohort and what the method makes of them, to
    learn from, and other originals of the patient who is looked for. The naive one among them
    learned from the originals alone, the parrot compares with what the method makes of the other
    originals.
    """
    everyone, all_released = np.arange(len(scene.cohort)), np.arange(len(scene.source))
    ways = [("naive linkage", lambda v, images: v.original(images), False)]
    if verifier.released is not None:
        ways += [
            ("retrained linkage", lambda v, images: v.released(images), False),
            ("parrot linkage", lambda v, images: v.released(images), True),
        ]
    found = []
    for name, embed, own_releases in ways:
        one = _compared(scene, verifier, all_released, everyone, embed, own_releases)
        if one is not None:
            found.append(
                finding(
                    f"{name}, taught by others",
                    knowledge_of(linkage_by_others),
                    [one],
                    [all_released],
                    scene.cohort,
                    scene.source,
                )
            )
    return found


def alike(
    probes: Float[np.ndarray, "n d"], gallery: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, "n m"]:
    """Return the cosine of each probe and gallery point; equal gallery points have exactly equal
    values.

    One matrix product can differ in the last bit between equal columns, and would then break ties
    among the members of a group that nobody can tell apart.
    """
    points, which = np.unique(gallery, axis=0, return_inverse=True)
    return (probes @ points.T)[:, which.ravel()]


def _tried(attack: Callable, run: Callable[[], Finding]) -> Finding:
    """Return the finding, or one without measures that says why there is none."""
    try:
        return run()
    except ValueError as error:
        return Finding(
            attack.__name__.replace("linkage_", "")
            + (" linkage" if "linkage" in attack.__name__ else ""),
            knowledge_of(attack),
            {},
            note=f"not possible here: {error}",
        )


def _over_halves(
    name: str,
    knowledge: str,
    scene: Scene,
    verifiers: dict[str, Verifier],
    half: np.ndarray,
    embed: Callable,
    own_releases: bool = False,
) -> Finding:
    """Let the verifier of each half attack the other half and join what they find."""
    found, rows = [], []
    for part in HALVES:
        mine = scene.attacked(part, half)
        other = np.flatnonzero(half[scene.cohort.patient] != HALVES.index(part))
        one = _compared(scene, verifiers[part], mine, other, embed, own_releases)
        if one is not None:
            found.append(one)
            rows.append(mine)
    if not found:
        raise ValueError("there are no images to compare the released ones with")
    return finding(name, knowledge, found, rows, scene.cohort, scene.source)


def _compared(
    scene: Scene,
    verifier: Verifier,
    mine: np.ndarray,
    other: np.ndarray,
    embed: Callable,
    own_releases: bool,
) -> Places | None:
    """Return the places of the pairs of the released images `mine` and originals (or releases of
    them) `other`.
    """
    if own_releases:
        place = np.flatnonzero(np.isin(scene.known_source, other))
        gallery, points = scene.known_source[place], embed(verifier, scene.known[place])
    else:
        gallery, points = other, verifier.bank[other]
    if len(mine) == 0 or len(gallery) == 0:
        return None
    return places(
        alike(embed(verifier, scene.released[mine]), points),
        pairs(scene.cohort, scene.source[mine], gallery),
        scene.patient[mine],
    )
