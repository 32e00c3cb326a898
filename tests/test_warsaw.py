"""The Warsaw loader on generated trees, with the spellings that copies of the set have."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medpriv_lib.data.warsaw import BadSet, read_warsaw

TABLE = 'patient;left eye;right eye\n1;"healthy";Glaucoma , cataract\n2;secondary  GLAUCOMA;suspected glaucoma\n12;;\n'


def _tree(root, files, table=TABLE, name="medical-description-v2-1.csv"):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / name).write_text(table, encoding="utf-8")
    return root


def _read(root):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_warsaw(root)


PLAIN = [
    "images-NIR/0001left/0001_L_IG_1.bmp",
    "images-NIR/0001right/0001_R_IG_1.bmp",
    "images-NIR/0002left/0002_L_IG_1.bmp",
    "images-NIR/0002right/0002_R_IG_10.bmp",
    "images-NIR/0012left/0012_L_IG_1.bmp",
]
OTHERS = [
    "images-NIR/0001left/0001_L_TC_1.bmp",
    "images-visible/0001left/0001_L_CA_1.jpg",
    "truth.txt",
]


@pytest.mark.parametrize(
    "spelling",
    [
        PLAIN,
        [f.upper().replace("IMAGES-NIR", "Images_NIR") for f in PLAIN],
        [f.replace("_L_", "-left-").replace("_R_", " right ") for f in PLAIN],
        [f.replace("images-NIR/", "set/v2.1/images NIR/") for f in PLAIN],
        [f.replace("0001left", "1_Left").replace("0002right", "0002-R") for f in PLAIN],
        [
            f.replace("_L_IG", "_IG").replace("_R_IG", "_IG") for f in PLAIN
        ],  # the eye stands in the folder's name only
        [f.replace("IG_", "IG_2_").replace(".bmp", ".PNG") for f in PLAIN],
    ],
)
def test_odd_spellings_give_the_same_facts(tmp_path, spelling):
    listing = _read(_tree(tmp_path, spelling + OTHERS))
    facts = set(
        zip(listing.patient.tolist(), listing.eye.tolist(), listing.diseased.tolist(), strict=True)
    )
    assert facts == {
        ("0001", "L", False),
        ("0001", "R", True),
        ("0002", "L", True),
        ("0002", "R", False),
        ("0012", "L", False),
    }
    assert len(listing) == 5
    assert list(listing.files) == sorted(listing.files)


@pytest.mark.parametrize(
    "table",
    [
        TABLE.replace(";", "\t"),
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("patient;", "Patient no.;"),
        'patient,left,right\n1,healthy,"glaucoma, cataract"\n2,"secondary glaucoma",""\n12,,\n',
        "patient;right eye;left eye\n1;glaucoma;\n2;;Secondary glaucoma\n12;;\n",
        "0001;healthy;glaucoma\n0002;secondary glaucoma;\n0012;;\n",
    ],
)
def test_description_in_other_forms(tmp_path, table):
    listing = _read(_tree(tmp_path, PLAIN, table))
    assert listing.diseased.tolist() == [False, True, True, False, False]


def test_description_as_xlsx(tmp_path):
    openpyxl = pytest.importorskip(
        "openpyxl", reason="reading .xlsx is an extra that needs openpyxl"
    )
    root = _tree(tmp_path, PLAIN)
    (root / "medical-description-v2-1.csv").unlink()
    book = openpyxl.Workbook()
    for row in (
        ["patient", "left", "right"],
        [1, None, "glaucoma"],
        [2, "Secondary glaucoma", None],
        [12, None, None],
    ):
        book.active.append(row)
    book.save(root / "Medical_Description.xlsx")
    assert _read(root).diseased.tolist() == [False, True, True, False, False]


def test_counts_are_reported_and_warned_about(tmp_path):
    root = _tree(tmp_path, PLAIN + OTHERS)
    with pytest.warns(UserWarning, match=r"images 5 \(expected 1,795\)"):
        listing = read_warsaw(root)
    assert listing.counts == {
        "images": "5 (expected 1,795)",
        "patients": "3 (expected 115)",
        "diseased": "2 (expected 425)",
        "all images": "7 (expected 2,996)",
    }


def test_truth_folder_is_not_listed(tmp_path):
    listing = _read(
        _tree(tmp_path, [*PLAIN, "truth/0001_R_IG_1_twin.png", "truth/0001_R_IG_1_mask.png"])
    )
    assert len(listing) == 5
    assert listing.truth == tmp_path / "truth"


@pytest.mark.parametrize(
    ("files", "table", "words"),
    [
        ([*PLAIN, "images-NIR/0077left/0077_L_IG_1.bmp"], TABLE, "unknown patient 77"),
        (PLAIN, TABLE + "2;;\n", "row 5: duplicate row for patient 2"),
        (PLAIN, TABLE + "x;;\n", "row 5: the patient number is 'x'"),
        (PLAIN, "patient;left\n1;\n", "row 2: wrong column"),
        (PLAIN, "", "description is empty"),
        ([], TABLE, "empty folder"),
        (
            ["images-visible/0001left/0001_L_CA_1.jpg"],
            TABLE,
            "none of the 1 images is of the IrisGuard",
        ),
        (["images-NIR/0001left/0001_R_IG_1.bmp"], TABLE, "name different patients or eyes"),
    ],
)
def test_bad_set_names_file_or_row_and_remedy(tmp_path, files, table, words):
    with pytest.raises(BadSet, match=words):
        _read(_tree(tmp_path, files, table))


def test_missing_folder_and_description(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_warsaw(tmp_path / "none")
    root = _tree(tmp_path, PLAIN)
    (root / "medical-description-v2-1.csv").unlink()
    with pytest.raises(FileNotFoundError, match="no medical-description"):
        read_warsaw(root)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.lists(st.text(max_size=10), max_size=4), max_size=5).map(
            lambda rows: "\n".join(["patient;left;right", *(";".join(r) for r in rows)]).encode(
                "utf-8", "replace"
            )
        ),
    )
)
def test_any_bytes_as_description_give_a_listing_or_a_clear_error(tmp_path, data):
    root = _tree(tmp_path, PLAIN)
    (root / "medical-description-v2-1.csv").write_bytes(data)
    with pytest.raises(
        BadSet, match="medical-description-v2-1.csv"
    ):  # none describes all three patients
        _read(root)


DIAGNOSES = st.lists(
    st.sampled_from(["glaucoma", "Secondary Glaucoma", "cataract", "suspected glaucoma"]),
    max_size=3,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(DIAGNOSES, min_size=6, max_size=6))
def test_any_diagnoses_come_back_as_the_label_of_their_eye(tmp_path, said):
    """Three patients, two eyes each, an image of every eye."""
    rows = [f"{p + 1};{','.join(said[2 * p])};{','.join(said[2 * p + 1])}" for p in range(3)]
    files = [
        f"images-NIR/{p:04}{eye}/{p:04}_{eye[0].upper()}_IG_1.bmp"
        for p in (1, 2, 3)
        for eye in ("left", "right")
    ]
    listing = _read(_tree(tmp_path, files, "\n".join(["patient;left eye;right eye", *rows])))
    assert listing.diseased.tolist() == [
        bool({"glaucoma", "Secondary Glaucoma"} & set(each)) for each in said
    ]
    assert listing.eye.tolist() == ["L", "R"] * 3
