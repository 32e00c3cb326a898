"""The synthetic eye and its cohort: truth that is true, signs where they belong, statistics within
cited ranges."""

import csv
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from medpriv_lib.data import synthetic
from medpriv_lib.data.synthetic import Capture, Difficulty, Hole, Identity, Pathology, Wedge
from medpriv_lib.data.synthetic import cohort as synthetic_cohort
from medpriv_lib.data.synthetic.scene import Scene

SILENT = Capture(
    read_noise=0.0, shot_noise=0.0
)  # without noise an image is its clean self, rounded


@pytest.fixture(scope="module")
def identity():
    # wide open, so that the signs at 12 o'clock are seen
    return replace(Identity.draw(np.random.default_rng(5)), upper_lid=6.2, lower_lid=6.3)


def files_of(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_default_plan_has_the_counts_of_the_paper():
    items = synthetic.plan()
    assert len(items) == 1795
    assert sum(item.glaucoma for item in items) == 425
    assert len({item.patient for item in items}) == 115
    eyes = Counter((item.patient, item.eye) for item in items)
    assert len(eyes) == 230
    assert min(eyes.values()) >= 3
    sick = {}
    for item in items:
        sick.setdefault(item.patient, {})[item.eye] = item.glaucoma
    one_sided = sum(both["L"] != both["R"] for both in sick.values())
    assert 3 <= one_sided <= 15
    assert len({item.stem for item in items}) == 1795
    assert synthetic.plan() == items
    assert synthetic.plan(seed=1) != items


@pytest.mark.parametrize(("patients", "images"), [(2, 4), (3, 7), (5, 31), (10, 400)])
def test_small_plans_keep_their_promises(patients, images):
    items = synthetic.plan(patients, images, seed=3)
    assert len(items) == images
    assert {(i.patient, i.eye) for i in items} == {
        (p, e) for p in range(1, patients + 1) for e in "LR"
    }
    assert 0 < sum(i.glaucoma for i in items) < images


@pytest.mark.parametrize(("patients", "images"), [(1, 10), (5, 9), (0, 0), (10000, 40000)])
def test_impossible_plans_are_refused(patients, images):
    with pytest.raises(ValueError, match="take 2 to 9999 patients"):
        synthetic.plan(patients, images)


def test_same_seed_same_image_and_other_noise_other_image(identity):
    sick = Pathology.draw(np.random.default_rng(1), True)
    again = Pathology.draw(np.random.default_rng(1), True)
    assert sick == again
    capture = Capture.draw(np.random.default_rng(2))
    first = synthetic.render(identity, sick, capture)
    assert first.shape == (480, 640)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(
        first, synthetic.render(identity, again, Capture.draw(np.random.default_rng(2)))
    )
    other = synthetic.render(identity, sick, replace(capture, noise_seed=capture.noise_seed + 1))
    difference = other.astype(float) - first
    assert 0.5 < difference.std() < 15  # noise only
    assert abs(difference.mean()) < 0.1


def test_layout_workers_and_resumption(tmp_path):
    """One process and two write the same bytes; a folder cut short is completed to the same
    bytes."""
    one = synthetic.write_synthetic(tmp_path / "one", 3, 7, seed=9, workers=1)
    two = synthetic.write_synthetic(tmp_path / "two", 3, 7, seed=9, workers=2)
    written = files_of(one)
    assert written == files_of(two)

    table = list(
        csv.reader((one / "medical-description-v2-1.csv").read_text().splitlines(), delimiter=";")
    )
    assert [row[0] for row in table[1:]] == ["1", "2", "3"]
    items = synthetic.plan(3, 7, seed=9)
    for item in items:
        path = one / "images-NIR" / item.folder / f"{item.stem}.bmp"
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (480, 640)
        named = table[item.patient]["?LR".index(item.eye)].split(", ")
        assert any(name in ("glaucoma", "secondary glaucoma") for name in named) == item.glaucoma
        assert (one / "truth" / f"{item.stem}_twin.png").is_file() == item.glaucoma
        assert (one / "truth" / f"{item.stem}_mask.png").is_file() == item.glaucoma
    geometry = list(csv.DictReader((one / "truth" / "geometry.csv").read_text().splitlines()))
    assert [row["file"] for row in geometry] == [f"{item.stem}.bmp" for item in items]

    # as after a kill: some images and all closing files are missing
    for item in items[2:5]:
        (two / "images-NIR" / item.folder / f"{item.stem}.bmp").unlink()
    (two / "images-NIR" / items[2].folder / f".{items[2].stem}-abc.bmp").write_bytes(
        b"half an image"
    )
    (two / "medical-description-v2-1.csv").unlink()
    (two / "truth" / "geometry.csv").unlink()
    synthetic.write_synthetic(two, 3, 7, seed=9, workers=1)
    assert files_of(two) == written

    with pytest.raises(ValueError, match="other parameters"):
        synthetic.write_synthetic(two, 3, 7, seed=10, workers=1)
    assert files_of(two) == written


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="not empty"):
        synthetic.write_synthetic(tmp_path, 2, 4, workers=1)
    with pytest.raises(ValueError, match="suffix"):
        synthetic.write_synthetic(tmp_path / "new", 2, 4, suffix=".jpg")
    assert files_of(tmp_path) == {"letter.txt": b"dear"}


