"""Linkage by towers: verifiers that compare released images with originals, or with releases of
them.

The verifier of each half of the patients attacks the other half, whom none of its networks has
seen; what both find is joined.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.attacks.attackers import Verifier
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import HALVES, Scene
from medpriv_lib.attacks.setting import Setting, both_halves, seen_by
from medpriv_lib.attacks.verification import Places, alike, finding, linked_finding, pairs, places

See = Callable[[Verifier, UInt8[np.ndarray, "n h w"]], Float[np.ndarray, "n d"]]
Half = Int64[np.ndarray, " p"]


def by_original(verifier: Verifier, images: UInt8[np.ndarray, "n h w"]) -> np.ndarray:
    """See images by the tower of originals."""
    return verifier.original(images)


def by_released(verifier: Verifier, images: UInt8[np.ndarray, "n h w"]) -> np.ndarray:
    """See images by the tower of released images."""
    return seen_by(verifier)(images)


def linkage_naive(scene: Scene, verifiers: Mapping[str, Verifier], half: Half) -> Finding:
    """Compare a released image with originals by a verifier that never saw a released one.

    Knowledge: originals of other patients to learn from, and other originals of the patient who is
    looked for; the attacker does not know that the images were changed.
    """
    know = knowledge_of(linkage_naive)
    return _over_halves("naive linkage", know, scene, verifiers, half, by_original)


def linkage_retrained(scene: Scene, verifiers: Mapping[str, Verifier], half: Half) -> Finding:
    """Compare a released image with originals by a verifier trained on pairs of both.

    Knowledge: pairs of originals and released images of other patients to learn from, and other
    originals of the patient who is looked for. Raises `NotApplicable` where there are no pairs.
    """
    both_halves(verifiers)
    know = knowledge_of(linkage_retrained)
    return _over_halves("retrained linkage", know, scene, verifiers, half, by_released)


def linkage_parrot(scene: Scene, verifiers: Mapping[str, Verifier], half: Half) -> Finding:
    """Compare a released image with what the method makes of other originals.

    Knowledge: the method, applied by the attacker to images of other patients to learn from, and to
    other originals of the patient who is looked for. Raises `NotApplicable` where there are none.
    """
    both_halves(verifiers)
    know = knowledge_of(linkage_parrot)
    return _over_halves("parrot linkage", know, scene, verifiers, half, by_released, True)


@attack(
    name="naive linkage",
    kind="linking",
    target="source",
    place=40,
    asked="draw",
    knows=linkage_naive,
)
def _naive(setting: Setting) -> Finding:
    return linkage_naive(setting.scene, setting.verifiers, setting.half)


@attack(
    name="retrained linkage",
    kind="linking",
    target="source",
    place=50,
    asked="draw",
    knows=linkage_retrained,
)
def _retrained(setting: Setting) -> Finding:
    return linkage_retrained(setting.scene, setting.verifiers, setting.half)


@attack(
    name="parrot linkage",
    kind="linking",
    target="source",
    place=60,
    asked="draw",
    knows=linkage_parrot,
)
def _parrot(setting: Setting) -> Finding:
    return linkage_parrot(setting.scene, setting.verifiers, setting.half)


def linkage_by_others(scene: Scene, verifier: Verifier) -> list[Finding]:
    """Link all released images by one verifier that learned from people outside the cohort.

    Knowledge: originals of people who are not in the cohort and what the method makes of them, to
    learn from, and other originals of the patient who is looked for. The naive one among them
    learned from the originals alone, the parrot compares with what the method makes of the other
    originals. It is left out where there are no such images.
    """
    everyone, all_released = np.arange(len(scene.cohort)), np.arange(len(scene.source))
    ways: list[tuple[str, See, bool]] = [("naive linkage", by_original, False)]
    if verifier.released is not None:
        ways += [("retrained linkage", by_released, False), ("parrot linkage", by_released, True)]
    found = []
    for name, see, own_releases in ways:
        one = _compared(scene, verifier, all_released, everyone, see, own_releases)
        if one is not None:
            joined = finding(
                f"{name}, taught by others",
                knowledge_of(linkage_by_others),
                [one[0]],
                [all_released],
                scene.cohort,
                scene.source,
            )
            found.append(replace(joined, linked=one[1]))
    return found


def _over_halves(
    name: str,
    knowledge: str,
    scene: Scene,
    verifiers: Mapping[str, Verifier],
    half: Half,
    see: See,
    own_releases: bool = False,
) -> Finding:
    """Let the verifier of each half attack the other half and join what they find."""
    found, rows, linked = [], [], []
    for part in HALVES:
        mine = scene.attacked(part, half)
        other = np.flatnonzero(half[scene.cohort.patient] != HALVES.index(part))
        one = _compared(scene, verifiers[part], mine, other, see, own_releases)
        if one is not None:
            found.append(one[0])
            rows.append(mine)
            linked.append(one[1])
    return linked_finding(name, knowledge, found, rows, linked, scene)


def _compared(
    scene: Scene,
    verifier: Verifier,
    mine: np.ndarray,
    other: np.ndarray,
    see: See,
    own_releases: bool,
) -> tuple[Places, Int64[np.ndarray, "m 2"]] | None:
    """Return the places of the pairs of the released images `mine` and originals (or releases of
    them) `other`, and with which original each is linked.
    """
    if own_releases:
        place = np.flatnonzero(np.isin(scene.known_source, other))
        gallery, points = scene.known_source[place], see(verifier, scene.known[place])
    else:
        gallery, points = other, verifier.bank[other]
    if len(mine) == 0 or len(gallery) == 0:
        return None
    scores = alike(see(verifier, scene.released[mine]), points)
    found = places(scores, pairs(scene.cohort, scene.source[mine], gallery), scene.patient[mine])
    return found, np.stack([mine, gallery[scores.argmax(axis=1)]], axis=1)
