"""Several releases of one case: what each hides, their mean may tell.

The same source, released again with fresh randomness, is seen by the attacker's towers, and the
points are averaged; where the method shows a code, so are the codes that are read. What a draw adds
at random washes out, what it always keeps adds up.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from medpriv_lib.attacks.attackers import Verifier
from medpriv_lib.attacks.code_reading import code_reading, codes_of, read
from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import HALVES, Scene
from medpriv_lib.attacks.setting import Setting, both_halves, seen_by
from medpriv_lib.attacks.verification import alike, linked_finding, pairs, places
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.core.randomness import seeded


def by_towers(
    scene: Scene,
    verifiers: dict[str, Verifier],
    half: np.ndarray,
    releases: Sequence[Images],
) -> Finding:
    """Average what the tower of released images sees in several releases of each case.

    Knowledge: that these releases stand for one image, pairs of originals and released images of
    other patients to learn from, and other originals of the patient who is looked for. `releases`
    of the scene's sources, in their order. Raises `NotApplicable` where there are no pairs, and
    as `verification.finding`.
    """
    both_halves(verifiers)
    found, rows, linked = [], [], []
    for number, part in enumerate(HALVES):
        mine = scene.attacked(part, half)
        other = np.flatnonzero(half[scene.cohort.patient] != number)
        if len(mine) == 0 or len(other) == 0:
            continue
        see = seen_by(verifiers[part])
        points = mean_direction([see(images[mine]) for images in releases])
        scores = alike(points, verifiers[part].bank[other])
        which = pairs(scene.cohort, scene.source[mine], other)
        found.append(places(scores, which, scene.patient[mine]))
        rows.append(mine)
        linked.append(np.stack([mine, other[scores.argmax(axis=1)]], axis=1))
    knowledge, note = knowledge_of(by_towers), f"{len(releases)} releases"
    return linked_finding("several releases", knowledge, found, rows, linked, scene, note)


def mean_direction(points: Sequence[Float[np.ndarray, "n d"]]) -> Float[np.ndarray, "n d"]:
    """Return the mean direction of points of length 1, of length 1 again."""
    mean = np.mean(points, axis=0)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


def by_codes(setting: Setting, releases: Sequence[Images]) -> Finding:
    """Average the codes that are read from several releases of each case.

    Knowledge: that these releases stand for one image, the weights of the generator, originals of
    other patients to learn from, and other originals of the patient who is looked for; for
    "own_auc", "rank1_own" and their kind the source itself. Measures and errors as of
    `code_reading`.
    """
    codes, scene, count = codes_of(setting), setting.scene, len(releases)
    first = read(setting).z
    rest = [codes.reader.read(images).z for images in releases[1:]]
    z = np.mean([first, *rest], axis=0)
    # errors and what a draw adds are independent from one release to the next
    spread = replace(codes.spread, noise=codes.spread.noise / count)
    calmer = replace(
        codes, spread=spread, sigma=codes.sigma / np.sqrt(count), error=codes.error / count
    )
    found = code_reading(calmer, z, scene)
    return replace(found, knowledge=knowledge_of(by_codes), note=f"{count} releases")


def releases_of(setting: Setting) -> list[Images]:
    """Return the releases of the scene's sources: the draws there are, and as many more as the
    budget asks for.

    Raises `NotApplicable` where the method draws nothing, or there is one draw and no method.
    """
    return setting.once("releases", lambda: _released(setting))


def _released(setting: Setting) -> list[Images]:
    there = [scene.released for scene in setting.scenes]
    wanted = setting.budget.several
    if wanted < 2:
        raise NotApplicable("the budget asks for one release of each case")
    if len(there) < wanted and setting.maker is not None:
        method, rows = setting.maker, setting.scenes[0].source
        sources = setting.cohort.take(rows)
        for number in range(len(there), wanted):
            again = method.privatize(sources, seeded(setting.seed, "several", number))
            there.append(again.images[: len(rows)])
    if len(there) < 2:
        raise NotApplicable("one release alone has nothing to be averaged with")
    if all(np.array_equal(one, there[0]) for one in there[1:]):
        raise NotApplicable("the method draws nothing: all releases of a case are the same")
    return there[:wanted]


@attack(
    name="several releases, linked",
    kind="intersection",
    target="source",
    place=330,
    knows=by_towers,
)
def _linked(setting: Setting) -> Finding:
    releases = releases_of(setting)
    return by_towers(setting.scene, setting.verifiers, setting.half, releases)


@attack(
    name="several releases, codes",
    kind="intersection",
    target="source",
    place=340,
    knows=by_codes,
)
def _read(setting: Setting) -> Finding:
    _ = setting.coded
    return by_codes(setting, releases_of(setting))