def test_written_image_is_what_render_gives(tmp_path):
    synthetic.write_synthetic(tmp_path, 2, 4, seed=2, workers=1, suffix=".png")
    item = next(i for i in synthetic.plan(2, 4, seed=2) if i.glaucoma)
    left, right = synthetic.person(item.patient, 2)
    pathology, capture = synthetic.findings(item, 2), synthetic.conditions(item, 2)
    eye, label = (left if item.eye == "L" else right), f"IG {item.patient:04d} {item.eye}"
    image = cv2.imread(str(tmp_path / "images-NIR" / item.folder / f"{item.stem}.png"), 0)
    np.testing.assert_array_equal(image, synthetic.render(eye, pathology, capture, label))
    healthy = cv2.imread(str(tmp_path / "truth" / f"{item.stem}_twin.png"), 0)
    np.testing.assert_array_equal(healthy, synthetic.twin(eye, pathology, capture, label=label))
    mask = cv2.imread(str(tmp_path / "truth" / f"{item.stem}_mask.png"), 0)
    assert set(np.unique(mask)) <= {0, 255}


def test_a_healthy_eye_is_its_own_twin(identity):
    pathology = Pathology(cataract=0.8, pterygium=2.0, lens=0.5)
    result = synthetic.render_with_truth(identity, pathology, SILENT)
    np.testing.assert_array_equal(result.image, result.twin)
    assert not result.evidence.any()
    np.testing.assert_array_equal(result.image, synthetic.twin(identity, pathology, SILENT))


def test_evidence_is_the_difference_to_the_twin(identity):
    """Slow twin of the mask: without noise both images are known to half a level, so only a
    difference of 8 is open."""
    for seed in range(4):
        pathology = Pathology.draw(np.random.default_rng(seed), True)
        result = synthetic.render_with_truth(identity, pathology, SILENT)
        difference = np.abs(result.image.astype(int) - result.twin)
        assert result.evidence[difference >= 9].all()
        assert not result.evidence[difference <= 7].any()


def test_twin_keeps_pupil_size_and_can_be_another_person(identity):
    pathology = Pathology(glaucoma=True, mid_dilation=1.0, haze=0.2, ovality=0.1)
    healthy = pathology.without_glaucoma()
    assert synthetic.locate(identity, pathology, SILENT) == synthetic.locate(
        identity, healthy, SILENT
    )
    assert synthetic.pupil_ratio(SILENT, pathology) == pytest.approx(0.56)
    other = Identity.draw(np.random.default_rng(77))
    swapped = synthetic.twin(identity, pathology, SILENT, other=other)
    assert np.abs(swapped.astype(int) - synthetic.render(identity, pathology, SILENT)).mean() > 5
    ours, theirs = (
        synthetic.locate(identity, pathology, SILENT),
        synthetic.locate(other, pathology, SILENT),
    )
    assert (ours.iris_x, ours.iris_y) == (theirs.iris_x, theirs.iris_y)


