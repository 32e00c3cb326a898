"""The second cohort made anew: one command gives a file that holds visits, twins and evidence."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.default import disease_of
from medpriv_lib.data.redraw import redraw
from medpriv_lib.data.second import KINDS, NAMES

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_a_kept_folder_gives_the_same_cohort_again_at_any_size(tmp_path):
    cohort, report = redraw("confounded", patients=4, images=18, workers=1, folder=tmp_path / "f")
    again, _ = redraw("confounded", patients=4, images=18, workers=2)
    assert again.hash() == cohort.hash()
    assert len(cohort) == 18 - len(report["left_out"])
    assert cohort.visit.min() == 1
    assert cohort.name == NAMES["confounded"]
    assert set(cohort.split.tolist()) == {"train", "val", "test"}
    large, _ = redraw(
        "confounded", patients=4, images=18, workers=1, size=128, folder=tmp_path / "f"
    )
    assert large.images.shape[1:] == (128, 128)
    small = large.images.reshape(len(large), 64, 2, 64, 2).mean((2, 4))
    assert np.abs(small - cohort.images).mean() < 1
    assert large.visit.tolist() == cohort.visit.tolist()


@pytest.mark.slow
def test_the_command_writes_the_file(tmp_path):
    out = tmp_path / "cohorts" / "crossed.npz"
    command = [sys.executable, str(ROOT / "data_scripts" / "make_second.py"), "--kind", "crossed"]
    command += ["--patients", "4", "--images", "16", "--workers", "1", "--out", str(out)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    cohort = Cohort.load(out)
    assert cohort.hash() in told
    assert cohort.visit is not None
    assert cohort.twin is not None
    wrong = subprocess.run([*command, "--difficulty", "x=1"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "person_spread" in wrong.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_second_cohorts_show_has_a_name(kind):
    assert disease_of(NAMES[kind]) == "glaucoma"
    assert disease_of("mine") == "disease"
