"""Whether two patients are one person: spellings, pictures under two names, and what prepare says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medpriv_lib.data.account import cautions
from medpriv_lib.data.choices import Care, Cut
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.people import DoubledPeople, is_nobody, key_of, shared_pictures, spellings
from medpriv_lib.data.prepare import prepare

REPORTED = Care(doubles="report", keep_single=True)


@pytest.mark.parametrize(
    "group",
    [
        ("0017", "17", "17.0", " 17", "17,00", "\uff11\uff17"),
        ("P001", "p001", "P1", "P 001", "\uff30001"),
        ("Jos\u00e9", "Jose\u0301", "JOS\u00c9", "jos\u00e9\u200b"),
        ("Stra\u00dfe", "STRASSE"),
        ("\ufb01ne", "fine"),
        ("Garcia", "Garc\u00eda", "GARCI\u0301A"),
        ("Soren \u0141uk", "S\u00f8ren Luk"),
        ("Smith, John", "John Smith", "SMITH^JOHN", "smith,john"),
        ("ANNA PETRO", "\u0410NN\u0410 PETRO", "\u0391NNA \u03a1ETRO"),
    ],
)
def test_spellings_of_one_name_have_one_key(group):
    assert len({key_of(name) for name in group}) == 1
    assert spellings(np.array(group)) == [tuple(sorted(group))]


@pytest.mark.parametrize(
    "pair",
    [
        ("17", "170"),
        ("1.5", "1.05"),
        ("p1", "p10"),
        ("Li", "Lu"),
        ("\u0410\u043d\u043d\u0430", "\u0410\u043b\u043b\u0430"),
        ("12 3", "1 23"),
        ("Smith, John", "Smith, Joan"),
        ("1,5", "5 1"),
        ("0", "10"),
    ],
)
def test_different_names_keep_different_keys(pair):
    assert key_of(pair[0]) != key_of(pair[1])
    assert spellings(np.array(pair)) == []


@given(st.text(max_size=20))
def test_a_key_is_its_own_key_whatever_the_case(name):
    assert key_of(key_of(name)) == key_of(name)


def test_what_programs_write_for_empty_names_nobody():
    assert all(is_nobody(name) for name in ("", " ", "nan", "NaN", "N/A", "None", "#N/A", "<NA>"))
    assert not any(is_nobody(name) for name in ("0", "Nan Li", "nano", "x"))


def _write(folder, patients, pictures=None):
    rng = np.random.default_rng(0)
    lines = ["file,patient,label"]
    for i, patient in enumerate(patients):
        image = rng.integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{i}.png")
        lines.append(f'{i}.png,"{patient}",{i % 2}')
    for new, old in (pictures or {}).items():
        Image.open(folder / f"{old}.png").save(folder / f"{new}.bmp")
        (folder / f"{new}.png").write_bytes((folder / f"{old}.png").read_bytes())
    (folder / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    return read_manifest(folder)


def test_one_person_under_two_spellings_is_refused_before_any_work(tmp_path):
    listing = _write(tmp_path, ["P001", "P001", "p001", "p001", "x", "x"])
    for file in listing.files:
        file.unlink()  # nothing is read
    with pytest.raises(DoubledPeople) as error:
        prepare(listing, Cut(16, False))
    for word in ("list.csv", "'P001' in row 2", "'p001' in row 4", "write one spelling", "doubles"):
        assert word in str(error.value)


def test_spellings_may_be_accepted_and_are_reported(tmp_path):
    listing = _write(tmp_path, ["17.0", "17.0", "0017", "0017", "17", "17"])
    cohort, report = prepare(listing, Cut(16, False), care=REPORTED)
    assert report["spellings"] == [("0017", "17", "17.0")]
    assert cohort.patients == 3
    assert any("'0017' and '17' and '17.0' count as different" in c for c in cautions(report))
    with pytest.raises(ValueError, match="doubles is 'join'; use refuse or report"):
        Care(doubles="join")


def test_one_picture_under_two_patients_is_refused_and_named(tmp_path):
    listing = _write(tmp_path, ["a", "a", "b", "b", "c", "c"], {4: 1})
    with pytest.raises(DoubledPeople) as error:
        prepare(listing, Cut(16, False))
    for word in ("row 3 (1.png) of 'a'", "row 6 (4.png) of 'c'", "correct the patient", "doubles"):
        assert word in str(error.value)
    _, report = prepare(listing, Cut(16, False), care=REPORTED)
    assert report["shared_pictures"] == [("1.png", "4.png")]
    assert report["repeated_pictures"] == []


def test_the_same_pixels_in_other_bytes_are_the_same_picture(tmp_path):
    listing = _write(tmp_path, ["a", "a", "b", "b"])
    Image.open(tmp_path / "0.png").convert("RGB").save(tmp_path / "3.png", compress_level=1)
    with pytest.raises(DoubledPeople, match=r"0\.png.*3\.png"):
        prepare(listing, Cut(16, False))


def test_a_picture_twice_under_one_patient_is_reported_only(tmp_path):
    listing = _write(tmp_path, ["a", "a", "b", "b"], {1: 0})
    _, report = prepare(listing, Cut(16, False))
    assert report["repeated_pictures"] == [("0.png", "1.png")]
    assert report["shared_pictures"] == []
    assert any("0.png and 1.png are one picture" in caution for caution in cautions(report))


def test_a_mirrored_picture_is_the_same_picture():
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    images[2] = images[0, :, ::-1]
    assert shared_pictures(images, np.array([0, 1, 1])) == ([(0, 2)], [])
    assert shared_pictures(images, np.array([0, 1, 0])) == ([], [(0, 2)])