def polar(eye):
    v, u = np.mgrid[:480, :640]
    return np.hypot(u - eye.iris_x, v - eye.iris_y) / eye.iris_r, np.arctan2(
        v - eye.iris_y, u - eye.iris_x
    )


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("hole", {"holes": (Hole(12.0, 0.6, 0.6),)}),
        ("wedge", {"wedge": Wedge(12.0, 2.4, 0.8)}),
        ("ovality", {"ovality": 0.12}),
        ("haze", {"haze": 0.3}),
        ("flush", {"flush": 1.0}),
    ],
)
def test_each_sign_changes_the_image_in_its_place(identity, name, sign):
    result = synthetic.render_with_truth(identity, Pathology(glaucoma=True, **sign), SILENT)
    radius, angle = polar(result.eye)
    ratio = result.eye.pupil_ratio
    where = result.evidence
    assert where.sum() > 60
    top = np.abs(np.degrees(angle) + 90) < 30  # 11 to 1 o'clock
    allowed = {
        "hole": top & (radius > ratio) & (radius < 1.0),
        "wedge": top & (radius > ratio - 0.05) & (radius < 1.15),
        "ovality": np.abs(radius - ratio)
        < 0.22 * ratio + 0.6 * (1 - ratio),  # the iris stretches along
        "haze": radius < 1.15,
        "flush": radius > 0.85,
    }[name]
    assert (where & allowed).sum() >= 0.98 * where.sum()


def test_no_sign_no_difference_and_distractors_are_no_evidence(identity):
    result = synthetic.render_with_truth(
        identity, Pathology(glaucoma=True, cataract=1.0, mid_dilation=1.0), SILENT
    )
    assert not result.evidence.any()
    plain = synthetic.render(identity, Pathology(), SILENT).astype(int)
    for distractor in ({"cataract": 1.0}, {"pterygium": 2.0}, {"lens": 1.0}):
        changed = np.abs(synthetic.render(identity, Pathology(**distractor), SILENT) - plain) >= 8
        assert changed.sum() > 100, distractor


def test_true_geometry_is_where_the_dark_pupil_is():
    """Centre of mass and area of the dark disc against the table, in both eyes; the pupil is clear
    of the lids."""
    left = replace(Identity.draw(np.random.default_rng(3)), upper_lid=6.0, lower_lid=6.3)
    for k, identity in enumerate((left, left.fellow())):
        capture = replace(SILENT, shift_x=20.0 - 50 * k, gaze_x=6.0, rotation=7.0, pupil_ratio=0.42)
        eye = synthetic.locate(identity, Pathology(), capture)
        image = synthetic.render(identity, Pathology(), capture)
        v, u = np.mgrid[:480, :640]
        disc = np.hypot(u - eye.pupil_x, v - eye.pupil_y) < 1.25 * eye.pupil_r
        dark = ((image < 40) & disc).astype(np.uint8)
        dark = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8)) > 0
        assert u[dark].mean() == pytest.approx(eye.pupil_x, abs=1.5)
        assert v[dark].mean() == pytest.approx(eye.pupil_y, abs=1.5)
        assert np.sqrt(dark.sum() / np.pi) == pytest.approx(eye.pupil_r, rel=0.05)


def test_right_eye_is_a_mirror_and_fellow_has_its_own_iris(identity):
    right = replace(identity, eye="R")
    mirrored = synthetic.render(identity, Pathology(), SILENT)[:, ::-1]
    np.testing.assert_array_equal(synthetic.render(right, Pathology(), SILENT), mirrored)
    fellow = identity.fellow()
    assert fellow.eye == "R"
    assert fellow.iris_seed != identity.iris_seed
    assert replace(fellow, eye="L", iris_seed=identity.iris_seed) == identity


