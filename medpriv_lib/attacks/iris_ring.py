"""The iris ring: unroll it and ask whose it is, without a look at lids, lashes or skin.

The ring between pupil and limbus is unrolled to a rectangle (Daugman 1993: the rubber sheet), so
that a wide and a narrow pupil give the same picture, and its levels are replaced by their ranks, so
that neither light nor contrast counts. Principal components and linear discriminants (Fisher 1936;
Belhumeur, Hespanha and Kriegman 1997) of all known rings then tell eyes apart; what is compared is
the cosine between the middles of eyes. A judge of whole images may never look here.
"""

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.attacks.finding import Finding, knowledge_of
from medpriv_lib.attacks.identification import best_of_patient, naming
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import HALVES, Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.towers import identities
from medpriv_lib.attacks.verification import alike, linked_finding, pairs, places
from medpriv_lib.core.intervals import mean_interval
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.pupil import pupils

RADII, ANGLES = 10, 64
INNER, OUTER = 0.1, 0.95  # of the way from the pupil's edge to the limbus
COMPONENTS, DIRECTIONS = 100, 60
SHRINK = 0.1  # weight of its own diagonal in the covariance within eyes
SMALLEST = 32  # px


def unrolled(images: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, "n d"]:
    """Return the ranks, in 0..1, of the levels of each image's unrolled iris ring, (N, 640).

    The iris is where `prepare` puts it, the pupil is looked for. Colours are averaged. Raises
    `NotApplicable` for images that are not square or smaller than 32 px.
    """
    if images.shape[1] != images.shape[2] or images.shape[1] < SMALLEST:
        raise NotApplicable(f"an iris is unrolled from square images of at least {SMALLEST} px")
    grey = images if images.ndim == 3 else np.rint(images.mean(axis=3)).astype(np.uint8)
    across, down = _directions()
    depth = np.linspace(INNER, OUTER, RADII)[:, None]
    rings = np.empty((len(grey), RADII * ANGLES))
    for row, (image, eye) in enumerate(zip(grey, pupils(grey), strict=True)):
        x = (1 - depth) * (eye.pupil_x + eye.pupil_r * across)
        y = (1 - depth) * (eye.pupil_y + eye.pupil_r * down)
        x = x + depth * (eye.iris_x + eye.iris_r * across)
        y = y + depth * (eye.iris_y + eye.iris_r * down)
        levels = cv2.remap(
            image.astype(np.float32),
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        rings[row] = levels.ravel()
    return ranks(rings)


@cache
def _directions() -> tuple[np.ndarray, np.ndarray]:
    angles = np.arange(ANGLES) * (2 * np.pi / ANGLES)  # 0 is to the right, a quarter turn is down
    return np.cos(angles)[None], np.sin(angles)[None]


def ranks(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Return the place of each value in its row, 0 the lowest and 1 the highest; equal values stand
    in their order.
    """
    order = np.argsort(rows, axis=1, kind="stable")
    place = np.empty(rows.shape)
    np.put_along_axis(place, order, np.arange(rows.shape[1], dtype=np.float64)[None], axis=1)
    return place / (rows.shape[1] - 1)


@dataclass(frozen=True, eq=False)
class Discriminants:
    """Linear discriminants of rings: `middle` (D,), `matrix` (D, Q), and `centre` (Q,), the mean of
    the middles of the eyes there.
    """

    middle: Float[np.ndarray, " d"]
    matrix: Float[np.ndarray, "d q"]
    centre: Float[np.ndarray, " q"]

    def __call__(self, rings: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n q"]:
        """Return rings as points of length 1."""
        points = (rings - self.middle) @ self.matrix - self.centre
        return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def discriminants(
    rings: Float[np.ndarray, "n d"],
    eye: Int64[np.ndarray, " n"],
    components: int = COMPONENTS,
    directions: int = DIRECTIONS,
) -> Discriminants:
    """Return the directions in which eyes differ most for how much rings of one eye differ.

    `eye` (N,) numbers the eyes. Raises `NotApplicable` for fewer than two eyes, or where no eye has
    two rings.
    """
    names, index, count = np.unique(eye, return_inverse=True, return_counts=True)
    if len(names) < 2 or len(rings) == len(names):
        raise NotApplicable("discriminants need two eyes, and two images of some eye")
    middle = rings.mean(axis=0)
    _, size, axes = np.linalg.svd(rings - middle, full_matrices=False)
    axes = axes[: min(components, len(rings) - len(names), int((size > 1e-9).sum()))].T
    points = (rings - middle) @ axes
    faces = np.zeros((len(names), points.shape[1]))
    np.add.at(faces, index, points)
    faces /= count[:, None]
    left = points - faces[index]
    within = left.T @ left / (len(rings) - len(names))
    within = (1 - SHRINK) * within + SHRINK * np.diag(np.diag(within))
    within += 1e-9 * np.trace(within) * np.eye(len(within)) + 1e-12 * np.eye(len(within))
    white = np.linalg.inv(np.linalg.cholesky(within)).T
    apart = faces @ white
    _, _, turn = np.linalg.svd(apart - apart.mean(axis=0), full_matrices=False)
    matrix = white @ turn[:directions].T
    return Discriminants(middle, axes @ matrix, (faces @ matrix).mean(axis=0))


@dataclass(frozen=True, eq=False)
class Rings:
    """The rings of a scene: of all `originals` of the cohort, (R, D), of the `released` images
    under attack, (N, D), and of the attacker's own releases `known`, (M, D).
    """

    originals: Float[np.ndarray, "r d"]
    released: Float[np.ndarray, "n d"]
    known: Float[np.ndarray, "m d"]


def iris_ring(rings: Rings, scene: Scene, own: bool = False) -> Finding:
    """Name the eye, and so the patient, whose known rings are most like a released image's.

    Knowledge: other originals of all patients, and with `own` releases of these originals that the
    attacker made. Measures: "rank1" and "rank5" of the patient, "eye_rank1" of the eye.
    """
    cohort, eye = scene.cohort, identities(scene.cohort)
    rows = scene.others
    known, whose = rings.originals[rows], eye[rows]
    if own:
        if len(rings.known) < 2:
            raise NotApplicable("the attacker has fewer than two released images to learn from")
        known, whose = rings.known, eye[scene.known_source]
    see = discriminants(known, whose)
    names, index, count = np.unique(whose, return_inverse=True, return_counts=True)
    faces = np.zeros((len(names), see.matrix.shape[1]))
    np.add.at(faces, index, see(known))
    # an eye that differs from no other, as in a release of mean images, is like nobody
    faces /= np.maximum(np.linalg.norm(faces, axis=1, keepdims=True), 1e-12)
    likeness = alike(see(rings.released), faces)
    patient_of = np.full(int(eye.max()) + 1, -1, dtype=np.int64)
    patient_of[eye] = cohort.patient
    present = np.isin(scene.patient, patient_of[names])
    if not present.any():
        raise NotApplicable("the attacker has no image of any of these patients to compare with")
    scores = best_of_patient(likeness[present], patient_of[names], cohort.patients)
    name, knowledge = "iris ring", knowledge_of(iris_ring)
    where = np.flatnonzero(present)
    found = naming(
        name, knowledge, scores, scene.patient[present], len(np.unique(patient_of[names])), where
    )
    hit = names[likeness[present].argmax(axis=1)] == eye[scene.source[present]]
    first = np.array([np.flatnonzero(whose == one)[0] for one in names])
    of = rows if not own else scene.known_source
    linked = np.stack([where, of[first][likeness[present].argmax(axis=1)]], axis=1)
    return replace(
        found,
        measures=found.measures | {"eye_rank1": float(hit.mean())},
        intervals=found.intervals | {"eye_rank1": mean_interval(hit, scene.patient[present])},
        chance=found.chance | {"eye_rank1": 1 / len(names)},
        linked=linked,
    )


def iris_ring_linkage(
    rings: Rings, scene: Scene, half: Int64[np.ndarray, " p"], own: bool = False
) -> Finding:
    """Compare the ring of a released image with those of originals by discriminants of others.

    Knowledge: originals of other patients to learn from, with `own` also releases of them, and
    other originals of the patient who is looked for; for "own_auc" the source itself.
    """
    eye, found, rows, linked = identities(scene.cohort), [], [], []
    released = [rings.known, rings.released]
    taught = np.concatenate([scene.known_source, scene.source])
    for number, part in enumerate(HALVES):
        mine = scene.attacked(part, half)
        other = np.flatnonzero(half[scene.cohort.patient] != number)
        learned = scene.originals(part, half)
        if len(mine) == 0 or len(other) == 0:
            continue
        examples, whose = rings.originals[learned], eye[learned]
        if own:
            theirs = half[scene.cohort.patient[taught]] == number
            examples = np.concatenate([examples, np.concatenate(released)[theirs]])
            whose = np.concatenate([whose, eye[taught[theirs]]])
        see = discriminants(examples, whose)
        scores = alike(see(rings.released[mine]), see(rings.originals[other]))
        which = pairs(scene.cohort, scene.source[mine], other)
        found.append(places(scores, which, scene.patient[mine]))
        rows.append(mine)
        linked.append(np.stack([mine, other[scores.argmax(axis=1)]], axis=1))
    knowledge = knowledge_of(iris_ring_linkage)
    return linked_finding("iris ring linkage", knowledge, found, rows, linked, scene)


def _rings(setting: Setting) -> Rings:
    """Return the rings of the draw under attack; originals are unrolled once per cohort."""
    scene = setting.scene
    return Rings(
        setting.once_per_cohort("rings", lambda: unrolled(setting.cohort.images)),
        setting.once(("rings", setting.draw), lambda: unrolled(scene.released)),
        setting.once("rings of own releases", lambda: unrolled(setting.scenes[0].known)),
    )


@attack(name="iris ring", kind="naming", target="source", place=290, asked="draw", knows=iris_ring)
def _of_originals(setting: Setting) -> Finding:
    return iris_ring(_rings(setting), setting.scene)


@attack(
    name="iris ring, own releases",
    kind="naming",
    target="source",
    place=300,
    asked="draw",
    knows=iris_ring,
)
def _of_releases(setting: Setting) -> Finding:
    return iris_ring(_rings(setting), setting.scene, own=True)


@attack(
    name="iris ring linkage",
    kind="linking",
    target="source",
    place=310,
    asked="draw",
    knows=iris_ring_linkage,
)
def _linking(setting: Setting) -> Finding:
    return iris_ring_linkage(_rings(setting), setting.scene, setting.half, own=True)
