"""What somebody tries who has read the help and no code: refused at once, or nothing is left."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dicom, picture
from dicom_files import folder as dicom_folder
from forked import run_code
from PIL import Image
from small_cohorts import toy_cohort
from test_bad_input import MAIN, tree

import medpriv_lib as mp
from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.cli import main
from medpriv_lib.core.files import all_or_nothing
from medpriv_lib.core.host import host_of
from medpriv_lib.core.workplace import reserved
from medpriv_lib.data import synthetic
from medpriv_lib.data.folder import list_folder
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.data.source import Source
from medpriv_lib.federation.address import require_known
from medpriv_lib.learning.checkpoint import read_checkpoint, write_checkpoint
from medpriv_lib.pipeline.explain import on_file
from medpriv_lib.pipeline.infer import infer
from medpriv_lib.privatizers.blur import Blur

SMALL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n" + MAIN
FULL_OUTPUT = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n" + MAIN


@pytest.fixture
def work(tmp_path, toy_weights):
    """A folder with a cohort, its weights, one of its images and twelve pictures with a table."""
    cohort = toy_cohort()
    cohort.save(tmp_path / "c.npz")
    (tmp_path / "weights").symlink_to(toy_weights)
    Image.fromarray(cohort.images[0]).save(tmp_path / "eye.png")
    Image.fromarray(np.arange(30, dtype=np.uint8)[None]).save(tmp_path / "row.png")
    (tmp_path / "scans").mkdir()
    rng, lines = np.random.default_rng(0), ["file,patient,label"]
    for i in range(12):
        picture = rng.integers(1, 256, (20, 24), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "scans" / f"{i}.png")
        lines.append(f"{i}.png,p{i % 4},{i % 2}")
    (tmp_path / "scans" / "list.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


OWN = ("--cohort", "c.npz", "--weights", "weights")
PREPARE = ("prepare", "scans", "--kind", "manifest", "--no-localize", "--size", "16")
EXPLAIN = ("explain", "eye.png", "--no-localize", *OWN, "--out", "why.html")
BLUR = ("--method", "blur")
REFUSED = {
    "a mask that covers nothing": (
        (*PREPARE, "--out", "o.npz", "--mask", "500,500,10,10"),
        "scans/0.png: the mask 500,500,10,10 (x,y,width,height) lies outside of its 24x20 pixels",
    ),
    "a mask that covers everything": (
        (*PREPARE, "--out", "o.npz", "--mask", "0,0,24,20"),
        "scans/0.png: nothing is left of it beside what the mask covers",
    ),
    "a pipe as table": (
        ("prepare", "pipe.csv", "--kind", "manifest", "--out", "o.npz"),
        "pipe.csv: is a pipe or a device, no manifest",
    ),
    "a size of a cohort": (
        ("privatize", "c.npz", *BLUR, "--size", "128", "--out", "r"),
        "--size has no meaning for a cohort file",
    ),
    "colours of a cohort": (
        ("privatize", "c.npz", *BLUR, "--colour", "--out", "r"),
        "--colour has no meaning for a cohort file",
    ),
    "a split of a folder": (
        ("privatize", "scans", *BLUR, "--no-localize", "--split", "train", "--out", "r"),
        "--split has no meaning for scans",
    ),
    "an empty name": (("privatize", "c.npz", *BLUR, "--out", ""), "an empty name"),
    "groups of the cases of one page": (
        (*EXPLAIN, "--method", "k-same"),
        "--method k-same averages the images that it is given",
    ),
    "groups of the cases, by form": (
        (*EXPLAIN, "--method", "k-same-select", "--form", "release"),
        "use --method k-same-select --form query",
    ),
    "a page in the place of a picture": (
        (*EXPLAIN[:-1], "eye.png", *BLUR, "--force"),
        "eye.png: a page ends in .html; name it eye.html",
    ),
    "two readings of one name": (
        (*EXPLAIN, *BLUR, "--classes", "a,a"),
        "--classes needs two names",
    ),
    "two readings of one name, inferred": (
        ("infer", "eye.png", "--no-localize", "--classes", "a, a"),
        "--classes needs two names",
    ),
    "a right eye of a cohort": (
        ("infer", "c.npz", "--weights", "weights", "--right"),
        "--right is of an image file",
    ),
    "rounds where nothing is trained": (
        ("study", "--rounds", "5", "--draws", "1", "--out", "s"),
        "--rounds is of a training, and nothing is trained here",
    ),
    "epochs where nothing is trained": (
        ("study", *OWN, "--epochs", "5", "--out", "s"),
        "--epochs is of a training",
    ),
    "draws of the federated study": (
        ("study", "--federated", "--draws", "5", "--out", "s"),
        "--draws has no meaning beside --federated",
    ),
    "more patients in a group than there are, explained": (
        (*EXPLAIN, "--method", "k-same-select", "--k", "500"),
        "--k 500 is too much here: K-Same-Select with k = 500",
    ),
    "more patients in a group than there are, before networks are read": (
        ("explain", "eye.png", "--no-localize", "--cohort", "c.npz", "--weights", "nowhere")
        + ("--method", "k-same-select", "--k", "500", "--out", "why.html"),
        "--k 500 is too much here: K-Same-Select with k = 500",
    ),
    "more patients in a group than there are": (
        ("privatize", "c.npz", "--method", "k-same", "--k", "500", "--out", "r"),
        "--k 500 is too much here: groups of k = 500 need as many images",
    ),
    "a study over somebody's table": (
        ("study", *OWN, "--draws", "1", "--out", "tables"),
        "tables/table.csv is in the way, and no study wrote it",
    ),
    "a report over somebody's": (
        ("attack", "r", "--cohort", "c.npz", "--out", "reports"),
        "reports: holds something else",
    ),
    "labels of a table with labels": (
        (*PREPARE, "--labels", "l.csv", "--out", "o.npz"),
        "--labels has a meaning for --kind dicom only",
    ),
    "a picture of one row": (
        ("infer", "row.png", "--no-localize", "--size", "16"),
        "row.png: it is 30x1 pixels (width x height): a single line shows nothing",
    ),
    "more answers than sites": (
        ("federate", "simulate", "c.npz", "--sites", "2", "--fewest", "3", "--out", "f"),
        "--fewest 3: there are only 2 sites",
    ),
    "a file as folder of a study": (
        ("study", *OWN, "--draws", "1", "--out", "eye.png"),
        "eye.png is a file, no folder",
    ),
    "a file as folder of a training": (
        ("fit", "--cohort", "c.npz", "--out", "eye.png", "--scale", "toy"),
        "eye.png is a file, no folder",
    ),
    "a picture as key of a site": (
        ("federate", "site", "c.npz", "--certificates", ".", "--name", "eye.png")
        + ("--coordinator", "localhost:1"),
        "eye.png: no private key of a site",
    ),
    "a file as folder of a federation": (
        ("federate", "simulate", "c.npz", "--out", "eye.png"),
        "eye.png is a file, no folder",
    ),
    "synthetic eyes into a folder of letters": (
        ("prepare", "tables", "--kind", "synthetic", "--out", "o.npz"),
        "tables: holds no synthetic set; name a new folder",
    ),
    "synthetic eyes among somebody's pictures": (
        ("prepare", "scans", "--kind", "synthetic", "--out", "o.npz"),
        "scans: holds no synthetic set; name a new folder",
    ),
    "a device without an end in the place of a cohort": (
        (*PREPARE, "--out", "endless.npz", "--force"),
        "endless.npz exists and is no cohort file",
    ),
    "a patient who is a formula": (
        ("prepare", "formula.csv", "--kind", "manifest", "--no-localize", "--out", "o.npz"),
        "formula.csv, row 2: the patient '=1+1' begins as a formula does",
    ),
    "an archive in the place of a cohort": (
        ("evaluate", "r", "--cohort", "chunks"),
        "chunks: is an archive, for `medpriv privatize` and `attack`",
    ),
    "weights that are not there, of a release that is": (
        ("evaluate", "r", "--cohort", "c.npz", "--weights", "nowhere"),
        "medpriv: error: nowhere: no such folder of weights",
    ),
    "one session where nobody serves": (
        ("infer", "eye.png", "--no-localize", "--once"),
        "--once has a meaning for --role dealer",
    ),
    "several images of one picture": (
        ("infer", "eye.png", "--no-localize", "--images", "3"),
        "--images is of a cohort file",
    ),
    "a cohort that is not to be cut": (
        ("infer", "c.npz", "--weights", "weights", "--no-localize"),
        "--no-localize is of an image file",
    ),
    "a row that the study does not have": (
        ("study", *OWN, "--attacks", "--only", "blur/nothing", "--out", "s"),
        "no method is called blur / nothing",
    ),
    "a file as folder of weights": (
        ("privatize", "c.npz", "--method", "pprl-vgan", "--weights", "eye.png", "--out", "r"),
        "eye.png: is a file; name the folder of the weights",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_in_one_line_and_nothing_is_left(work, monkeypatch, capsys, what):
    monkeypatch.chdir(work)
    os.mkfifo("pipe.csv")
    for folder, file in (("tables", "table.csv"), ("reports", "report.html")):
        Path(folder).mkdir()
        Path(folder, file).write_text("mine")
    Path("endless.npz").symlink_to("/dev/zero")
    Path("formula.csv").write_text("file,patient,label\nscans/0.png,=1+1,0\nscans/1.png,-17,1\n")
    Path("chunks").mkdir()
    Path("chunks", "archive.npz").write_bytes(b"")
    if REFUSED[what][0][1] == "r":
        assert main(["privatize", "c.npz", *BLUR, "--out", "r"]) == 0
    command, words = REFUSED[what]
    before = sorted(path.name for path in work.rglob("*"))
    assert main(list(command)) == 2
    said = capsys.readouterr().err
    assert said.startswith("medpriv: error: ")
    assert said.count("\n") == 1
    assert words in said
    assert sorted(path.name for path in work.rglob("*")) == before


def test_a_file_in_the_place_of_the_attackers_is_said_before_a_folder_is_made(
    work, monkeypatch, capsys
):
    monkeypatch.chdir(work)
    assert main(["privatize", "c.npz", *BLUR, "--out", "r"]) == 0
    command = ["attack", "r", "--cohort", "c.npz", "--attackers", "eye.png", "--out", "a"]
    assert main(command) == 2
    assert "eye.png is a file, no folder" in capsys.readouterr().err
    assert not Path("a").exists()


@pytest.mark.parametrize("alpha", [0, 254])
def test_how_much_is_transparent_is_said_in_plain_digits(work, capsys, alpha):
    image = Image.open(work / "scans" / "0.png").convert("RGBA")
    image.putalpha(alpha)
    image.save(work / "scans" / "0.png")
    command = ["prepare", work / "scans", "--kind", "manifest", "--no-localize"]
    assert main([str(a) for a in [*command, "--size", 16, "--out", work / "o.npz"]]) == 2
    assert "0.png: 100 % of its pixels are transparent" in capsys.readouterr().err


FULL = {
    "explain": (*EXPLAIN, *BLUR),
    "keys of the parties": ("infer", "--make-certificates", "keys"),
    "keys of the sites": ("federate", "certificates", "keys"),
}


@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_is_said_in_one_line(work, monkeypatch, what):
    before = tree(work)
    done = run_code(f"import os; os.chdir({str(work)!r})\n" + SMALL_DISK, *FULL[what])
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    made = set(tree(work)) - set(before)
    assert not any((work / name).is_file() for name in made), made


PRINTED = {
    "privatize": ("privatize", "c.npz", *BLUR, "--out", "r"),
    "infer": ("infer", "c.npz", "--weights", "weights", "--images", "1"),
    "help": ("--help",),
}


@pytest.mark.parametrize("what", PRINTED)
def test_an_output_that_is_full_is_said_in_one_line(work, what):
    done = run_code(f"import os; os.chdir({str(work)!r})\n" + FULL_OUTPUT, *PRINTED[what])
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("medpriv: error: ")
    assert done.stderr.count("\n") == 1


IN_RELEASE = {
    "originals": (*PREPARE, "--out", "r/share/o.npz"),
    "an image as it is": (*EXPLAIN[:-1], "r/share/why.html", *BLUR),
    "another release": ("privatize", "c.npz", *BLUR, "--out", "r/share/again"),
    "a study": ("study", *OWN, "--out", "r/share/study"),
    "a case of an archive": ("consult", "eye.png", "--case", "r/share/case.png"),
    "keys of parties": ("infer", "--make-certificates", "r/share/keys"),
    "keys of sites": ("federate", "certificates", "r/share/keys"),
}


@pytest.mark.parametrize("what", IN_RELEASE)
def test_nothing_is_written_into_what_is_given_away(work, monkeypatch, capsys, what):
    monkeypatch.chdir(work)
    assert main(["privatize", "c.npz", *BLUR, "--out", "r"]) == 0
    before = tree(work / "r")
    assert main(list(IN_RELEASE[what])) == 2
    assert "does not belong into a release" in capsys.readouterr().err
    assert tree(work / "r") == before


def test_keys_that_could_not_all_be_written_are_all_taken_away(tmp_path):
    (tmp_path / "there.txt").write_text("mine")

    def fill(folder):
        with all_or_nothing(folder) as new:
            (new / "a.key").write_text("secret")
            raise OSError(28, "full")

    for folder in (tmp_path / "new", tmp_path):
        with pytest.raises(OSError, match="full"):
            fill(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["there.txt"]
    with pytest.raises(ValueError, match="is a file, no folder"):
        fill(tmp_path / "there.txt")


def test_an_image_of_another_size_is_refused_before_parties_are_started(work):
    """What a party refuses is a `SessionError`."""
    images = np.zeros((1, 32, 32), np.uint8)
    with pytest.raises(ValueError, match="the network sees 16x16; prepare them with --size 16"):
        infer(images, encrypted=True, processes=True, weights=work / "weights")
    with pytest.raises(FileNotFoundError, match="no such card of weights"):
        infer(images, encrypted=True, processes=True, weights=work / "nowhere")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_learned_from_patients_only_its_owner_can_read(tmp_path):
    """Whatever the umask is: checkpoints, and the folder that an attack keeps its networks in."""
    before = os.umask(0)
    try:
        write_checkpoint(tmp_path, {}, {"epoch": 1}, {"seed": 0})
        Attackers(toy_cohort(), tmp_path / "deep" / "attackers")
    finally:
        os.umask(before)
    assert mode(tmp_path / "checkpoint.safetensors") == 0o600
    assert mode(tmp_path / "deep" / "attackers") == 0o700
    assert read_checkpoint(tmp_path) == ({}, {"epoch": 1})


def test_a_reading_by_the_package_s_network_says_that_it_learned_from_synthetic_images(
    tmp_path, capsys
):
    image = default_cohort().images[0]
    Image.fromarray(image).save(tmp_path / "eye.png")
    assert main(["infer", str(tmp_path / "eye.png"), "--no-localize"]) == 0
    assert "learned from synthetic images" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_a_weight_that_is_none_is_refused_by_the_option(work, capsys, value):
    command = ["federate", "simulate", str(work / "c.npz"), f"--proximal={value}", "--out", "f"]
    with pytest.raises(SystemExit):
        main(command)
    assert "argument --proximal: must be a finite number from 0 on" in capsys.readouterr().err


CLOSED = "import os, sys; os.close(1); sys.stdout = None\n" + MAIN


def test_a_closed_output_and_a_full_one_end_in_no_traceback(work):
    """As `medpriv … >&-` and `medpriv --help > /dev/full` do; what was written stays."""
    here = f"import os; os.chdir({str(work)!r})\n"
    done = run_code(here + CLOSED, "privatize", "c.npz", *BLUR, "--out", "r")
    assert (done.returncode, done.stderr) == (0, "")
    done = run_code(here + FULL_OUTPUT, "privatize", "c.npz", *BLUR, "--out", "again")
    assert done.returncode == 2
    assert "again was written and is complete" in done.stderr
    assert (work / "again" / "keep" / "release.npz").is_file()


def test_a_folder_that_may_not_be_read_is_left_out_with_its_reason(work):
    closed = work / "scans" / "closed"
    closed.mkdir()
    shutil.copy(work / "scans" / "0.png", closed)
    (work / "scans" / "list.csv").unlink()
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("whoever runs this may read everything")
        listing = list_folder(work / "scans")
    finally:
        closed.chmod(0o700)
    assert [(item.file, item.lost) for item in listing.left_out] == [("closed", True)]
    assert "may not be read" in listing.left_out[0].reason


@pytest.mark.parametrize("role", ["dealer", "model-owner"])
def test_missing_certificates_are_named_before_anybody_is_waited_for(tmp_path, capsys, role):
    command = ["infer", "--role", role, "--listen", "127.0.0.1:0", "--dealer", "127.0.0.1:1"]
    command = command if role == "model-owner" else command[:-2]
    assert main([*command, "--certificates", str(tmp_path / "none")]) == 2
    said = capsys.readouterr()
    assert "authority.crt: no such file" in said.err
    assert "listening" not in said.out


def test_only_a_cohort_is_overwritten_even_by_force(work, monkeypatch, capsys):
    monkeypatch.chdir(work)
    np.savez("theirs.npz", measured=np.arange(5))
    (work / "folder.npz").mkdir()
    before = tree(work)
    for name in ("theirs.npz", "folder.npz"):
        assert main([*PREPARE, "--out", name, "--force"]) == 2
        assert f"{name} exists and is no cohort file" in capsys.readouterr().err
    assert tree(work) == before
    assert main([*PREPARE, "--out", "c.npz", "--force"]) == 0


def test_drawing_that_was_stopped_goes_on(tmp_path, monkeypatch):
    """A plan without its closing table is drawn on, not read as a licensed set without one."""
    asked = []
    monkeypatch.setattr(synthetic, "write_synthetic", lambda folder, seed: asked.append(folder))
    for name, files in {"half": ["synthetic.json"], "whole": ["synthetic.json", "d.csv"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
        with pytest.raises(FileNotFoundError, match="holds no synthetic set"):  # nothing was drawn
            Source(tmp_path / name, "synthetic").listing(0, print)
    assert asked == [tmp_path / "half"]


@pytest.mark.parametrize("host", ["", "a b", "ü.example", "h:9", "https://h", "*", "1.2.3", "a..b"])
def test_what_is_no_host_is_named(host, tmp_path, capsys):
    with pytest.raises(ValueError, match="neither a name nor an address"):
        host_of(host)
    assert main(["federate", "certificates", str(tmp_path / "k"), "--host", host]) == 2
    assert f"{host!r} is neither a name nor an address" in capsys.readouterr().err
    assert not (tmp_path / "k").exists()


@pytest.mark.parametrize("host", ["localhost", "lead.example.", "my_site-1", "10.0.0.7", "::1"])
def test_what_is_a_host(host):
    assert host_of(host) == host
    assert host_of("[::1]") == "::1"


def test_a_machine_that_nobody_knows_is_said_by_its_name(capsys):
    with pytest.raises(ValueError, match=r"nowhere\.invalid:1: no machine of this name is known"):
        require_known("nowhere.invalid", 1)


DROPPED = """
import os, signal, sys, time
from medpriv_lib.cli import main, prepare
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(.1)
def run(args):
    try:
        Dying()
        time.sleep(60)
    finally:
        time.sleep(1.5)
        open(args.out, "w").close()
