"""What an attacker knows of a row: his own images released alike, in as many sets as are needed."""

import numpy as np
import torch
from cohorts_with_visits import bank, confounded

from medpriv_lib.privatizers.controls.stranger import Stranger
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.study.row_scenes import scenes_of
from medpriv_lib.study.rows import Method


def test_an_attacker_releases_all_of_his_images_in_several_sets():
    """A bank of twelve shows twelve at a time; the attacker still knows a release of each image."""
    cohort = confounded(patients=12, size=16)
    rows = {split: np.flatnonzero(cohort.split == split) for split in ("train", "val", "test")}
    assert len(rows["train"]) > 2 * 12
    small = bank(12, size=16)
    resources = Resources(cohort, None, {"strangers": small})
    row = Method("control", "stranger", Stranger, {"pupil": "freed"}, random=True)
    few = cohort.take(rows["test"][:12])
    drawn = [row.release(resources, few, torch.Generator().manual_seed(0))]
    (scene,) = scenes_of(row, cohort, resources, drawn, 0)
    known = np.concatenate([rows["train"], rows["val"]])
    np.testing.assert_array_equal(scene.known_source, known)
    shown = [image.tobytes() for image in scene.known[: len(rows["train"])]]
    assert len(set(shown[:12])) == 12
    (whole,) = scenes_of(
        row, cohort, Resources(cohort, None, {"strangers": bank(300, size=16)}), drawn, 0
    )
    np.testing.assert_array_equal(whole.known_source, scene.known_source)
