r"""The layer: take the public stranger away, and see whose painted signs come nearest to the rest.

A method that paints shows (1 - alpha) s + ink over a stranger s (`privatizers.painting`). The bank
of strangers is public, so s is found and subtracted. The method, too, is run by the attacker: on
every original j that he holds, and each layer is laid over the same stranger i. With d_i = release
- s_i and the layer L_ij = ink_j - alpha_j s_i,

    likeness_ij = ||d_i||^2 - ||d_i - L_ij||^2 = 2 <d_i, L_ij> - ||L_ij||^2

says how much nearer the release comes with the layer than without any (a bare stranger: 0).

One threshold shall hold for all releases, and a faint layer has a small likeness even with its own
source, a strong one a large likeness with many. So each release is compared with its own rivals:

    score_ij = likeness_ij - mean of the ten largest likenesses of release i.

On one draw of sign transfer (floor .05, both packaged cohorts) the area of ill sources
was .75 and .79 by the likeness alone, .98 with -||d_i - L_ij||^2, and above .99 with three, ten or
thirty rivals.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.repeated_releases import releases_of
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.stranger_search import FoundStrangers, find_strangers
from medpriv_lib.attacks.verification import with_all_originals
from medpriv_lib.core.pixels import Images
from medpriv_lib.privatizers.painting import Painting

RIVALS = 10
AT_ONCE = 256  # originals: four arrays of their size, float64


def likeness(
    released: Float[np.ndarray, "n s s"], strangers: Float[np.ndarray, "n s s"], painting: Painting
) -> Float[np.ndarray, "n r"]:
    """Return ||d_i||^2 - ||d_i - L_ij||^2 of N releases and R layers, in squared levels.

    `released` and `strangers` in levels. The square is multiplied out, so that nothing of the size
    N R S S is made; an original without any layer has exactly 0.
    """
    s = strangers.reshape(len(strangers), -1).astype(np.float64)
    d = released.reshape(len(s), -1) - s
    found = np.zeros((len(s), len(painting.alpha)))
    laid = painting.alpha.any(axis=(1, 2)) | painting.ink.any(axis=(1, 2))
    rows = np.flatnonzero(laid)
    for some in (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)):
        alpha, ink = (
            part[some].reshape(len(some), -1).astype(np.float64)
            for part in (painting.alpha, painting.ink)
        )
        size = (ink**2).sum(axis=1) - 2 * s @ (alpha * ink).T + s**2 @ (alpha**2).T
        found[:, some] = 2 * (d @ ink.T - (d * s) @ alpha.T) - size
    return found


def beside_rivals(likely: Float[np.ndarray, "n r"]) -> Float[np.ndarray, "n r"]:
    """Return each likeness less the mean of the largest ten of its release."""
    count = min(RIVALS, likely.shape[1])
    first = np.partition(likely, likely.shape[1] - count, axis=1)[:, -count:]
    # in order, so that equal sets have equal means to the last bit
    return likely - np.sort(first, axis=1).mean(axis=1, keepdims=True)


def layer_linkage(
    releases: Sequence[Images], found: Sequence[FoundStrangers], painting: Painting, scene: Scene
) -> Finding:
    """Compare the layer of a release with that which the method would paint of each original.

    Knowledge: the public bank of strangers, the method and its settings, and other originals of the
    patient who is looked for; for "own_auc" the source itself. `releases` of the scene's sources,
    in their order, with the strangers that were `found` in each; the likenesses of several are
    added. Raises `NotApplicable` as `verification.finding`.
    """
    pairs = zip(releases, found, strict=True)
    total = sum(likeness(images, one.levels, painting) for images, one in pairs)
    note = f"{len(releases)} releases" if len(releases) > 1 else ""
    return with_all_originals(
        "layer", knowledge_of(layer_linkage), beside_rivals(np.asarray(total)), scene, note
    )


def painting_of(setting: Setting) -> Painting:
    """Return what the method would paint of all originals, worked out once for a release.

    Raises `NotApplicable` where the method paints on no stranger, or not these images, and where
    the attacker cannot run it.
    """
    painter, cohort = setting.painter, setting.cohort
    return setting.once("painting", lambda: painter.painting(cohort))


def strangers_of(setting: Setting, number: int, images: Images) -> FoundStrangers:
    """Return the strangers in release `number` of the sources, whose `images` these are, looked
    for once.
    """
    bank = painting_of(setting).bank
    return setting.once(("strangers", number), lambda: find_strangers(images, bank))


@attack(name="layer", kind="linking", target="source", place=316, asked="draw", knows=layer_linkage)
def _of_one(setting: Setting) -> Finding:
    painting, images = painting_of(setting), setting.scene.released
    found = strangers_of(setting, setting.draw, images)
    return layer_linkage([images], [found], painting, setting.scene)


@attack(name="several releases, layer", kind="intersection", target="source", place=346)
def _of_several(setting: Setting) -> Finding:
    """Add the likenesses of several releases of each case.

    Knowledge: that these releases stand for one image, the public bank of strangers, the method and
    its settings, and other originals of the patient who is looked for; for "own_auc" the source
    itself.
    """
    painting, releases = painting_of(setting), releases_of(setting)
    found = [strangers_of(setting, number, images) for number, images in enumerate(releases)]
    return layer_linkage(releases, found, painting, setting.scene)
