"""One picture under two patients in other bytes: found by correlation, as by comparing all."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import medpriv_lib as mp
from medpriv_lib.data.account import cautions
from medpriv_lib.data.alike import LEAST, alike_pictures
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.synthetic.cohort import write_synthetic


def scene(seed, side=64):
    """Return a smooth picture with edges, (side, side) uint8."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(side, side)), side / 12)
    grey = 110 + 35 * smooth / smooth.std() + 25 * (smooth > 0)
    return np.clip(grey, 0, 255).astype(np.uint8)


def jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file))


CHANGES = {
    "jpeg": jpeg,
    "brighter": lambda image: (0.8 * image + 30).astype(np.uint8),
    "mirrored": lambda image: np.clip(image[:, ::-1].astype(int) + 9, 0, 255).astype(np.uint8),
    "rescaled": lambda image: cv2.resize(
        cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA), (128, 128)
    ),
    "barely reduced": lambda image: cv2.resize(image, (125, 125), interpolation=cv2.INTER_AREA),
    "reduced": lambda image: cv2.resize(image, (70, 70), interpolation=cv2.INTER_AREA),
}


def plain(images, patient):
    """Return the later rows of all pairs, each pair compared in full."""
    rows = set()
    for b in range(len(images)):
        for a in range(b):
            for one in (images[a], images[a][:, ::-1]):
                x, y = one.ravel().astype(float), images[b].ravel().astype(float)
                asked = patient[a] != patient[b] and x.std() and y.std()
                if asked and np.corrcoef(x, y)[0, 1] >= LEAST:
                    rows.add(b)
    return rows


@pytest.mark.parametrize("side", [8, 20, 37, 64])
@pytest.mark.parametrize("noise", [0.5, 1.5, 2.5])
def test_as_by_comparing_all(side, noise):
    rng = np.random.default_rng(side)
    images = np.stack([scene(seed % 6, side) for seed in range(24)]).astype(float)
    images = np.clip(images + rng.normal(0, noise, images.shape), 0, 255).astype(np.uint8)
    images[20:] = images[20:, :, ::-1]
    images[[3, 9]] = 0
    patient = rng.integers(0, 5, 24)
    pairs = alike_pictures(images, patient)
    assert {b for _, b in pairs} == plain(images, patient)
    assert all(a < b and patient[a] != patient[b] for a, b in pairs)
    if noise == 0.5:
        assert pairs


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_of_another_patient_is_warned_about(tmp_path, change):
    pictures = [scene(seed, 128) for seed in range(8)]
    pictures[5] = CHANGES[change](pictures[2])
    lines = ["file,patient,label"]
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,p{number % 4},{number % 2}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    _, report = prepare(read_manifest(tmp_path), Cut(32, False))
    assert report["alike_pictures"] == [("2.png", "5.png")]
    assert any("2.png and 5.png are one picture" in line for line in cautions(report))


@pytest.mark.parametrize("scale", [0.98, 0.9, 0.5])
def test_a_reduced_copy_of_an_eye_is_found_though_the_eye_is_cut_anew(tmp_path, scale):
    """The localiser sees other pixels in the copy, and its square lies elsewhere by a fraction."""
    folder = write_synthetic(tmp_path / "eyes", 3, 6, seed=4, workers=1)
    eyes = sorted(path for path in (folder / "images-NIR").rglob("*") if path.is_file())[:4]
    lines = ["file,patient,label"]
    for number, path in enumerate(eyes):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        lines.append(f"{number}.png,p{number},{number % 2}")
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "copy.png"), small)
    (tmp_path / "list.csv").write_text("\n".join([*lines, "copy.png,other,1"]))
    _, report = prepare(read_manifest(tmp_path / "list.csv"), progress=False)
    assert report["alike_pictures"] == [("3.png", "copy.png")]


def test_a_copy_of_the_same_patient_and_different_pictures_are_not(tmp_path):
    images = np.stack([scene(0), CHANGES["brighter"](scene(0)), scene(1), 255 - scene(0)])
    assert alike_pictures(images, np.array([0, 0, 1, 1])) == []
    colours = np.repeat(images[..., None], 3, axis=3)
    assert alike_pictures(colours, np.array([0, 1, 1, 1])) == [(0, 1)]


def test_no_two_patients_of_the_package_look_alike():
    cohort = mp.default_cohort()
    assert alike_pictures(cohort.images, cohort.patient) == []
