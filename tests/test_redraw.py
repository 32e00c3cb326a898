"""A packaged cohort made anew: one command gives a file that holds visits, twins and evidence."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.data.manifest import read_manifest
from medpriv_lib.data.packaged import KINDS, NAMES, disease_of, packaged_cohort
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.redraw import redraw
from medpriv_lib.data.split import split_sizes
from medpriv_lib.data.synthetic.visit_images import render_shot
from medpriv_lib.data.synthetic.visits import plan_visits

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
    command = [sys.executable, str(ROOT / "data_scripts" / "make_cohort.py"), "--kind", "crossed"]
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
def test_what_the_packaged_cohorts_show_has_a_name(kind):
    assert disease_of(NAMES[kind]) == "glaucoma"
    assert disease_of("mine") == "disease"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_ships_can_be_made_again(tmp_path, kind):
    """Twelve of the 1,795 images: at most one px in a thousand may be off by more than a grey
    level."""
    cohort, shots = packaged_cohort(kind), plan_visits(kind)
    assert len(cohort) == len(shots) == 1795
    assert {s: int((cohort.split == s).sum()) for s in ("train", "val", "test")} == split_sizes(
        1795
    )
    rows = np.linspace(0, 1794, 12).astype(int)
    lines = ["file,patient,label,eye,visit"]
    for row in rows:
        shot = shots[row]
        assert (cohort.eye[row], bool(cohort.diseased[row])) == (shot.slot.eye, shot.glaucoma)
        assert cohort.patient_names[cohort.patient[row]] == f"{shot.patient:04d}"
        assert cohort.visit[row] == shot.slot.visit
        Image.fromarray(render_shot(shot, kind).image).save(tmp_path / f"{row}.png")
        lines.append(
            f"{row}.png,{shot.patient:04d},{int(shot.glaucoma)},{shot.slot.eye},{shot.slot.visit}"
        )
    (tmp_path / "m.csv").write_text("\n".join(lines))
    again, _ = prepare(read_manifest(tmp_path), workers=1)
    off = np.abs(again.images.astype(int) - cohort.images[rows]) > 1
    assert off.mean() <= 0.001
