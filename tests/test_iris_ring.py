"""The iris ring: unrolled, it names the eye whoever's lids are around it; without it, it guesses."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_cohorts import scene_of

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.iris_ring import (
    ANGLES,
    RADII,
    Rings,
    discriminants,
    iris_ring,
    iris_ring_linkage,
    ranks,
    unrolled,
)
from medpriv_lib.attacks.registry import run
from medpriv_lib.attacks.scene import halves
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.towers import identities
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.pupil import pupils
from medpriv_lib.data.packaged import default_cohort


@pytest.fixture(scope="module")
def cohort():
    return default_cohort()


@pytest.fixture(scope="module")
def rings(cohort):
    return unrolled(cohort.images)


def transplanted(cohort, rows, hosts):
    """Paste the ring of each row on its host by the rubber sheet, ray by ray and pixel by pixel."""
    images = cohort.images[hosts].copy()
    for out, image, own, host in zip(
        images, cohort.images[rows], pupils(cohort.images[rows]), pupils(images), strict=True
    ):
        y, x = np.indices(out.shape)
        far, angle = (
            np.hypot(x - host.iris_x, y - host.iris_y),
            np.arctan2(y - host.pupil_y, x - host.pupil_x),
        )
        inner = np.hypot(x - host.pupil_x, y - host.pupil_y)
        depth = np.clip((inner - host.pupil_r) / np.maximum(host.iris_r - host.pupil_r, 1), 0, 1)
        px = (1 - depth) * (own.pupil_x + own.pupil_r * np.cos(angle)) + depth * (
            own.iris_x + own.iris_r * np.cos(angle)
        )
        py = (1 - depth) * (own.pupil_y + own.pupil_r * np.sin(angle)) + depth * (
            own.iris_y + own.iris_r * np.sin(angle)
        )
        levels = cv2.remap(image, px.astype(np.float32), py.astype(np.float32), cv2.INTER_LINEAR)
        ring = (inner > host.pupil_r) & (far < host.iris_r)
        out[ring] = levels[ring]
    return images


def of(cohort, rings, images):
    scene = scene_of(cohort, cohort.images)
    scene = replace(
        scene, released=images, known=scene.known[:0], known_source=scene.known_source[:0]
    )
    return scene, Rings(rings, unrolled(images), rings[:0])


def test_originals_and_irises_on_strangers_are_named(cohort, rings):
    """A trial named 83.8 % of the eyes; on strangers 84 %."""
    test = np.flatnonzero(cohort.split == "test")
    scene, seen = of(cohort, rings, cohort.images[test])
    found = iris_ring(seen, scene)
    assert found.measures["eye_rank1"] > 0.9
    assert found.chance["eye_rank1"] == pytest.approx(1 / 230)
    assert (cohort.patient[found.linked[:, 1]] == scene.patient).mean() == pytest.approx(
        found.measures["rank1"], abs=0.01
    )
    hosts = np.random.default_rng(0).permutation(test)
    pasted = transplanted(cohort, test, hosts)
    scene, seen = of(cohort, rings, pasted)
    assert iris_ring(seen, scene).measures["eye_rank1"] > 0.9
    linked = iris_ring_linkage(seen, scene, halves(cohort, 0))
    assert linked.measures["linkage_auc"] > 0.8
    assert set(linked.by_label) == {"healthy", "diseased"}


def test_a_stranger_s_iris_in_the_own_surroundings_is_not_named(cohort, rings):
    """359 images of 115 patients: 3 hits expected, more than 10 (2.8 %) in one of 1,000 trials. The
    stranger has the label and the side of the source; an area has sd .289 / sqrt(359) = .015."""
    test = np.flatnonzero(cohort.split == "test")
    rng, hosts = np.random.default_rng(0), test.copy()
    for row, one in enumerate(test):
        other = (cohort.patient[test] != cohort.patient[one]) & (
            cohort.eye[test] == cohort.eye[one]
        )
        other &= cohort.diseased[test] == cohort.diseased[one]
        hosts[row] = rng.choice(test[other])
    scene, seen = of(cohort, rings, transplanted(cohort, hosts, test))
    assert iris_ring(seen, scene).measures["rank1"] < 0.05
    linked = iris_ring_linkage(seen, scene, halves(cohort, 0))
    assert abs(linked.measures["linkage_auc"] - 0.5) < 0.08


def test_who_repeats_a_release_of_equal_images_can_only_guess(cohort, rings):
    """All rings are one ring, so that no eye has a direction of its own."""
    test = np.flatnonzero(cohort.split == "test")
    scene, seen = of(cohort, rings, np.repeat(cohort.images[:1], len(test), axis=0))
    one = unrolled(cohort.images[:1])
    mine = np.repeat(cohort.images[:1], len(scene.others), axis=0)
    scene = replace(scene, known=mine, known_source=scene.others)
    seen = replace(seen, known=np.repeat(one, len(mine), axis=0))
    found = iris_ring(seen, scene, own=True)
    assert found.measures["rank1"] == pytest.approx(1 / cohort.patients)
    assert found.measures["rank5"] == pytest.approx(5 / cohort.patients)


def test_a_ring_is_unrolled_as_by_hand(cohort):
    image = cohort.images[:1]
    eye = pupils(image)[0]
    slow = np.empty((RADII, ANGLES))
    for i, depth in enumerate(np.linspace(0.1, 0.95, RADII)):
        for j in range(ANGLES):
            turn = 2 * np.pi * j / ANGLES
            x = (1 - depth) * (eye.pupil_x + eye.pupil_r * np.cos(turn)) + depth * (
                eye.iris_x + eye.iris_r * np.cos(turn)
            )
            y = (1 - depth) * (eye.pupil_y + eye.pupil_r * np.sin(turn)) + depth * (
                eye.iris_y + eye.iris_r * np.sin(turn)
            )
            a, b = int(x), int(y)
            u, v = x - a, y - b
            part = image[0, b : b + 2, a : a + 2].astype(float)
            slow[i, j] = np.array([1 - v, v]) @ part @ np.array([1 - u, u])
    # OpenCV places samples on a grid of 1/32 px: ranks of near levels may change places
    assert np.abs(ranks(slow.reshape(1, -1)) - unrolled(image)).max() < 0.05


def test_ranks_and_discriminants_equal_their_slow_twins():
    rows = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 0.0]])
    np.testing.assert_array_equal(ranks(rows), [[1, 0, 0.5], [0.5, 1, 0]])
    rng = np.random.default_rng(0)
    eye = np.repeat(np.arange(6), 8)
    points = 3 * rng.normal(size=(6, 4))[eye] + rng.normal(size=(48, 4)) @ np.diag([4, 1, 1, 0.5])
    see = discriminants(points, eye, components=4, directions=2)
    faces = np.array([points[eye == e].mean(axis=0) for e in range(6)])
    within = sum(np.outer(p - faces[e], p - faces[e]) for p, e in zip(points, eye, strict=True))
    # the basis of principal components carries the shrinkage
    axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2].T
    inner = axes.T @ within @ axes / 42
    inner = 0.9 * inner + 0.1 * np.diag(np.diag(inner))
    apart = (faces - faces.mean(axis=0)) @ axes
    from scipy.linalg import eigh

    _, vectors = eigh(apart.T @ apart, inner)
    slow = axes @ vectors[:, ::-1][:, :2]
    for mine, theirs in zip(see.matrix.T, slow.T, strict=True):
        cosine = mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs)
        assert abs(cosine) > 0.9999


def test_the_attack_is_in_the_list_and_refuses_what_has_no_ring(cohort):
    scene = scene_of(cohort, cohort.images)
    setting = Setting([scene], Attackers(cohort), "none", {}, None)
    for one in run(setting, ["iris ring", "iris ring, own releases"]):
        assert one.measures["eye_rank1"] > 0.9
    with pytest.raises(NotApplicable, match="at least 32"):
        unrolled(np.zeros((2, 16, 16), np.uint8))
    with pytest.raises(NotApplicable, match="two eyes"):
        discriminants(np.zeros((4, 3)), np.arange(4))
    assert len(np.unique(identities(cohort))) == 230


def test_an_image_without_any_circle_gets_one_in_the_middle():
    (eye,) = pupils(np.full((1, 64, 64), 90, np.uint8))
    assert (eye.pupil_x, eye.pupil_y) == (31.5, 31.5)
    assert 0 < eye.pupil_r < eye.iris_r
