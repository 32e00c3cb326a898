"""What all images share is found, and what only looks alike is not."""

import cv2
import numpy as np
import pytest
from PIL import Image

from medpriv_lib.data.account import cautions
from medpriv_lib.data.choices import Cut
from medpriv_lib.data.common_marks import CommonMarks
from medpriv_lib.data.frame import Frame
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.prepare import prepare

WHOLE = Frame(0, 0, 256, False)


def _picture(rng, size=256):
    """Soft spots with some noise: no two are alike."""
    image = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), 12)
    image = 128 + 40 * image / image.std() + rng.normal(0, 3, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _labelled(image, text, x=20, y=40):
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 250, 1, cv2.LINE_AA)
    return image


def _marks(images, frame=WHOLE, rows=256):
    marks = CommonMarks()
    for image in images:
        marks.add(image, frame, rows)
    return marks.found()


def test_a_name_in_all_images_is_found_where_it_is():
    rng = np.random.default_rng(0)
    (mark,) = _marks([_labelled(_picture(rng), "ST. MARY") for _ in range(12)])
    assert mark.images == 12
    assert 20 <= mark.rows[0] < mark.rows[1] <= 45
    assert 15 <= mark.columns[0] < mark.columns[1] <= 140
    assert "rows" in str(mark)
    assert "of the 12 images of 256x256" in str(mark)


def test_what_differs_or_moves_is_not_common_but_what_stays_is():
    rng = np.random.default_rng(0)
    names = [f"{n:04d}" for n in rng.integers(0, 10000, 12)]
    places = rng.integers(10, 180, (12, 2))
    moved = [_labelled(_picture(rng), "0017", *map(int, place)) for place in places]
    assert _marks(moved) == []
    (mark,) = _marks([_labelled(_picture(rng), f"MARY {name}") for name in names])
    assert mark.columns[0] < 30


def test_pictures_without_marks_have_none_and_few_say_nothing():
    rng = np.random.default_rng(0)
    assert _marks([_picture(rng) for _ in range(12)]) == []
    assert _marks([_labelled(_picture(rng), "ST. MARY") for _ in range(7)]) == []


def test_what_is_cut_off_is_not_a_mark():
    rng = np.random.default_rng(0)
    images = [_labelled(_picture(rng), "ST. MARY") for _ in range(12)]
    assert _marks(images, Frame(0, 60, 196, False)) == []
    assert _marks([image[::-1].copy() for image in images], rows=200) == []


@pytest.mark.parametrize("text", ["", "WARD 7"])
def test_prepare_reports_burned_in_text(tmp_path, text):
    rng = np.random.default_rng(0)
    lines = ["file,patient,label"]
    for i in range(10):
        Image.fromarray(_labelled(_picture(rng), text)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,p{i % 3},{i % 2}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    _, report = prepare(read_manifest(tmp_path), Cut(64, False))
    assert len(report["common_marks"]) == bool(text)
    assert any("burned-in text" in caution for caution in cautions(report)) == bool(text)
    assert {one["rows_cut"] for one in report["per_image"]} == {0}
