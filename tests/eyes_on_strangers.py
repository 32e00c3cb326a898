"""A small part of a cohort with visits, released by methods that paint on strangers, and attacked."""

from dataclasses import replace

import numpy as np
import torch

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.scene import Scene
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.data.packaged import packaged_cohort
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.sign_transfer.sign_transfer import SignTransfer, shipped_strangers

PATIENTS = 50


def part_of(kind):
    """Return the images of the first patients of a cohort who are in its test split."""
    cohort = packaged_cohort(kind)
    who = np.unique(cohort.patient[cohort.split == "test"])[:PATIENTS]
    return cohort.take(np.isin(cohort.patient, who))


def transfer(**settings):
    """Return sign transfer as it ships."""
    return SignTransfer.ready(Resources(trained={"strangers": strangers()}), **settings)


def strangers():
    """Return the bank that ships, as the cohorts' camera shows it."""
    return shipped_strangers()


def attacked(cohort, method, known=False, several=1, maker=True):
    """Return the setting of one release of the test images, with `known` of the others, too."""
    test, rest = np.flatnonzero(cohort.split == "test"), np.flatnonzero(cohort.split != "test")
    rest = rest if known else rest[:0]
    generator = torch.Generator().manual_seed(0)
    release = method.privatize(cohort.take(test), generator)
    nobody = np.empty((len(test), 0), dtype=np.int64)
    images = cohort.images[:0]
    if known:
        images = method.privatize(cohort.take(rest), generator).images
    scene = Scene(cohort, release.images, test, images, rest, nobody)
    team = Attackers(cohort, budget=replace(Budget(), several=several), shipped=False)
    cls = type(method)
    return Setting(
        [scene], team, method.name, method.settings, cls, maker=method if maker else None
    )


def own(found, label, measure="own_auc"):
    """Return what an attack reached with the sources of one label."""
    return found.by_label[label][measure][0]
