"""The manifest loader: what it accepts, and what each refusal says."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from medpriv_lib.data.manifest import BadManifest, read_manifest
from medpriv_lib.data.people import is_nobody

GREY = np.arange(48 * 40, dtype=np.uint16).reshape(48, 40) % 256


def _folder(tmp_path, rows, header="file,patient,label", names=("a.png", "b.png")):
    for name in names:
        Image.fromarray(GREY.astype(np.uint8)).save(tmp_path / name)
    (tmp_path / "list.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return tmp_path / "list.csv"


def test_good_manifest_with_extra_columns_and_any_spelling(tmp_path):
    table = _folder(
        tmp_path, ["1,b.png,p2,YES,right", ",a.png,p1,false,L"], "note,File, Patient ,LABEL,eye"
    )
    listing = read_manifest(table)
    assert [f.name for f in listing.files] == ["b.png", "a.png"]
    assert listing.patient.tolist() == ["p2", "p1"]
    assert listing.diseased.tolist() == [True, False]
    assert listing.eye.tolist() == ["R", "L"]
    assert read_manifest(tmp_path).files == listing.files


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (["a.png,1,0"], "file,person,label", "wrong column.*'patient' is missing"),
        (["a.png,1,0,0"], "file,patient,label,label", "wrong column"),
        (["a.png,,0"], "file,patient,label", "row 2: unknown patient"),
        (["a.png,1,0", "a.png,1,0"], "file,patient,label", "row 3: duplicate row.*row 2"),
        (["a.png,1,0", "./a.png,2,0"], "file,patient,label", "row 3: duplicate row"),
        (["../a.png,1,0"], "file,patient,label", "row 2.*path that escapes the folder"),
        (["/etc/a.png,1,0"], "file,patient,label", "row 2.*path that escapes the folder"),
        (["C:/a.png,1,0"], "file,patient,label", "row 2.*path that escapes the folder"),
        (["a.png,1,maybe"], "file,patient,label", "row 2: label is 'maybe'; use 0/1"),
        (["a.png,1,0,up"], "file,patient,label,eye", "row 2: eye is 'up'"),
        (["a.png,1"], "file,patient,label", "row 2: 2 cells where the header has 3"),
        ([], "file,patient,label", "no image is listed"),
        (["list.csv,1,0"], "file,patient,label", "no image file by its ending"),
    ],
)
def test_bad_row_or_column_names_file_row_and_remedy(tmp_path, rows, header, words):
    table = _folder(tmp_path, rows, header)
    with pytest.raises(BadManifest, match=words) as error:
        read_manifest(table)
    assert str(table) in str(error.value)


def test_symlink_out_of_the_folder_escapes(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    table = _folder(inside, ["link.png,1,0"])
    Image.fromarray(GREY.astype(np.uint8)).save(tmp_path / "out.png")
    (inside / "link.png").symlink_to(tmp_path / "out.png")
    with pytest.raises(BadManifest, match="escapes the folder"):
        read_manifest(table)


def test_missing_image_empty_folder_and_several_tables(tmp_path):
    with pytest.raises(BadManifest, match="is an empty folder"):
        read_manifest(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such manifest"):
        read_manifest(tmp_path / "none.csv")
    table = _folder(tmp_path, ["c.png,1,0"])
    with pytest.raises(FileNotFoundError, match="row 2: no such image"):
        read_manifest(table)
    (tmp_path / "more.csv").write_text("x")
    with pytest.raises(BadManifest, match="several CSV"):
        read_manifest(tmp_path)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.lists(st.text(max_size=12), max_size=5), max_size=5).map(
            lambda rows: "\n".join(["file,patient,label", *(",".join(r) for r in rows)]).encode(
                "utf-8", "replace"
            )
        ),
    )
)
def test_any_bytes_give_a_listing_or_a_clear_error(tmp_path, data):
    table = tmp_path / "any.csv"
    table.write_bytes(data)
    with pytest.raises(
        (BadManifest, FileNotFoundError)
    ) as error:  # no image is there, so none can be listed
        read_manifest(table)
    assert str(table) in str(error.value)


def a_formula(text):
    """Say whether a spreadsheet would compute a text; a number with a sign stays what it is."""
    return text[0] in "=@" or (text[0] in "+-" and not re.fullmatch(r"[+-][\d.,]+", text))


# a lone carriage return, quotes and so on belong to CSV; csv.writer quotes them
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1
).filter(lambda t: t == t.strip() and not is_nobody(t) and not a_formula(t))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(NAMES, st.booleans(), st.sampled_from(["", "L", "R"])), min_size=1, max_size=6
    )
)
def test_written_rows_come_back(tmp_path, rows):
    import csv

    with (tmp_path / "list.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "patient", "label", "eye"])
        for i, (patient, label, eye) in enumerate(rows):
            (tmp_path / f"{i}.png").touch()
            writer.writerow([f"{i}.png", patient, int(label), eye])
    listing = read_manifest(tmp_path / "list.csv")
    assert listing.patient.tolist() == [r[0] for r in rows]
    assert listing.diseased.tolist() == [r[1] for r in rows]
    assert listing.eye.tolist() == [r[2] for r in rows]


@pytest.mark.parametrize("text", ["0.0", "1.0", "1.", "0,0", "TRUE", "No"])
def test_labels_as_spreadsheets_write_them(tmp_path, text):
    table = _folder(tmp_path, [f'a.png,p1,"{text}"'])
    assert read_manifest(table).diseased.tolist() == [text[0] in "1T"]


@pytest.mark.parametrize("text", ["2.0", "0.5", "1.01", "-1", "nan"])
def test_other_numbers_are_no_labels(tmp_path, text):
    with pytest.raises(BadManifest, match="row 2: label is .*; use 0/1"):
        read_manifest(_folder(tmp_path, [f"a.png,p1,{text}"]))


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "sep=;\r", "sep=;;"])
def test_excels_line_with_the_separator(tmp_path, first):
    table = _folder(tmp_path, ["a.png;Doe, Ann;1", "b.png;p2;maybe"], "file;patient;label")
    table.write_text(first + "\n" + table.read_text(), encoding="utf-8")
    with pytest.raises(
        BadManifest, match="row 3: label is 'maybe'"
    ):  # the header is row 1 of Excel
        read_manifest(table)
    table.write_text(table.read_text().replace("maybe", "0"), encoding="utf-8")
    assert read_manifest(table).patient.tolist() == ["Doe, Ann", "p2"]


def test_a_tab_or_an_odd_separator_may_be_named(tmp_path):
    table = _folder(tmp_path, ["a.png|p1|1"], "file|patient|label")
    rows = table.read_text()
    table.write_text("sep=|\n" + rows)
    assert read_manifest(table).patient.tolist() == ["p1"]
    table.write_text("sep=\\t\n" + rows.replace("|", "\t"))
    assert read_manifest(table).patient.tolist() == ["p1"]
    table.write_text('sep="\n' + rows)
    with pytest.raises(BadManifest, match="list.csv: "):
        read_manifest(table)


def test_names_in_another_unicode_form_than_the_table(tmp_path):
    composed, apart = "Jos\u00e9/\u00fcber.png", "Jose\u0301/u\u0308ber.png"
    for disk, written in ((composed, apart), (apart, composed)):
        folder = tmp_path / str(disk == composed)
        (folder / disk).parent.mkdir(parents=True)
        Image.fromarray(GREY.astype(np.uint8)).save(folder / disk)
        (folder / "list.csv").write_text(f"file,patient,label\n{written},p,1\n", encoding="utf-8")
        (file,) = read_manifest(folder).files
        assert file.is_file()
        assert file.relative_to(folder).as_posix() == disk


def test_two_files_of_one_name_need_the_exact_spelling(tmp_path):
    forms = ["\u1e9b\u0323.png", "\u1e9b\u0323.png".replace("\u1e9b\u0323", "\u017f\u0323\u0307")]
    table = _folder(tmp_path, [f"{forms[0]},p,1"], names=forms)
    if len(list(tmp_path.glob("*.png"))) < 2:
        pytest.skip("this file system keeps one form only")
    assert read_manifest(table).files[0].name == forms[0]
    table.write_text("file,patient,label\n\u017f\u0307\u0323.png,p,1\n", encoding="utf-8")
    with pytest.raises(BadManifest, match="row 2: .*2 files have that name"):
        read_manifest(table)


def test_an_absolute_path_inside_the_folder_gets_its_own_reason(tmp_path):
    table = _folder(tmp_path, [f"{tmp_path}/a.png,1,0"])
    with pytest.raises(
        BadManifest, match=r"row 2.*absolute path.*name the image.*'a\.png'"
    ) as error:
        read_manifest(table)
    assert "escapes" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["nan", "NaN", "N/A", "n/a", "#N/A", "NA", "None", "null", " ", ""]
)
def test_cells_that_name_nobody_are_no_patient(tmp_path, name):
    with pytest.raises(BadManifest, match="row 2: unknown patient.*name the patient of a.png"):
        read_manifest(_folder(tmp_path, [f"a.png,{name},0"]))


BAD = "x\x1b[2J\x07\u202ey\x9b"


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        ([f"{BAD},p,0"], "file,patient,label"),
        ([f"a.png,{BAD},0", "b.png,,0"], "file,patient,label"),
        ([f"a.png,p,{BAD}"], "file,patient,label"),
        ([f"a.png,p,0,{BAD}"], "file,patient,label,eye"),
        ([f"../{BAD}.png,p,0"], "file,patient,label"),
        ([f"/{BAD}.png,p,0"], "file,patient,label"),
        (["a.png,p,0"], f"file,{BAD},label"),
        ([f"{BAD}.txt,p,0"], "file,patient,label"),
        ([f"{BAD}.png,p,0", f"./{BAD}.png,p,0"], "file,patient,label"),
        ([f"{'long' * 2000}.png,p,0"], "file,patient,label"),
    ],
)
def test_control_characters_never_reach_a_message(tmp_path, rows, header):
    for name in (f"{BAD}.png", f"{BAD}.txt"):
        (tmp_path / name).touch()
    table = _folder(tmp_path, rows, header)
    with pytest.raises((BadManifest, FileNotFoundError)) as error:
        read_manifest(table)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1500 + 2 * len(str(table))


def test_hidden_tables_and_folders_are_not_the_table(tmp_path):
    table = _folder(tmp_path, ["a.png,p,1"])
    (tmp_path / "._list.csv").write_bytes(b"\x00\x05")  # as macOS leaves them on a stick
    (tmp_path / "old.csv").mkdir()
    assert read_manifest(tmp_path).table == table
