"""A tower trained for long, on several releases of each image that the attacker holds.

The towers of the other attacks see each known image released once, and are trained briefly. Where a
method draws, every further release of a known image is another example at no cost but time.
"""

from dataclasses import replace

import numpy as np

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.linkage import linkage_retrained
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded


def known_again(setting: Setting, times: int) -> Scene:
    """Return the scene where each known image was released so many times, the first time included.

    A method that draws nothing is not run again. Raises `NotApplicable` without the method.
    """
    scene, method = setting.scenes[0], setting.ready
    images, rows, used = [scene.known], [scene.known_source], [scene.known_contributors]
    known = scene.known_source[np.unique(scene.known_source, return_index=True)[1]]
    if len(known) < 2:
        raise NotApplicable("the attacker has fewer than two released images to learn from")
    for number in range(1, times):
        again = method.in_sets(
            scene.cohort.take(known), seeded(setting.seed, "long linkage", number)
        )
        here = again.images[: len(known)]
        if number == 1 and _same(here, known, scene):
            break
        images.append(here)
        rows.append(known)
    return replace(
        scene,
        known=np.concatenate(images),
        known_source=np.concatenate(rows),
        known_contributors=used[0] if len(images) == 1 else None,
    )


def _same(images: np.ndarray, rows: np.ndarray, scene: Scene) -> bool:
    """Tell whether a second run gave what is known already."""
    first = dict(zip(scene.known_source.tolist(), scene.known, strict=True))
    return all(
        np.array_equal(image, first[row]) for image, row in zip(images, rows.tolist(), strict=True)
    )


def long_attackers(setting: Setting) -> Attackers:
    """Return the attackers with the long schedule. Raises `NotApplicable` where the budget has
    none.
    """
    team, long = setting.attackers, setting.budget.long
    if long is None:
        raise NotApplicable("the budget trains no tower for long")
    return replace(team, budget=replace(team.budget, released=long))


@attack(name="long linkage", kind="linking", target="source", place=350, asked="draw")
def long_linkage(setting: Setting) -> Finding:
    """Compare a released image with originals by a verifier trained for long.

    Knowledge: the method, run several times on originals of other patients to learn from, and other
    originals of the patient who is looked for.
    """
    team = long_attackers(setting)

    def train() -> dict:
        scene = known_again(setting, setting.budget.long_releases)
        return {
            part: team.verifier(scene, f"{setting.name or setting.method}-long", part)
            for part in ("half-0", "half-1")
        }

    return linkage_retrained(setting.scene, setting.once("long verifiers", train), setting.half)