prepare.run = run
sys.exit(main(sys.argv[1:]))
"""


def test_a_lost_terminal_ends_the_work_even_from_within_a_finaliser(tmp_path):
    """What is raised in a finaliser is dropped; what clears away is not disturbed."""
    cleared = tmp_path / "cleared.npz"
    done = run_code(DROPPED, "prepare", "x", "--kind", "manifest", "--out", cleared, timeout=30)
    assert done.returncode == 129, done.stderr
    assert done.stderr.endswith("medpriv: stopped; nothing was written\n")
    assert cleared.is_file()


GONE = "import os, sys; os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]);"


def test_a_working_folder_that_is_gone_is_said(work):
    code = f"{GONE} sys.argv[1:2] = []\n{MAIN}"
    done = run_code(code, work / "gone", "privatize", work / "c.npz", *BLUR, "--out", "r")
    assert done.returncode == 2
    assert done.stderr == (
        "medpriv: error: the folder that this command was started in is gone; change to one that "
        "is there\n"
    )


def test_a_second_run_into_one_cohort_file_is_refused(work, monkeypatch, capsys):
    monkeypatch.chdir(work)
    with reserved(work / "o.npz"):
        assert main([*PREPARE, "--out", "o.npz"]) == 2
    assert "another run (process" in capsys.readouterr().err
    assert not (work / "o.npz").exists()
    assert main([*PREPARE, "--out", "o.npz"]) == 0
    assert sorted(work.glob(".*")) == []


def test_lost_pictures_that_are_no_eyes_are_not_called_eyes_that_were_not_found(tmp_path, capsys):
    labels = dicom_folder(tmp_path / "d", patients=4, each=3)
    dicom(tmp_path / "d" / "00.dcm", picture(), "MRN-004710", WindowCenter="9", WindowWidth="0")
    command = ["prepare", tmp_path / "d", "--kind", "dicom", "--labels", labels, "--no-localize"]
    command += ["--size", 16, "--out", tmp_path / "o.npz"]
    assert main([str(part) for part in command]) == 0
    said = capsys.readouterr().out
    assert "not used: 00.dcm" in said
    assert "no eye found" not in said


def test_another_cohort_is_refused_before_an_attack_on_it_is_priced(work, monkeypatch, capsys):
    monkeypatch.chdir(work)
    assert main(["privatize", "c.npz", *BLUR, "--out", "r"]) == 0
    cohort = toy_cohort()
    cohort.take(cohort.split == "train").save("other.npz")
    assert main(["attack", "r", "--cohort", "other.npz", "--out", "a"]) == 2
    said = capsys.readouterr().err
    assert "r: not made from images of this cohort" in said
    assert "attackers" not in said.partition("medpriv: error")[0]


def test_an_image_on_file_needs_no_patient(work, monkeypatch, capsys):
    monkeypatch.chdir(work)
    cohort = toy_cohort()
    row = int(np.flatnonzero(cohort.split == "test")[0])  # among the cases are training images only
    Image.fromarray(cohort.images[row][:, ::-1]).save("eye.png")
    name = cohort.patient_names[cohort.patient[row]]
    assert on_file(cohort.images[row], cohort) == on_file(cohort.images[row][:, ::-1], cohort)
    assert on_file(255 - cohort.images[row], cohort) is None
    assert on_file(cohort.images[row, 1:], cohort) is None
    assert main([*EXPLAIN, *BLUR]) == 0
    assert f"IMAGE is on file, of the patient {name}: no case of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda c: mp.attack(c, c), "attack needs a Release as its release, not Cohort"),
        (lambda c: mp.attack(Blur(3).privatize(c), None), "attack needs a Cohort as its cohort"),
        (lambda c: mp.privatize(c.images, "blur"), "privatize needs a Cohort as its images"),
        (lambda c: mp.explain(c.images[0], c.images, "blur"), "explain needs a Cohort"),
        (lambda c: mp.fit(c.images, "w"), "fit needs a Cohort as its cohort, not ndarray"),
        (lambda c: mp.prepare({"file": []}), "prepare needs a str or PathLike or Source"),
    ],
)
def test_a_verb_says_what_it_needs(wrong, words):
    with pytest.raises(TypeError, match=words):
        wrong(toy_cohort())
