"""The command: what it does, what it prints and where, on toy cohorts."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_cohorts import toy_cohort

from medpriv_lib.cli import COMMANDS, main, one_line
from medpriv_lib.cli.options import shown
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.randomness import begun
from medpriv_lib.core.release import Release
from medpriv_lib.core.sharing import read_release
from medpriv_lib.measures.anonymity import audit
from medpriv_lib.pipeline.fit import sparing
from medpriv_lib.pipeline.privatize import made_again, number_patients
from medpriv_lib.privatizers.protocol import Parameter, Privatizer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def made(toy_weights, tmp_path_factory):
    """A folder with a cohort file and weights for it."""
    folder = tmp_path_factory.mktemp("made")
    toy_cohort().save(folder / "c.npz")
    shutil.copytree(toy_weights, folder / "w")
    return folder


def medpriv(*arguments):
    assert main([str(a) for a in arguments]) == 0


@pytest.mark.parametrize("name", [command.__name__.rpartition(".")[2] for command in COMMANDS])
def test_help_has_examples_and_every_option_a_meaning(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert f"medpriv {name}" in text.partition("Examples:")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["study", "--seeds", "many"],
        ["privatize", "x", "--method", "magic", "--out", "y"],
    ],
)
def test_a_wrong_call_exits_2_with_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("medpriv: error: ")


@pytest.mark.parametrize(
    ("method", "options", "contributors"),
    [
        ("blur", ["--kernel", 9], 0),
        ("k-same-select", ["--k", 3], 3),
        ("pprl-vgan", ["--policy", "same"], 1),
        ("averaged", ["--k", 4], 4),
    ],
)
def test_privatize_then_evaluate(made, tmp_path, capsys, method, options, contributors):
    medpriv(
        "privatize",
        made / "c.npz",
        "--method",
        method,
        *options,
        "--out",
        tmp_path / "r",
        *(() if method in ("blur", "k-same-select") else ("--weights", made / "w")),
    )
    release, order = read_release(tmp_path / "r")
    assert release.contributors.shape == (8, contributors)
    assert sorted(path.name for path in (tmp_path / "r" / "share").iterdir()) == [
        f"{i:04}.png" for i in range(1, 9)
    ]
    assert sorted(order.tolist()) == list(range(8))
    assert "give away" in capsys.readouterr().out
    medpriv("evaluate", tmp_path / "r", "--cohort", made / "c.npz", "--weights", made / "w")
    text = capsys.readouterr().out
    assert "8 images of 8 patients" in text
    assert "disease_accuracy " in text
    assert ("replacement_identity_accuracy" in text) == (contributors > 0)


@pytest.mark.parametrize("method", ["pprl-vgan", "averaged"])
def test_two_runs_draw_differently_and_the_key_makes_each_again(made, tmp_path, method):
    """No seed leads to a release; only its key says where its random numbers began."""
    command = ["privatize", made / "c.npz", "--method", method, "--weights", made / "w", "--out"]
    for name in "ab":
        torch.manual_seed(0)
        medpriv(*command, tmp_path / name)
    first, second = (read_release(tmp_path / name)[0] for name in "ab")
    assert not np.array_equal(first.images, second.images)
    assert first.parameters["start"] != second.parameters["start"]
    cohort = Cohort.load(made / "c.npz")
    for release in (first, second):
        again = made_again(release, cohort, gallery=cohort, weights=made / "w")
        np.testing.assert_array_equal(again.images, release.images)
        np.testing.assert_array_equal(again.contributors, release.contributors)
    for path in (tmp_path / "a" / "share").iterdir():
        assert first.parameters["start"].encode() not in path.read_bytes()


def test_a_start_has_256_bits_and_none_of_them_is_lost():
    start = "0" * 63 + "1"
    numbers = torch.rand(4, generator=begun(start))
    assert torch.equal(numbers, torch.rand(4, generator=begun(start)))
    for other in ("0" * 63 + "2", "1" + start[1:], "0" * 31 + "1" + start[32:]):
        assert not torch.equal(numbers, torch.rand(4, generator=begun(other)))
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        begun("1")


def test_no_command_takes_a_seed_for_what_hides(made, tmp_path, capsys):
    for command in (["privatize", made / "c.npz"], ["explain", made / "x.png"]):
        with pytest.raises(SystemExit):
            main([str(a) for a in [*command, "--method", "blur", "--out", tmp_path, "--seed", 1]])
        assert "unrecognized arguments: --seed" in capsys.readouterr().err


def test_all_images_of_a_cohort(made, tmp_path):
    medpriv(
        "privatize", made / "c.npz", "--method", "blur", "--split", "all", "--out", tmp_path / "r"
    )
    assert len(read_release(tmp_path / "r")[0]) == 48


@pytest.fixture
def folder(tmp_path):
    """Five images of strangers, without a table."""
    rng = np.random.default_rng(1)
    (tmp_path / "in").mkdir()
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (30, 24), dtype=np.uint8)).save(
            tmp_path / "in" / f"{i}.png"
        )
    return tmp_path / "in"


def test_a_folder_of_images_needs_no_table_and_blur_no_weights(folder, tmp_path):
    medpriv(
        "privatize",
        folder,
        "--method",
        "blur",
        "--no-localize",
        "--size",
        16,
        "--out",
        tmp_path / "r",
    )
    release, _ = read_release(tmp_path / "r")
    assert release.images.shape == (5, 16, 16)
    assert len(set(release.given.patient)) == 5
    assert release.parameters["labels_known"] is False


def test_strangers_get_the_judge_s_labels_and_no_identity_columns(folder, made, tmp_path, capsys):
    medpriv(
        "privatize",
        folder,
        "--method",
        "pprl-vgan",
        "--policy",
        "same",
        "--no-localize",
        "--size",
        16,
        "--cohort",
        made / "c.npz",
        "--weights",
        made / "w",
        "--out",
        tmp_path / "r",
    )
    assert "the disease judge's reading" in capsys.readouterr().out
    medpriv("evaluate", tmp_path / "r", "--cohort", made / "c.npz", "--weights", made / "w")
    text = capsys.readouterr().out
    assert "identity_accuracy" not in text
    assert "identity columns are empty" in text
    assert "not a diagnosis" in text


def test_an_averaged_set_of_a_stranger_is_refused(folder, made, tmp_path, capsys):
    arguments = [
        "privatize",
        folder,
        "--method",
        "averaged",
        "--no-localize",
        "--size",
        16,
        "--cohort",
        made / "c.npz",
        "--weights",
        made / "w",
        "--out",
        tmp_path / "r",
    ]
    assert main([str(a) for a in arguments]) == 2
    assert "use the method pprl-vgan instead" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_manifest_brings_patients_and_labels(folder, made, tmp_path):
    (folder / "t.csv").write_text(
        "file,patient,label\n" + "".join(f"{i}.png,p{i % 2},{i % 2}\n" for i in range(5))
    )
    medpriv(
        "privatize",
        folder / "t.csv",
        "--method",
        "k-same-select",
        "--k",
        2,
        "--no-localize",
        "--size",
        16,
        "--cohort",
        made / "c.npz",
        "--out",
        tmp_path / "r",
    )
    release, _ = read_release(tmp_path / "r")
    assert release.given.diseased.tolist() == [False, True, False, True, False]
    assert release.parameters.get("labels_known", True)
    cohort = toy_cohort()
    for row, label in zip(release.contributors, release.given.diseased, strict=True):
        assert all(label in cohort.diseased[cohort.patient == patient] for patient in row)


def test_the_release_form_shares_every_image_among_k_patients(made, tmp_path, capsys):
    medpriv(
        "privatize",
        made / "c.npz",
        "--method",
        "k-same-select",
        "--k",
        3,
        "--form",
        "release",
        "--split",
        "all",
        "--out",
        tmp_path / "r",
    )
    release, _ = read_release(tmp_path / "r")
    cohort = toy_cohort()
    found = audit(release, cohort)
    assert found.claimed == 3
    assert found.smallest >= 3
    assert not [warning for warning in found.warnings if "claims" in warning]
    assert len(release) == len(list((tmp_path / "r" / "share").iterdir())) > len(cohort)
    assert f"more than the {len(cohort)} given" in capsys.readouterr().out
    medpriv("evaluate", tmp_path / "r", "--cohort", made / "c.npz", "--weights", made / "w")
    assert f"{len(release)} images of 8 patients" in capsys.readouterr().out


def test_contributors_of_a_manifest_are_numbered_as_in_the_cohort(made, tmp_path):
    """The same images through a manifest, in another order: the same contributors, and a stranger
    after the last."""
    cohort = replace(
        toy_cohort().of("test"), patient_names=np.array([*(f"p{i}" for i in range(7)), "stranger"])
    )
    (tmp_path / "in").mkdir()
    lines = ["file,patient,label"]
    for i in reversed(range(8)):
        Image.fromarray(cohort.images[i]).save(tmp_path / "in" / f"{i}.png")
        lines.append(f"{i}.png,{cohort.patient_names[cohort.patient[i]]},{int(cohort.diseased[i])}")
    (tmp_path / "in" / "t.csv").write_text("\n".join(lines))
    medpriv(
        "privatize",
        tmp_path / "in" / "t.csv",
        "--method",
        "k-same-select",
        "--k",
        2,
        "--form",
        "release",
        "--no-localize",
        "--size",
        16,
        "--cohort",
        made / "c.npz",
        "--out",
        tmp_path / "r",
    )
    release, _ = read_release(tmp_path / "r")
    own = number_patients(release.given.patient, toy_cohort())[0][release.source]
    assert (
        (release.contributors == own[:, None]).any(axis=1).all()
    )  # in a group of the release form one is oneself
    assert set(own) == set(range(7)) | {8}  # p7 is known and not here, the stranger is number 8


def test_an_option_without_meaning_is_refused(made, tmp_path, capsys):
    assert (
        main(
            [
                "privatize",
                str(made / "c.npz"),
                "--method",
                "blur",
                "--k",
                "3",
                "--out",
                str(tmp_path / "r"),
            ]
        )
        == 2
    )
    assert "--k has no meaning for blur" in capsys.readouterr().err


def test_a_cohort_is_overwritten_only_by_force(made, tmp_path, folder, capsys):
    (folder / "t.csv").write_text(
        "file,patient,label\n" + "".join(f"{i}.png,p{i % 2},{i % 2}\n" for i in range(5))
    )
    shutil.copy(made / "c.npz", tmp_path / "c.npz")
    before = (tmp_path / "c.npz").read_bytes()
    arguments = [
        "prepare",
        str(folder / "t.csv"),
        "--kind",
        "manifest",
        "--no-localize",
        "--size",
        "16",
        "--out",
        str(tmp_path / "c.npz"),
    ]
    assert main(arguments) == 2
    assert "holds a cohort already" in capsys.readouterr().err
    assert (tmp_path / "c.npz").read_bytes() == before
    assert main([*arguments, "--force"]) == 0
    assert (tmp_path / "c.npz").read_bytes() != before


def test_a_release_is_never_overwritten(made, tmp_path, capsys):
    arguments = ["privatize", str(made / "c.npz"), "--method", "blur", "--out", str(tmp_path / "r")]
    assert main(arguments) == 0
    before = (tmp_path / "r" / "keep" / "order.csv").read_bytes()
    assert main(arguments) == 2
    assert "holds something already" in capsys.readouterr().err
    assert (tmp_path / "r" / "keep" / "order.csv").read_bytes() == before


def test_a_release_of_another_cohort_is_not_evaluated(made, tmp_path, capsys):
    medpriv("privatize", made / "c.npz", "--method", "blur", "--out", tmp_path / "r")
    toy_cohort(patients=9).save(tmp_path / "other.npz")
    status = main(
        [
            "evaluate",
            str(tmp_path / "r"),
            "--cohort",
            str(tmp_path / "other.npz"),
            "--weights",
            str(made / "w"),
        ]
    )
    assert status == 2
    assert "name the cohort that it was made with" in capsys.readouterr().err


def test_progress_is_told_now_and_then():
    told = []
    tell = sparing(told.append, every=3600)
    for number in range(5):
        tell(f"round {number}")
    assert told == ["round 0"]
    tell = sparing(told.append, every=0)
    tell("round 5")
    tell("round 6")
    assert told == ["round 0", "round 5", "round 6"]


def test_fit_is_finished_once(made, tmp_path, capsys):
    arguments = [
        "fit",
        "--cohort",
        made / "c.npz",
        "--out",
        tmp_path / "w",
        "--scale",
        "toy",
        "--device",
        "cpu",
    ]
    arguments = [str(a) for a in arguments]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "never share them" in said.out
    assert said.err  # no terminal, and yet a sign of life
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w").iterdir()}
    assert set(before) == {
        "judges.safetensors",
        "judges.json",
        "pprl-vgan.safetensors",
        "pprl-vgan.json",
    }
    assert main(arguments) == 0
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w").iterdir()} == before
    assert main([*arguments, "--seed", "1"]) == 2


def test_the_study_prints_ours_beside_theirs_and_stays_quiet_in_a_pipe(made, tmp_path):
    """Through a pipe: the table on stdout, nothing on stderr."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "medpriv_lib",
            "study",
            "--cohort",
            str(made / "c.npz"),
            "--weights",
            str(made / "w"),
            "--draws",
            "2",
            "--out",
            str(tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    line = next(line for line in done.stdout.splitlines() if line.startswith("  original test set"))
    assert "90.00" in line
    assert "93.24" in line
    assert "K-Same-Select with k = 12" in done.stdout
    assert (tmp_path / "out" / "table.csv").is_file()


def test_errors_become_one_line():
    assert one_line(OSError(28, "No space left on device", "x.npz")).startswith(
        "the disk is full while writing x.npz"
    )
    denied = PermissionError(13, "Permission denied", "x")
    assert one_line(denied) == "x: Permission denied; check the path and its permissions"
    assert one_line(ValueError("two\nlines")) == "two lines"
    assert one_line(MemoryError("9 GiB for an array")).startswith("not enough memory for this; use")
    assert one_line(RuntimeError("CUDA out of memory. Tried …")).startswith("not enough memory")
    assert (
        one_line(RuntimeError("shapes do not fit")) is None
    )  # a fault of ours keeps its traceback
    assert one_line(ImportError("cannot import name 'x'")) is None


def test_what_controls_a_terminal_is_written_out():
    assert shown("a\x1b[2Jb\rc\u202ed\x00\ne") == "a\\x1b[2Jb\\rc\\u202ed\\x00\ne"
    assert shown("Zoë – 5 %") == "Zoë – 5 %"
    assert shown("Zoë\udcff", "ascii") == "Zo\\xeb\\udcff"


def test_a_privatizer_defined_elsewhere_is_offered_and_works(made, tmp_path, capsys):
    """Its class is all it takes: the command reads name, settings, ranges and help from it."""

    class Posterised(Privatizer):
        """Release few grey levels."""

        name = "posterised"
        title = "Posterised"
        parameters = (Parameter("grey_levels", 4, "grey levels that stay", least=2, most=8),)

        def __init__(self, grey_levels=4):
            self.check({"grey_levels": grey_levels})
            self.grey_levels = grey_levels

        def transform(self, cohort, generator):
            step = 256 // self.grey_levels
            rows = np.arange(len(cohort))
            nobody = np.empty((len(rows), 0), np.int64)
            return Release(cohort.images // step * step, rows, nobody, self.name, self.settings)

    try:
        with pytest.raises(SystemExit):
            main(["privatize", "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert "posterised" in text
        assert "--grey-levels N posterised: grey levels that stay (2 to 8, default 4)" in text
        assert "class-mean" not in text  # a control is nothing to release
        command = ["privatize", made / "c.npz", "--method", "posterised", "--out", tmp_path / "r"]
        assert main([*map(str, command), "--grey-levels", "9"]) == 2
        assert "--grey-levels 9: grey_levels must be at most 8" in capsys.readouterr().err
        medpriv(*command, "--grey-levels", 3)
        release, _ = read_release(tmp_path / "r")
        assert release.parameters["grey_levels"] == 3
        assert len(np.unique(release.images)) <= 4
    finally:
        Posterised.name = None  # a class cannot be taken back, a half-finished one is not listed
        del Posterised


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["nothing"]])
def test_what_needs_no_work_imports_no_torch(arguments):
    code = (
        "import sys\nfrom medpriv_lib.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'cv2', 'scipy'} & set(sys.modules), 'slow imports'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_library_is_imported_in_no_time_and_without_torch():
    code = (
        "import time; began = time.perf_counter()\nimport medpriv_lib as mp, sys\n"
        "print(time.perf_counter() - began, 'torch' in sys.modules, len(dir(mp)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seconds, torch_there, _ = done.stdout.split()
    assert torch_there == "False"
    assert float(seconds) < 0.5  # .03 on a quiet core


def test_without_opencv_the_library_says_what_to_install():
    code = "import sys; sys.modules['cv2'] = None\nimport medpriv_lib"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ImportError: medpriv_lib needs OpenCV (cv2); install one build" in done.stderr


def test_all_that_is_offered_is_there():
    import medpriv_lib as mp

    for name in mp.OFFERED:
        assert getattr(mp, name) is not None
        assert name in dir(mp)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mp.nothing  # noqa: B018