def test_label_strip_is_in_the_lower_corner_only(identity):
    plain = synthetic.render(identity, Pathology(), SILENT)
    labelled = synthetic.render(identity, Pathology(), SILENT, "IG 0007 L")
    rows, columns = np.nonzero(plain != labelled)
    assert len(rows) > 500
    assert rows.min() >= 440
    assert columns.max() < 160


def test_rubber_sheet_keeps_the_texture_under_dilation(identity):
    """The same normalised ring of the iris looks alike in a narrow and a wide pupil (Daugman
    2004)."""
    rings = []
    for ratio in (0.3, 0.5):
        capture = replace(SILENT, pupil_ratio=ratio, glints=())
        eye = synthetic.locate(identity, Pathology(), capture)
        image = synthetic.render(identity, Pathology(), capture).astype(np.float32)
        theta = np.linspace(0.1, np.pi - 0.1, 300)  # the lower half: no lashes
        rows = []
        for depth in np.linspace(0.35, 0.75, 12):
            r = eye.pupil_r + depth * (eye.iris_r - eye.pupil_r)
            x, y = (
                np.float32(eye.iris_x + r * np.cos(theta)),
                np.float32(eye.iris_y + r * np.sin(theta)),
            )
            rows.append(cv2.remap(image, x[None], y[None], cv2.INTER_LINEAR)[0])
        ring = np.array(rows)
        rings.append((ring - ring.mean(1, keepdims=True)).ravel())
    assert np.corrcoef(rings)[0, 1] > 0.8


def test_drawn_captures_lie_in_the_cited_ranges():
    """n = 300: every pupil ratio in .2-.7 and iris width of at least 200 px but for the farthest
    (Daugman 2004: 140);

    the upper lid covers on average 0 to 2.5 mm of the iris (normal position 1-2 mm, here eyes are
    opened well)."""
    rng = np.random.default_rng(0)
    ratios, widths, cover = [], [], []
    for k in range(300):
        identity, capture = Identity.draw(rng), Capture.draw(rng)
        eye = synthetic.locate(identity, Pathology.draw(rng, k % 2 == 0), capture)
        ratios.append(eye.pupil_ratio)
        widths.append(2 * eye.iris_r)
        if k < 60:
            scene = Scene(identity, capture)
            column = int(np.clip(round(scene.iris_x), 0, 639))
            row = int(np.clip(round(scene.iris_y), 0, 479))
            cover.append(identity.iris_radius - scene.below_upper[row, column])
        assert 0 < eye.iris_x < 640
        assert 0 < eye.iris_y < 480
    assert min(ratios) >= 0.2
    assert max(ratios) <= 0.7
    assert np.mean(np.array(widths) >= 200) > 0.97
    assert max(widths) < 340
    assert 0 < np.mean(cover) < 2.5
    assert np.mean(np.array(cover) < 5.85) > 0.98  # the lid hardly ever reaches the pupil's centre


def spectral_slope(image):
    """Slope of log power over log frequency, radially averaged, Hann window, 4 to 80 cycles a
    picture."""
    side = 480
    window = np.hanning(side)
    patch = image[:, 80:560].astype(float)
    patch = (patch - patch.mean()) * window[:, None] * window[None]
    power = np.abs(np.fft.fftshift(np.fft.fft2(patch))) ** 2
    v, u = np.mgrid[:side, :side] - side // 2
    frequency = np.hypot(u, v).round().astype(int)
    radial = np.bincount(frequency.ravel(), power.ravel()) / np.bincount(frequency.ravel())
    band = np.arange(4, 80)
    return np.polyfit(np.log(band), np.log(radial[band]), 1)[0]


