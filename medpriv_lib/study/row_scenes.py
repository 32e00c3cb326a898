"""A row of the study as the scenes and the setting of its attacks."""

from collections.abc import Sequence

import numpy as np

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import seeded
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Privatizer, Resources
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.study.plan import file_name
from medpriv_lib.study.rows import Method


def scenes_of(
    row: Method, cohort: Cohort, resources: Resources, drawn: Sequence[Release], seed: int
) -> list[Scene]:
    """Return one scene per draw: the test images under attack, and training and validation images
    released alike.

    The attacker runs the method on images of his own, one split after the other, with random
    numbers of his own, and in several sets where the method allows no larger one. Raises
    `NotApplicable` where he can do so on neither split.
    """
    tests = np.flatnonzero(cohort.split == "test")
    images, rows, whose, errors = [], [], [], []
    for split in ("train", "val"):
        mine = np.flatnonzero(cohort.split == split)
        generator = seeded(seed, "attacker", row.experiment, row.set, split)
        try:
            release = row.release(resources, cohort.take(mine), generator, in_sets=True)
        except NotApplicable as error:  # too few patients in this split; the other one may do
            errors.append(error)
            continue
        images.append(release.images)
        rows.append(mine[release.source])
        whose.append(release.contributors)
    if not images:
        raise errors[0]
    known, source = np.concatenate(images), np.concatenate(rows)
    width = max(each.shape[1] for each in whose)
    used = np.concatenate(
        [np.pad(each, ((0, 0), (0, width - each.shape[1])), constant_values=-1) for each in whose]
    )
    return [
        Scene(cohort, one.images, tests[one.source], known, source, one.contributors, used)
        for one in drawn
    ]


def setting_of(
    row: Method,
    scenes: Sequence[Scene],
    release: Release,
    attackers: Attackers,
    identity: Recogniser | None,
    seed: int,
    maker: Privatizer,
) -> Setting:
    """Return the setting of the attacks on all draws of a row; `release` is the first of
    them, `maker` the method, ready to run: the attacker has it, too.
    """
    return Setting(
        scenes,
        attackers,
        release.method,
        release.parameters,
        row.cls,
        identity,
        seed,
        file_name(row),
        maker=maker,
    )
