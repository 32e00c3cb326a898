"""Which of a patient's images a method was made from: those trained on against those held out."""

import numpy as np

from medpriv_lib.attacks.contributors.who import require_contributors
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.membership import against_images, nearness
from medpriv_lib.attacks.registry import attack
from medpriv_lib.attacks.scene import ALL
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.not_applicable import NotApplicable


@attack(
    name="membership of images",
    kind="membership",
    target="member",
    place=165,
    knows=against_images,
)
def seen_in_training(setting: Setting) -> Finding:
    """Tell a patient's training images from the validation images: the tower has seen both, the
    method only the first.

    Raises `NotApplicable` where no patient has both.
    """
    scene, cohort = setting.scene, setting.cohort
    require_contributors(scene)
    train, val = np.flatnonzero(cohort.split == "train"), np.flatnonzero(cohort.split == "val")
    if len(val) == 0:
        raise NotApplicable(
            "without validation images there is nothing that the method has not seen"
        )
    verifier = setting.verifiers[ALL]
    shown = verifier.original(scene.released).astype(np.float64)
    inside, outside = (
        nearness(verifier.bank[rows].astype(np.float64), shown) for rows in (train, val)
    )
    return against_images(
        inside, cohort.patient[train], outside, cohort.patient[val], setting.stream("contributors")
    )