def test_spectrum_falls_as_a_straight_line_as_that_of_eye_pictures():
    """Power falls as 1/f^2 in natural scenes (Field 1987, J. Opt. Soc. Am. A 4:2379) and up to
    1/f^3 in single ones

    (Tolhurst, Tadmor, Chao 1992, Ophthalmic Physiol. Opt. 12:229). Close-ups of eyes are at that
    steep end: three near-infrared eyes of a GAN trained on real ones gave -2.98, -3.02 and -3.17 by
    this very function, so the mean of n = 6 eyes in fair focus must lie within .5 of -3.05."""
    rng = np.random.default_rng(4)
    slopes = []
    for _ in range(6):
        image = synthetic.render(
            Identity.draw(rng), Pathology(), replace(Capture.draw(rng), focus=0.9)
        )
        slopes.append(spectral_slope(image))
        assert -3.7 < slopes[-1] < -2.3
    assert np.mean(slopes) == pytest.approx(-3.05, abs=0.5)


def test_every_knob_of_difficulty_acts_in_its_direction():
    def people(d):
        rng = np.random.default_rng(0)
        return [Identity.draw(rng, d) for _ in range(60)]

    def captures(d):
        rng = np.random.default_rng(0)
        return [Capture.draw(rng, d) for _ in range(60)]

    def sick(d):
        return [Pathology.draw(np.random.default_rng(k), True, d) for k in range(200)]

    low, high = Difficulty(person_spread=0.3), Difficulty(person_spread=1.0)
    assert np.std([p.iris_level for p in people(low)]) < 0.5 * np.std(
        [p.iris_level for p in people(high)]
    )
    low, high = Difficulty(capture_spread=0.5), Difficulty(capture_spread=1.5)
    assert np.std([c.gaze_x for c in captures(low)]) < 0.6 * np.std(
        [c.gaze_x for c in captures(high)]
    )
    loud, plain = (
        np.mean([c.read_noise for c in captures(Difficulty(noise=n))]) for n in (2.0, 1.0)
    )
    assert loud > 1.5 * plain
    levels = [
        np.mean([p.haze for p in sick(Difficulty(sign_strength=s))]) for s in (0.25, 0.5, 1.0)
    ]
    assert levels[0] < levels[1] < levels[2]
    shares = [np.mean([p.haze for p in sick(Difficulty(weak_share=s))]) for s in (0.0, 0.5, 1.0)]
    assert shares[0] > shares[1] > shares[2]
    counts = [
        sum(p.cataract > 0 for p in sick(Difficulty(distractor_share=s))) for s in (0.0, 0.2, 0.6)
    ]
    assert counts[0] == 0 < counts[1] < counts[2]
    first = people(Difficulty())[0]
    flat, rich = (
        synthetic.render(replace(first, texture_contrast=t), Pathology(), SILENT)
        for t in (0.2, 2.0)
    )
    assert cv2.Laplacian(flat, cv2.CV_32F).std() < cv2.Laplacian(rich, cv2.CV_32F).std()
    with pytest.raises(ValueError, match="weak_share"):
        Difficulty(weak_share=1.2)
    assert synthetic_cohort.person(3, 1, Difficulty()) != synthetic_cohort.person(
        3, 1, Difficulty(person_spread=0.5)
    )


@pytest.mark.parametrize(
    "part",
    [
        {"irregularity": 0.15},
        {"spectacles": synthetic.Spectacles()},
        {"make_up": 0.8},
        {"glints": synthetic.ring(8)},
        {"glints": synthetic.bar(6)},
    ],
)
def test_optional_parts_change_the_picture_and_not_the_truth(part):
    identity, capture = synthetic.Identity.draw(np.random.default_rng(1)), synthetic.Capture()
    plain = synthetic.render_with_truth(identity, synthetic.Pathology(), capture)
    other = synthetic.render_with_truth(identity, synthetic.Pathology(), replace(capture, **part))
    assert other.eye == plain.eye
    changed = np.abs(other.image.astype(int) - plain.image) > 12
    assert 0.0005 < changed.mean() < 0.6
    off = replace(capture, irregularity=0.0, spectacles=None, make_up=0.0)
    again = synthetic.render(identity, synthetic.Pathology(), off)
    assert np.array_equal(again, plain.image)
