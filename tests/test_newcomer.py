"""What a newcomer touches: a privatizer, an attack and a measure are one file each.

The three files are written into a temporary folder and imported from there. They are then in the
study's rows and figures, among the table's columns, in `medpriv privatize --help` and in an attack
report, without a line changed in the library. All of this happens in a process of its own, because
a class that is defined once is known to its process for good.
"""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from small_cohorts import toy_cohort

HERE = Path(__file__).parent

PRIVATIZER = '''
"""Fewer grey levels: an image is cut to so many."""

import numpy as np
from medpriv_lib.core.release import Release
from medpriv_lib.privatizers.protocol import Compared, Parameter, Privatizer


class Posterised(Privatizer):
    """Round every pixel down to one of `levels` grey levels."""

    name = "posterised"
    title = "Fewer grey levels"
    marker = "X"
    parameters = (Parameter("levels", 4, "grey levels that are left", least=2, most=64),)
    compared = (Compared("4 levels", {"levels": 4}), Compared("2 levels", {"levels": 2}))

    def __init__(self, levels: int = 4) -> None:
        self.check({"levels": levels})
        self.levels = levels

    def transform(self, cohort, generator):
        step = 256 // self.levels
        images = (cohort.images // step * step).astype(np.uint8)
        rows = np.arange(len(cohort), dtype=np.int64)
        nobody = np.empty((len(cohort), 0), np.int64)
        return Release(images, rows, nobody, self.name, self.settings)
'''

ATTACK = '''
"""Brightness: whose images are as bright as this one?"""

import numpy as np
from medpriv_lib.attacks.finding import Finding
from medpriv_lib.attacks.registry import attack


@attack(name="brightness", kind="naming", target="source", place=500)
def brightness(setting):
    """Name the patient of the original that is nearest in mean brightness.

    Knowledge: the mean brightness of other originals of the patients.
    """
    scene = setting.scene
    known = np.setdiff1d(np.arange(len(scene.cohort)), scene.source)
    level = scene.cohort.images.mean(axis=(1, 2))
    gap = np.abs(scene.released.mean(axis=(1, 2))[:, None] - level[known][None])
    hit = scene.cohort.patient[known[gap.argmin(axis=1)]] == scene.patient
    return Finding(
        "brightness", "", {"rank1": float(hit.mean())}, n=len(hit), hits=hit.astype(float),
        probe=np.arange(len(hit)), kind="naming", target="source",
    )
'''

MEASURE = '''
"""Contrast: how much of the originals' spread of grey levels a release keeps."""

from medpriv_lib.measures.measure import Column, Measure


class Contrast(Measure):
    """The standard deviation of a release's pixels over that of the originals, in percent."""

    name = "contrast"
    columns = (Column("contrast_kept", "contr."),)

    def cells(self, exam):
        return {"contrast_kept": 100 * exam.drawn[0].images.std() / self.ground.test.images.std()}
'''

SCRIPT = """
import contextlib, io, json, sys
from pathlib import Path

folder, weights, tests = map(Path, sys.argv[1:4])
sys.path[:0] = [str(folder), str(tests)]
import brightness, contrast, posterised  # a newcomer's three files
import medpriv_lib as mp
from medpriv_lib.attacks.registry import attacks
from medpriv_lib.cli import main
from medpriv_lib.privatizers.registry import privatizers
from medpriv_lib.study.figures.examples import trade_off
from medpriv_lib.study.run import run_study
from medpriv_lib.study.table import read_table
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.towers import Schedule
from small_cohorts import toy_cohort

said = io.StringIO()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
    main(["privatize", "--help"])
few = Schedule(steps=10, rate=3e-3, batch=16)
QUICK = Budget(few, few, few, restorer_epochs=1, restorer_pairs=8, gallery_runs=2, orders=20, code_decodes=64, several=3)
cohort = toy_cohort()
study = run_study(cohort, weights, folder / "out", draws=2, progress=False)
rows = read_table(folder / "out" / "table.csv")
drawn = trade_off(rows, "disease")
release = mp.privatize(cohort.of("test"), "posterised", levels=16)
report = mp.attack(release, cohort, weights=weights, budget=QUICK, out=folder / "attacked")
mp.write_release(release, cohort.of("test"), folder / "release")
print(json.dumps({
    "help": said.getvalue(),
    "rows": {row["set"]: row["contrast_kept"] for row in rows if row["experiment"] == "posterised"},
    "others": {row["set"]: row["contrast_kept"] for row in rows if row["experiment"] == "baseline"},
    "columns": list(rows[0]),
    "drawn": [text.get_text() for text in drawn.axes[0].get_legend().get_texts()],
    "verdict": report.verdict(),
    "found": {one.attack: one.measures for one in report.findings},
    "page": (folder / "attacked" / "report.html").read_text(encoding="utf-8"),
    "shared": len(list((folder / "release" / "share").glob("*.png"))),
}))
"""


@pytest.fixture(scope="module")
def seen(toy_weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    for name, text in (
        ("posterised", PRIVATIZER),
        ("brightness", ATTACK),
        ("contrast", MEASURE),
        ("run", SCRIPT),
    ):
        (folder / f"{name}.py").write_text(dedent(text), encoding="utf-8")
    command = [sys.executable, folder / "run.py", folder, toy_weights, HERE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_command_offers_a_new_method_with_its_settings(seen):
    assert "posterised" in seen["help"]
    assert "--levels" in seen["help"]
    assert "grey levels that are left" in " ".join(seen["help"].split())


def test_the_study_has_the_rows_of_a_new_method(seen):
    assert set(seen["rows"]) == {"4 levels", "2 levels"}


def test_the_table_has_the_column_of_a_new_measure(seen):
    assert "contrast_kept" in seen["columns"]
    assert seen["columns"].index("contrast_kept") < seen["columns"].index("best_attack")
    assert seen["others"] == {"original test set": 100.0}
    assert 50 < seen["rows"]["4 levels"] < 200


def test_the_figures_draw_a_new_method(seen):
    assert "posterised" in seen["drawn"]


def test_a_report_holds_a_new_attack(seen):
    """The toy cohort's patients differ by their brightness, which sixteen levels leave."""
    assert seen["found"]["brightness"]["rank1"] > 2 / toy_cohort().patients
    assert "brightness" in seen["page"]
    assert "the mean brightness of other originals" in seen["page"]
    assert seen["verdict"]


def test_a_new_method_is_shared_like_any_other(seen):
    assert seen["shared"] == len(toy_cohort().of("test"))
