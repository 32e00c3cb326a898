"""Colours from the file to the release: prepare keeps them, and every simple method works on them."""

import numpy as np
import pytest
from PIL import Image

from medpriv_lib.cli import main
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.images import read_noted
from medpriv_lib.pipeline.privatize import privatize


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Twelve patients with two pictures each, whose red tells the patient and blue the label."""
    root = tmp_path_factory.mktemp("coloured")
    rng = np.random.default_rng(0)
    rows = ["file,patient,label"]
    for i in range(24):
        picture = rng.integers(60, 140, (40, 50, 3), dtype=np.uint8)
        picture[..., 0] += np.uint8(9 * (i // 2))
        picture[..., 2] += np.uint8(80 * (i // 2 % 2))
        Image.fromarray(picture).save(root / f"{i:02d}.png")
        rows.append(f"{i:02d}.png,p{i // 2:02d},{i // 2 % 2}")
    (root / "list.csv").write_text("\n".join(rows))
    command = ["prepare", str(root), "--kind", "manifest", "--no-localize", "--size", "32"]
    assert main([*command, "--colour", "--out", str(root / "c.npz")]) == 0
    assert main([*command, "--out", str(root / "g.npz")]) == 0
    return root


def test_prepare_keeps_colours(coloured):
    cohort = Cohort.load(coloured / "c.npz")
    assert cohort.images.shape == (24, 32, 32, 3)
    means = cohort.images.mean(axis=(1, 2))
    assert (means[cohort.diseased, 2] > means[~cohort.diseased, 2].max()).all()
    grey = Cohort.load(coloured / "g.npz").images
    assert np.abs(cohort.images @ (0.299, 0.587, 0.114) - grey).max() <= 2


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_other_kinds_of_file_become_colour(tmp_path, mode):
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).convert(mode)
    picture.save(tmp_path / "a.png")
    colour, _ = read_noted(tmp_path / "a.png", colour=True)
    twin = np.asarray(picture.convert("RGBA"))[..., :3]
    np.testing.assert_array_equal(colour, twin)


@pytest.mark.parametrize(
    ("method", "settings"),
    [("blur", {"kernel": 9}), ("k-same-select", {"k": 3})],
)
@pytest.mark.parametrize("size", [32, 128])
def test_methods_without_networks_release_colours(coloured, method, settings, size):
    cohort = Cohort.load(coloured / "c.npz")
    if size != 32:
        images = np.repeat(np.repeat(cohort.images, size // 32, axis=1), size // 32, axis=2)
        cohort = Cohort(
            images, cohort.patient, cohort.eye, cohort.diseased, cohort.split, cohort.patient_names
        )
    release = privatize(cohort, method, gallery=cohort, **settings)
    assert release.images.shape[1:] == (size, size, 3)
    sick = cohort.diseased[release.source]
    blue = release.images[..., 2].mean(axis=(1, 2))
    assert blue[sick].min() > blue[~sick].max()
