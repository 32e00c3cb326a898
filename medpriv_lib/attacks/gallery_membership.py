"""Whose images are in the gallery of a method that averages K patients' images: run it again and
again with random halves.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64

from medpriv_lib.attacks.copying import nearest, pixels
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.known_members import groups_of
from medpriv_lib.attacks.membership import inside_and_outside, membership
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.intervals import mean_per_patient
from medpriv_lib.privatizers.protocol import AveragesFrom, Privatizer


def of_gallery(
    scene: Scene,
    method_of: Callable[[], Privatizer],
    averages: AveragesFrom,
    rng: np.random.Generator,
    runs: int,
) -> Finding:
    """Tell whose images are in the gallery, by running the method again with random halves of it.

    `method_of` makes the method, not yet fitted. Where it averages training images a patient's
    score is how near the answer to his other image comes to that image; where it averages the
    images it is given, how near any released image comes to an image of his that was not released.
    Labels are dealt to both halves alike. Raises `NotApplicable` where half of the patients are too
    few for K.
    """
    cohort = scene.cohort
    shown = cohort.take(scene.source)
    if averages == "train":
        gallery, asked = cohort.take(np.flatnonzero(cohort.split == "train")), shown
    else:
        gallery, asked = shown, cohort.take(scene.others)
    both = np.intersect1d(gallery.patient, asked.patient)
    who = np.searchsorted(both, asked.patient)
    mine = np.flatnonzero(np.isin(asked.patient, both))
    asked, who = asked.take(mine), who[mine]
    points = pixels(asked.images)

    def score_of(members: Int64[np.ndarray, " m"]) -> Float[np.ndarray, " p"]:
        chosen = gallery.take(np.isin(gallery.patient, both[members]))
        method = method_of().fit(chosen)
        if averages == "train":
            made = pixels(method.privatize(asked).images)
            gap = np.sqrt(((made - points) ** 2).sum(axis=1))
        else:
            made = np.unique(pixels(method.privatize(chosen).images), axis=0)
            gap = nearest(points, made).distance
        return -mean_per_patient(gap, who)[1]

    sick = np.isin(both, gallery.patient[gallery.diseased]).astype(np.int64)
    found = membership(inside_and_outside(score_of, len(both), runs, rng, sick), rng)
    return replace(
        found,
        attack="membership in the gallery",
        per_patient={int(both[place]): rate for place, rate in found.per_patient.items()},
        note=f"{runs} runs with half of {len(both)} patients each",
    )


@attack(
    name="membership in the gallery",
    kind="membership",
    target="member",
    place=190,
    knows=membership,
)
def in_the_gallery(setting: Setting) -> Finding:
    """Run the method again with random halves of its gallery."""
    _, averages = groups_of(setting)
    method = setting.known_method
    settings = {one.name: setting.parameters[one.name] for one in method.parameters}
    return of_gallery(
        setting.scene,
        lambda: method(**settings),
        averages,
        setting.stream("members"),
        setting.budget.gallery_runs,
    )
