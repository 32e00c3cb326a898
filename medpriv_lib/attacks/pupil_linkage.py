"""The pupil's size: one number of an eye, and two photographs of one session share it.

    score of a release and an original = -|ratio of the release - ratio of the original|

Anybody can read both ratios in the pictures, to a hundredth of the iris radius or two; impostors
whose ratio is read alike are then tied with the source. Where the method paints on strangers of a
public bank more can be known: the stranger is found there, and the size that fits him best to a
thousandth; what is shown of an original is what the method itself reads in it. A kept pupil is then
nearly as good as a name: on healthy test images of both cohorts the source scores above .999
of the impostors, and 98 % of the sources are accepted where one impostor in a hundred is.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.layer_linkage import painting_of, strangers_of
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.repeated_releases import releases_of
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.verification import with_all_originals
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import Images
from medpriv_lib.data.eyes.localize import SMALLEST
from medpriv_lib.data.eyes.prepared import show_eyes
from medpriv_lib.data.eyes.pupil_ratio import pupil_ratios

Ratios = Float[np.ndarray, " n"]


def scores_of(shown: Sequence[Ratios], known: Float[np.ndarray, " r"]) -> np.ndarray:
    """Return the score of each case with each original, (N, R): the mean over its releases.

    `shown` pupil over iris of N cases in each of K releases, `known` (R,) of the originals.
    """
    total = np.zeros((len(shown[0]), len(known)))
    for ratios in shown:
        total -= np.abs(ratios[:, None].astype(np.float64) - known[None])
    return total / len(shown)


def pupil_size(shown: Sequence[Ratios], known: Float[np.ndarray, " r"], scene: Scene) -> Finding:
    """Compare the size of the pupil in a release with that in each original.

    Knowledge: other originals of the patient who is looked for; for "own_auc" the source itself;
    nothing of the method. Arguments as of `scores_of`.
    """
    scores, knowledge = scores_of(shown, known), knowledge_of(pupil_size)
    return with_all_originals("pupil size", knowledge, scores, scene, _note(shown))


def pupil_of_stranger(
    shown: Sequence[Ratios], known: Float[np.ndarray, " r"], scene: Scene
) -> Finding:
    """Compare the size of the stranger's pupil with that which the method would give to each
    original's release.

    Knowledge: the public bank of strangers, the method and its settings, and other originals of the
    patient who is looked for; for "own_auc" the source itself. Arguments as of `scores_of`.
    """
    scores, knowledge = scores_of(shown, known), knowledge_of(pupil_of_stranger)
    return with_all_originals("pupil of the stranger", knowledge, scores, scene, _note(shown))


def pupils_in(images: Images) -> Ratios:
    """Return pupil over iris of prepared images; colours are averaged.

    Raises `NotApplicable` for images that are not square or smaller than 32 px.
    """
    if images.shape[1] != images.shape[2] or images.shape[1] < SMALLEST:
        raise NotApplicable(f"a pupil is read from square images of at least {SMALLEST} px")
    return pupil_ratios(_grey(images))


def _of_originals(setting: Setting) -> Ratios:
    """Return the pupils of all originals, read once per cohort. Raises `NotApplicable` where they
    are no eyes.
    """
    images = setting.cohort.images
    ratios: Ratios = setting.once_per_cohort("pupils", lambda: pupils_in(images))
    if not setting.once_per_cohort("eyes", lambda: show_eyes(_grey(images))):
        raise NotApplicable("the originals hold no eye where a prepared eye has its iris")
    return ratios


def _of_painter(setting: Setting) -> Ratios:
    """Return the pupils that releases of all originals would have. Raises `NotApplicable` where
    these are drawn at random, and as `painting_of`.
    """
    ratio = painting_of(setting).ratio
    if ratio is None:
        raise NotApplicable("the method draws the pupil's size at random")
    return ratio


def _grey(images: Images) -> Images:
    return images if images.ndim == 3 else np.rint(images.mean(axis=3)).astype(np.uint8)


def _note(shown: Sequence[Ratios]) -> str:
    return f"{len(shown)} releases" if len(shown) > 1 else ""


@attack(
    name="pupil size", kind="linking", target="source", place=312, asked="draw", knows=pupil_size
)
def _read(setting: Setting) -> Finding:
    known = _of_originals(setting)
    return pupil_size([pupils_in(setting.scene.released)], known, setting.scene)


@attack(
    name="pupil of the stranger",
    kind="linking",
    target="source",
    place=314,
    asked="draw",
    knows=pupil_of_stranger,
)
def _fitted(setting: Setting) -> Finding:
    known = _of_painter(setting)
    found = strangers_of(setting, setting.draw, setting.scene.released)
    return pupil_of_stranger([found.ratio], known, setting.scene)


@attack(name="several releases, pupil size", kind="intersection", target="source", place=342)
def _read_in_several(setting: Setting) -> Finding:
    """Average over several releases of each case how far the pupils' sizes differ.

    Knowledge: that these releases stand for one image, and other originals of the patient who is
    looked for; for "own_auc" the source itself; nothing of the method.
    """
    known = _of_originals(setting)
    shown = [pupils_in(images) for images in releases_of(setting)]
    return pupil_size(shown, known, setting.scene)


@attack(
    name="several releases, pupil of the stranger",
    kind="intersection",
    target="source",
    place=344,
)
def _fitted_in_several(setting: Setting) -> Finding:
    """Average over several releases of each case how far the strangers' pupils differ.

    Knowledge: that these releases stand for one image, the public bank of strangers, the method and
    its settings, and other originals of the patient who is looked for; for "own_auc" the source
    itself.
    """
    known = _of_painter(setting)
    each = enumerate(releases_of(setting))
    shown = [strangers_of(setting, number, images).ratio for number, images in each]
    return pupil_of_stranger(shown, known, setting.scene)
