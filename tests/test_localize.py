"""The localiser against the synthetic eyes' true geometry, crude drawings, and images without an
eye."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from medpriv_lib.data.eyes.circles import (
    ANGLES,
    DESIGN,
    RINGS,
    best_circle,
    fitted,
    shifts,
    weights_of,
)
from medpriv_lib.data.eyes.circles import steps as step_along
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.eyes.quantiles import quantiles
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.synthetic import Capture, Identity, Pathology, render_with_truth


@cache
def _eyes(variant: str, n: int = 5) -> list:
    """Render n persons, every third with glaucoma, in one variant of the capture."""
    rng = np.random.default_rng(11)
    result = []
    for i in range(n):
        identity, pathology, capture = (
            Identity.draw(rng),
            Pathology.draw(rng, glaucoma=i % 3 == 0),
            Capture.draw(rng),
        )
        change = {
            "inverted glints": {"glints": tuple(replace(g, level=0.0) for g in capture.glints)},
            "30 % nearer": {"distance": 1.3 * capture.distance},
            "30 % further": {"distance": 0.7 * capture.distance},
            "half closed": {"opening": 0.5},
            "plain": {},
        }[variant]
        shown = render_with_truth(
            identity, pathology, replace(capture, **change), label="IG 0001 L"
        )
        result.append((shown.image, shown.eye))
    return result


# With 5 eyes each the bounds are loose; benchmarks/bench_prepare.py measures 80 plain ones.
# Half-closed lids hide the top and the bottom of the limbus, and what is left to the sides says
# little about its height.
@pytest.mark.parametrize(
    ("variant", "most"),
    [
        ("plain", 2.0),
        ("inverted glints", 2.0),
        ("30 % nearer", 2.6),
        ("30 % further", 2.0),
        ("half closed", 5.0),
    ],
)
def test_synthetic_eyes_are_found_where_they_are(variant, most):
    errors = []
    for image, true in _eyes(variant):
        eye = locate(image[: len(image) - strip_rows(image)])
        assert eye is not None
        errors.append(np.hypot(eye.iris_x - true.iris_x, eye.iris_y - true.iris_y))
        assert abs(eye.iris_r - true.iris_r) < 0.12 * true.iris_r
    assert np.median(errors) <= most
    assert max(errors) < 25


def _drawing(height=480, width=640, x=300.0, y=250.0, iris=110, pupil=45, glint=255):
    """Return a crude eye: three grey discs with soft edges, two glints and some noise."""
    image = np.full((height, width), 170, np.float32)
    cv2.ellipse(
        image, (round(x), round(y)), (round(2.2 * iris), round(0.95 * iris)), 0, 0, 360, 200.0, -1
    )
    lids = image < 190
    cv2.circle(image, (round(16 * x), round(16 * y)), 16 * iris, 110.0, -1, cv2.LINE_AA, 4)
    image[lids] = 170
    cv2.circle(image, (round(16 * x), round(16 * y)), 16 * pupil, 20.0, -1, cv2.LINE_AA, 4)
    for side in (-0.3, 0.3):
        cv2.circle(image, (round(x + side * pupil), round(y)), max(1, pupil // 8), glint, -1)
    image = cv2.GaussianBlur(image, (0, 0), 0.01 * iris + 0.5) + np.random.default_rng(0).normal(
        0, 2, image.shape
    )
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("glint", [255, 0, 110])
def test_drawings_of_any_scale_and_glint(scale, glint):
    image = _drawing(
        round(480 * scale),
        round(640 * scale),
        300 * scale,
        250 * scale,
        round(110 * scale),
        round(45 * scale),
        glint,
    )
    eye = locate(image)
    assert eye is not None
    assert np.hypot(eye.pupil_x - 300 * scale, eye.pupil_y - 250 * scale) < 2 * scale + 0.5
    assert np.hypot(eye.iris_x - 300 * scale, eye.iris_y - 250 * scale) < 4 * scale + 0.5
    assert abs(eye.pupil_r - round(45 * scale)) < 2 * scale + 0.5
    assert abs(eye.iris_r - round(110 * scale)) < 4 * scale + 0.5


@pytest.mark.parametrize(
    "change",
    [
        lambda i: cv2.convertScaleAbs(i, alpha=0.4, beta=80),
        lambda i: cv2.convertScaleAbs(i, alpha=0.5),
        lambda i: np.ascontiguousarray(i[:, ::-1]),
    ],
    ids=["low contrast", "dark", "mirrored"],
)
def test_contrast_brightness_and_mirroring_do_not_matter(change):
    plain, changed = locate(_drawing()), locate(change(_drawing()))
    assert abs(plain.iris_y - changed.iris_y) < 1.5
    assert abs(plain.iris_r - changed.iris_r) < 1.5


def test_cropped_64_pixel_image():
    image = cv2.resize(
        _drawing()[250 - 154 : 250 + 154, 300 - 154 : 300 + 154],
        (64, 64),
        interpolation=cv2.INTER_AREA,
    )
    eye = locate(image)
    assert np.hypot(eye.iris_x - 31.5, eye.iris_y - 31.5) < 1
    assert abs(eye.iris_r - 110 * 64 / 308) < 1.5
    assert abs(eye.pupil_r - 45 * 64 / 308) < 1


def test_no_eye_where_there_is_none():
    assert locate(np.full((480, 640), 90, np.uint8)) is None
    ramp = np.tile(np.linspace(0, 255, 640).astype(np.uint8), (480, 1))
    assert locate(ramp) is None


@pytest.mark.parametrize(
    "image", [np.zeros((20, 300), np.uint8), np.zeros((99, 99)), np.zeros((99, 99, 3), np.uint8)]
)
def test_unfit_arrays_are_refused(image):
    with pytest.raises(ValueError, match="locate needs a uint8"):
        locate(image)


def test_circle_search_equals_a_plain_loop():
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(len(ANGLES), len(RINGS)))
    rings, reach, weights = np.arange(30, 60, 7), 0.1, weights_of(0.2)
    best = (-np.inf, None)
    for ring in rings:
        for dy in np.linspace(-reach, reach, 5):
            for dx in np.linspace(-reach, reach, 5):
                if abs(dx) + abs(dy) >= 1.6 * reach:
                    continue
                total = -0.05 * np.hypot(dx, dy) / reach
                for a, angle in enumerate(ANGLES):
                    away = np.log1p(dx * np.cos(angle) + dy * np.sin(angle)) / np.log(1.03)
                    total += weights[a] * steps[a, ring + round(away)]
                best = max(best, (total, (dx * RINGS[ring], dy * RINGS[ring], RINGS[ring])))
    score, circle = best_circle(steps, rings, reach, weights)
    assert score == pytest.approx(best[0], abs=1e-5)
    assert circle == pytest.approx(best[1])


@pytest.mark.parametrize("rings", [np.arange(12), np.arange(115, 128), np.array([0, 127])])
def test_circles_at_the_innermost_and_the_outermost_ring(rings):
    """What lies beside the first and the last ring is like them."""
    steps = np.random.default_rng(8).normal(size=(len(ANGLES), len(RINGS)))
    wide = np.pad(steps, ((0, 0), (20, 20)), "edge")
    tried, weights = shifts(0.2), weights_of(0.5)
    scores = [
        wide[np.arange(len(ANGLES)), 20 + ring + wave] @ weights - price
        for ring in rings
        for wave, price in zip(tried.wave, tried.price, strict=True)
    ]
    ring, place = divmod(int(np.argmax(scores)), len(tried.dx))
    score, circle = best_circle(steps, rings, 0.2, weights)
    assert score == pytest.approx(max(scores), abs=1e-5)
    r = RINGS[rings[ring]]
    assert circle == pytest.approx((tried.dx[place] * r, tried.dy[place] * r, r))


@pytest.mark.parametrize("rays", [64, 1024])
def test_steps_along_rays_equal_a_plain_loop(rays):
    """Also where a part of the radii is asked for, and beside what lies outside of the image."""
    levels = np.random.default_rng(9).integers(0, 255, (40, rays)).astype(np.float32)
    levels[30:, 3] = np.nan
    for width, start, stop in ((4, 0, 40), (4, 2, 37), (7, 15, 25)):
        slow = np.zeros((40, rays))
        for j in range(width, 40 - width):
            slow[j] = levels[j : j + width].mean(axis=0) - levels[j - width : j].mean(axis=0)
        slow = np.nan_to_num(slow)
        np.testing.assert_allclose(
            step_along(levels, width, start, stop), slow[start:stop], atol=0.01
        )


def test_quantiles_are_numpys():
    rng = np.random.default_rng(4)
    for values in (rng.normal(size=(7, 9)), np.array([3.0]), rng.integers(0, 9, 12)):
        shares = (0.0, 0.02, 0.5, 0.8, 1.0)
        np.testing.assert_allclose(quantiles(values, shares), np.quantile(values, shares))
        back = shares[::-1]
        np.testing.assert_allclose(quantiles(values, back), np.quantile(values, back))


def test_the_circle_fit_is_that_of_a_solver():
    rng = np.random.default_rng(5)
    edge, w = 20 + rng.normal(size=len(ANGLES)), rng.random(len(ANGLES))
    normal = (DESIGN.T * w) @ DESIGN
    normal[[0, 1], [0, 1]] += 0.05 * w.sum()
    np.testing.assert_allclose(
        fitted(edge, w), np.linalg.solve(normal, (DESIGN.T * w) @ edge), rtol=1e-6
    )


def test_label_strip_is_cut_and_no_more_than_a_tenth():
    for image, _ in _eyes("plain")[:4]:
        cut = strip_rows(image)
        box = np.flatnonzero(
            (image[:, :3] == image[-1, 0]).all(axis=1)
        ).min()  # the label's box is of one level
        assert 480 - box <= cut <= 48
    assert strip_rows(_drawing()) == 11
    assert strip_rows(_drawing(240, 320, 150, 125, 55, 22)) == 6


@pytest.mark.parametrize("jpeg", [False, True])
@pytest.mark.parametrize(("ground", "ink"), [(16, 235), (0, 255), (255, 0), (90, 250)])
@pytest.mark.parametrize("left", [2, 520])
def test_boxes_of_any_ground_are_cut(ground, ink, left, jpeg):
    image = _drawing()
    image[452:, left : left + 110] = ground
    cv2.putText(
        image, "IG 0012 R", (left + 6, 474), cv2.FONT_HERSHEY_SIMPLEX, 0.55, ink, 1, cv2.LINE_AA
    )
    if jpeg:
        image = cv2.imdecode(cv2.imencode(".jpg", image, [1, 90])[1], cv2.IMREAD_GRAYSCALE)
    assert 28 <= strip_rows(image) <= 34


def test_letters_without_a_box_are_cut():
    image = _drawing()
    image[430:] = image[430:] // 3
    cv2.putText(image, "IG 0012 R", (9, 474), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 235, 2)
    assert 480 - 474 + 11 <= strip_rows(image) <= 30


def test_lashes_and_wet_skin_are_no_label():
    """Lashes down there cross as many edges as letters do: where edges alone count, all 40 are cut."""
    rng = np.random.default_rng(2)
    cut = 0
    for _ in range(40):
        image = _drawing().astype(np.float32)
        image += cv2.GaussianBlur(rng.normal(0, 60, image.shape), (0, 0), 9)
        lashes = np.zeros(image.shape, np.uint8)
        for x in rng.integers(0, 640, 90):
            lean, thick = int(rng.integers(-25, 25)), int(rng.integers(1, 4))
            cv2.line(lashes, (int(x), 425), (int(x) + lean, 480), 255, thick, cv2.LINE_AA)
        level = 40 + 240 * cv2.GaussianBlur(rng.normal(size=image.shape), (0, 0), 5)  # lit unevenly
        image += lashes / 255 * (np.clip(level, 5, 90) - image)
        image = cv2.GaussianBlur(image, (0, 0), 0.7) + rng.normal(0, 2, image.shape)
        cut += strip_rows(np.clip(image, 0, 255).astype(np.uint8)) > 11
    assert cut <= 6
