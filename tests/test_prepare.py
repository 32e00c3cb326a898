"""Preparation: splits, crops, truth, reports."""

import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from medpriv_lib.data.choices import Care, Cut, Split
from medpriv_lib.data.eyes.eye import Eye
from medpriv_lib.data.frame import EMPTY, Frame, frame_of_eye
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.split import split_groups, split_images, split_sizes
from medpriv_lib.data.synthetic.cohort import write_synthetic
from medpriv_lib.data.warsaw import read_warsaw


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    root = write_synthetic(
        tmp_path_factory.mktemp("synthetic") / "set", patients=3, images=14, seed=5, workers=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        listing = read_warsaw(root)
    return listing, *prepare(listing, workers=1)


def _manifest(folder, n=12, people=4, size=(50, 40), label=lambda i: i % 2):
    rng = np.random.default_rng(0)
    rows = ["file,patient,label,eye"]
    for i in range(n):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,p{i % people},{label(i)},{'LR'[i % 2]}")
    (folder / "m.csv").write_text("\n".join(rows))
    return read_manifest(folder)


def test_default_sizes_are_1167_269_359():
    assert split_sizes(1795) == {"train": 1167, "val": 269, "test": 359}
    rng = np.random.default_rng(1)
    patient = np.sort(rng.integers(0, 115, 1795))
    diseased = rng.random(1795) < 0.24
    split = split_images(patient, diseased, np.random.default_rng(2))
    assert {s: int((split == s).sum()) for s in ("train", "val", "test")} == split_sizes(1795)
    for person in range(115):
        rows = patient == person
        assert (
            abs((split[rows] == "train").sum() - 0.65 * rows.sum()) <= 2
        )  # one or two per stratum
    for s in (
        "train",
        "val",
        "test",
    ):  # a stratum's share is off by under one image, so the sum hardly moves
        assert abs(diseased[split == s].mean() - diseased.mean()) < 0.03


@pytest.mark.parametrize("n", [3, 5, 10, 41, 200])
def test_every_patient_with_two_images_trains(n):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        patient = np.sort(np.arange(n) // 2 % max(1, n // 2))
        split = split_images(patient, rng.random(n) < 0.5, rng)
        many = np.flatnonzero(np.bincount(patient) >= 2)
        if split_sizes(n)["train"] >= len(many):
            assert set(many) <= set(patient[split == "train"])
        assert {s: int((split == s).sum()) for s in ("train", "val", "test")} == split_sizes(n)


def test_groups_stay_together_in_near_proportions():
    rng = np.random.default_rng(4)
    group = np.sort(rng.integers(0, 60, 900))
    diseased = (rng.random(60) < 0.3)[group]
    split = split_groups(group, diseased, rng)
    assert all(len(set(split[group == g])) == 1 for g in range(60))
    for s, share in (("train", 0.65), ("val", 0.15), ("test", 0.20)):
        assert abs((split == s).mean() - share) < 0.03  # one group is 1/60 of the images
        assert abs(diseased[split == s].mean() - diseased.mean()) < 0.1
    with pytest.raises(ValueError, match="cannot fill three splits"):
        split_groups(np.array([0, 1, 1]), np.zeros(3, bool), rng)
    assert set(split_groups(np.arange(3), np.array([True, False, False]), rng)) == {
        "train",
        "val",
        "test",
    }


def test_frame_cut_equals_a_plain_mean_and_mirrors():
    image = np.random.default_rng(0).integers(0, 256, (100, 120), dtype=np.uint8)
    small = Frame(10, 20, 64, False).cut(image, 16)
    plain = image[20:84, 10:74].reshape(16, 4, 16, 4).mean(axis=(1, 3))
    assert np.abs(small - plain).max() <= 0.5 + 1e-6
    assert np.array_equal(Frame(10, 20, 64, True).cut(image, 16), small[:, ::-1])
    outside = Frame(-8, 60, 64, False).cut(image, 16, EMPTY)  # 8 columns and 24 rows are not there
    inside = image[60:100, :56].reshape(10, 4, 14, 4).mean(axis=(1, 3))
    assert np.abs(outside[:10, 2:] - inside).max() <= 0.5 + 1e-6
    assert not outside[:, :2].any()
    assert not outside[10:].any()
    assert frame_of_eye(Eye(0, 0, 1, 99.5, 79.5, 50), False) == Frame(30, 10, 140, False)


def test_same_seed_same_split_and_bad_arguments(tmp_path):
    listing = _manifest(tmp_path)
    first, report = prepare(listing, Cut(16, False), Split(seed=3))
    again, _ = prepare(listing, Cut(16, False), Split(seed=3), workers=3)
    assert first.hash() == again.hash()
    assert first.images.shape == (12, 16, 16)
    assert report["splits"] == split_sizes(12)
    assert report["found_rate"] is None
    assert any(
        (first.split != prepare(listing, Cut(16, False), Split(seed=s))[0].split).any()
        for s in range(3)
    )
    with pytest.raises(ValueError, match="size is 4"):
        Cut(4)
    with pytest.raises(ValueError, match="split_by is 'person'"):
        Split("person")
    eyes, _ = prepare(listing, Cut(16, False), Split("eye"))
    assert all(
        len(set(eyes.split[(eyes.patient == p) & (eyes.eye == e)])) <= 1
        for p in range(4)
        for e in "LR"
    )


def test_right_eyes_are_mirrored_and_small_images_enlarged(tmp_path):
    listing = _manifest(tmp_path, size=(10, 10))
    cohort, _ = prepare(listing, Cut(16, False))
    for row, file in enumerate(listing.files):
        plain = cv2.resize(np.array(Image.open(file)), (16, 16), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(
            cohort.images[row], plain[:, ::-1] if cohort.eye[row] == "R" else plain
        )


def test_patient_with_one_image_trains_or_is_reported(tmp_path):
    cohort, report = prepare(_manifest(tmp_path, n=9, people=8), Cut(16, False))
    assert len(report["patients_with_one_image"]) == 7
    assert "train" in cohort.split[cohort.patient == 0]


def test_corrupt_image_stops_preparation_naming_it(tmp_path):
    listing = _manifest(tmp_path)
    (tmp_path / "7.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"7\.png: zero-byte file"):
        prepare(listing, Cut(16, False))


def test_no_eye_anywhere_is_an_error_with_the_remedy(tmp_path):
    listing = _manifest(tmp_path)
    for file in listing.files:
        Image.new("L", (64, 64), 9).save(file)
    with pytest.raises(ValueError, match="--no-localize"):
        prepare(listing)


def test_synthetic_truth_goes_through_the_same_cut(synthetic):
    listing, cohort, report = synthetic
    assert report["found_rate"] == 1
    assert report["error_px"]["iris_centre"]["median"] <= 2
    assert np.array_equal(cohort.twin[~cohort.diseased], cohort.images[~cohort.diseased])
    assert not cohort.evidence[~cohort.diseased].any()
    sick = np.flatnonzero(cohort.diseased)
    assert len(sick)
    for row in sick:
        away = np.abs(cohort.twin[row].astype(int) - cohort.images[row])
        shown = cohort.evidence[row]
        if shown.any():  # evidence differs by 8 or more on half of each px; noise averages out
            assert away[shown].mean() > 3
        assert away[~shown].mean() < 3
    # the iris is in the middle and spans 1/1.4 of the frame: darker than the sclera beside it
    for image in cohort.images:
        assert np.median(image[24:40, 13:20]) < np.median(image[28:44, [0, 1, 62, 63]]) + 5


def test_the_report_says_what_was_done_to_each_image(synthetic):
    listing, cohort, report = synthetic
    assert [one["file"] for one in report["per_image"]] == [
        listing.name_of(row) for row in range(len(listing))
    ]
    for one in report["per_image"]:
        assert one["rows_cut"] == 28  # the label's box
        assert 0 <= one["share_filled"] < 0.3
        assert one["score"] > 0.17
    assert (report["left_out"], report["lost"], report["kept_rate"]) == ([], 0, 1.0)
    assert report["common_marks"] == report["odd_size"] == []


def test_an_eye_of_an_odd_size_is_looked_at_again(tmp_path):
    """In one of five images of a person a dark ring with a spot is twice as round as the eye."""
    lines = ["file,patient,label,eye"]
    for i in range(5):
        image = np.full((240, 320), 190, np.float32)
        cv2.circle(image, (160, 120), 72, 120, -1, cv2.LINE_AA)
        cv2.circle(image, (160, 120), 30, 20, -1, cv2.LINE_AA)
        if i == 3:  # a bright spot in the pupil: pupil and spot look like iris and pupil
            image[image > 150] = 130
            cv2.circle(image, (160, 120), 11, 4, -1, cv2.LINE_AA)
            cv2.circle(image, (160, 120), 30, 60, 3, cv2.LINE_AA)
        image += np.random.default_rng(i).normal(0, 2, image.shape)
        image = np.clip(cv2.GaussianBlur(image, (0, 0), 1.2), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,a,0,L")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    _, report = prepare(read_manifest(tmp_path), care=Care(0))
    radii = {one["file"]: one["iris_r"] for one in report["per_image"] if one["file"] != "3.png"}
    assert all(abs(radius - 72) < 4 for radius in radii.values())
    for one in report["per_image"]:
        odd = one["file"] in report["odd_size"]
        assert odd or abs(one["iris_r"] - 72) < 0.25 * 72
