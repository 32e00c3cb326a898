"""What `medpriv explain` refuses before any work: to overwrite a page, and to read what may be no
eye."""

import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from small_cohorts import cohort_of

from medpriv_lib.cli import main
from medpriv_lib.data.eyes.examine import examine
from medpriv_lib.data.eyes.localize import MIN_SCORE, locate, locate_scored
from medpriv_lib.data.eyes.strip import strip_rows
from medpriv_lib.data.images import read_grey
from medpriv_lib.data.synthetic import Capture, Identity, Pathology, render_with_truth
from medpriv_lib.pipeline.explain import read_case


def noise(number, width=320, height=240):
    """White noise, and noise of wider and wider spots."""
    spread = (0, 1, 2, 4, 8, 16, 25, 40)[number % 8]
    image = np.random.default_rng(number).normal(size=(height, width))
    image = cv2.GaussianBlur(image, (0, 0), spread) if spread else image
    return (255 * (image - image.min()) / (image.max() - image.min())).astype(np.uint8)


@cache
def eyes(n=6):
    rng = np.random.default_rng(5)
    return [
        render_with_truth(
            Identity.draw(rng), Pathology.draw(rng, glaucoma=i % 3 == 0), Capture.draw(rng)
        ).image
        for i in range(n)
    ]


@pytest.fixture
def run(tmp_path, capsys):
    """Run explain on an array; return the status and what it says on stderr."""
    cohort_of(np.zeros((4, 32, 32)), diseased=[True, False] * 2).save(tmp_path / "cohort.npz")

    def run(image, *more):
        Image.fromarray(image).save(tmp_path / "case.png")
        status = main(
            [
                "explain",
                str(tmp_path / "case.png"),
                "--method",
                "blur",
                "--cohort",
                str(tmp_path / "cohort.npz"),
                "--weights",
                str(tmp_path / "none"),
                "--out",
                str(tmp_path / "why.html"),
                *more,
            ]
        )
        return status, capsys.readouterr().err

    return run


def test_an_existing_page_is_not_overwritten_without_force(run, tmp_path):
    (tmp_path / "why.html").write_text("before")
    status, error = run(noise(0), "--no-localize")
    assert status == 2
    assert (
        "why.html holds something already; name a new file, or overwrite it with --force" in error
    )
    assert (tmp_path / "why.html").read_text() == "before"
    status, error = run(
        noise(0), "--no-localize", "--force"
    )  # goes on, to the weights that are not there
    assert status == 2
    assert "holds something already" not in error
    assert (tmp_path / "why.html").read_text() == "before"


@pytest.mark.parametrize("number", [0, 1, 3, 4])
def test_noise_is_refused_with_the_remedy(run, tmp_path, number):
    status, error = run(noise(number))
    assert status == 2
    assert "case.png: " in error
    assert "no eye was found" in error or "may be no eye" in error
    assert "use --no-localize" in error
    assert not (tmp_path / "why.html").exists()
    assert (
        "use --no-localize" not in run(noise(number), "--no-localize")[1]
    )  # refused for its weights only


def test_the_roundest_thing_in_noise_is_found_and_would_be_read():
    # n = 8; without the refusal those found would be cut out and diagnosed. The score is no proof:
    # one of the eight (spots 25 px wide) has a round enough one, and the bound leaves room for it
    scores = [locate_scored(noise(number))[1] for number in range(8)]
    assert sum(score > MIN_SCORE for score in scores) >= 4
    assert sum(examine(noise(number)).sure for number in range(8)) <= 1


def test_synthetic_eyes_are_read_as_before(tmp_path):
    for number, image in enumerate(eyes()):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        assert examine(image[: len(image) - strip_rows(image)]).sure
        assert read_case(tmp_path / f"{number}.png", 32).shape == (32, 32)


def test_the_score_goes_with_what_is_found():
    for image in (*eyes(2), noise(1), np.full((64, 64), 90, np.uint8)):
        eye, score = locate_scored(image)
        assert eye == locate(image)
        assert (eye is None) == (score <= MIN_SCORE)


def test_chest_radiographs_are_refused():
    folder = os.environ.get("MEDPRIV_TEST_IMAGES")
    if not folder or not os.path.isdir(folder):
        pytest.skip("MEDPRIV_TEST_IMAGES names no folder of images")
    files = sorted(
        file for file in Path(folder).rglob("*") if file.suffix.lower() in (".png", ".jpg")
    )[::12]
    assert files
    for file in files:
        with pytest.raises(ValueError, match="use --no-localize"):
            read_case(file, 32)
        assert not examine(read_grey(file)).sure
        assert read_case(file, 32, localize=False).shape == (32, 32)
