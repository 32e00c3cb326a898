"""The explanation columns of the study, on a toy cohort whose signs are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import signed_cohort
from tqdm import tqdm

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.release import Release
from medpriv_lib.measures.cells import mean_of, ratio_of
from medpriv_lib.measures.measure import Column, Ground, Measure, Place
from medpriv_lib.measures.registry import names_of
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean, Original
from medpriv_lib.privatizers.protocol import Privatizer, Resources
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.study.decoded import networks_of
from medpriv_lib.study.examine import Examiner
from medpriv_lib.study.rows import Method, Releases, methods
from medpriv_lib.study.table import declared
from medpriv_lib.study.text import render_measures

COLUMNS = names_of(column for column in declared() if column.place >= Place.EXPLANATION)


def cohort():
    """Return noise images, half of them with a dark square as the known sign of the disease."""
    return signed_cohort(8, 4, (3, 7, 8, 12), np.arange(8) < 4)


@pytest.fixture(scope="module")
def setting():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        disease = Recogniser(2, 16).eval()
        generator = Generator(Architecture(8, 16)).eval()
    disease.head.bias.data += 3
    whole = cohort()
    train, test = whole.of("train"), whole.of("test")
    vgan = PPRLVGAN("random", generator, Pools.of(train))
    cohorts = {"": test, "true": test, "predicted": replace(test, diseased=~test.diseased)}
    return Resources(whole, trained=networks_of(vgan)), cohorts, Judges(None, disease, None)


def examine(setting, method, cohorts=None, draws=2):
    cells, _ = examined(setting, method, cohorts, draws)
    return cells


def examined(setting, method, cohorts=None, draws=2):
    """Return the cells of a row and the notes on what is missing."""
    resources, given, judges = setting
    cohorts = given if cohorts is None else cohorts
    releases = Releases(resources, cohorts, 0, draws)
    ground = Ground(resources.train("a test"), cohorts[""], judges, 0)
    examiner = Examiner(ground, resources, cohorts, draws)
    rows = [method]
    for part in (releases, examiner):
        part.prepare(rows, lambda total: tqdm(total=total, disable=True))
    return examiner.row(method, list(releases.of(method))), examiner.notes


def test_the_original_keeps_all_and_the_mean_of_the_label_nothing(setting):
    original = examine(setting, Method("baseline", "original", Original))
    assert original["evidence_kept"] == pytest.approx(100)
    assert original["evidence_logit"] == pytest.approx(100)
    assert original["evidence_ssim_inside"] == pytest.approx(100)
    assert original["intelligibility_sharpness"] == pytest.approx(100)
    assert original["relevance_area"] == pytest.approx(100 * 16 / 256)
    assert original["evidence_n"] == 4
    mean = examine(setting, Method("control", "mean", ClassMean, labels="true"))
    assert mean["evidence_kept"] == pytest.approx(0)
    assert mean["evidence_logit"] == pytest.approx(0)
    assert mean.get("intelligibility_kid_x1000") is None


def test_wide_blur_keeps_less_than_narrow(setting):
    rows = [Method("blur", "", Blur, {"kernel": kernel}) for kernel in (3, 9)]
    kept = [examine(setting, row)["evidence_kept"] for row in rows]
    assert 100 > kept[0] > kept[1] > 0


def test_image_and_twin_go_through_the_same_draw(setting):
    # a method that shows the image under random noise: only the same noise on both leaves the signs
    # exactly
    class Noisy(Privatizer):
        def transform(self, given, generator):
            noise = torch.randint(-80, 80, given.images.shape, generator=generator).numpy()
            images = np.clip(given.images / 2 + 60 + noise / 2, 0, 255).round().astype(np.uint8)
            return Release(
                images, np.arange(len(given)), np.zeros((len(given), 0), np.int64), "noisy"
            )

    row = examine(setting, Method("toy", "noisy", Noisy, random=True))
    assert row["evidence_kept"] == pytest.approx(50, abs=2)


@pytest.mark.parametrize(
    "name", ["identities with the same pathology", "average of 6 with random identities"]
)
def test_the_decodes_of_the_twins_are_those_of_the_method_itself(setting, name):
    method = next(row for row in methods() if row.set == name)
    row = examine(setting, method)
    assert row["evidence_kept"] is not None
    # an untrained generator hardly looks at its input; what it keeps is small, not the 100 of a
    # copy
    assert abs(row["evidence_kept"]) < 50


def test_without_known_signs_the_columns_are_empty_and_the_others_are_not(setting):
    plain = replace(setting[1][""], evidence=None, twin=None)
    row, notes = examined(setting, Method("blur", "k", Blur, {"kernel": 3}), {"": plain})
    assert row["evidence_n"] == 0
    assert not any(
        row.get(key) is not None
        for key in COLUMNS
        if key.startswith(("evidence_k", "evidence_s", "relev"))
    )
    assert row["intelligibility_sharpness"] is not None
    assert "intelligibility_found" not in row  # 16 pixels are too few for the localiser
    said = {note.measure: [] for note in notes}
    for note in notes:
        said[note.measure].append(note.reason)
    assert "no test image has visible signs" in said["relevance"][0]
    assert "no test image has visible signs and a twin" in said["evidence"][0]
    assert any("no eyes" in reason for reason in said["intelligibility"])


def test_a_release_in_another_order_is_refused(setting):
    class Backwards(Privatizer):
        def transform(self, given, generator):
            rows = np.arange(len(given))[::-1].copy()
            return Release(
                given.images[rows], rows, np.zeros((len(given), 0), np.int64), "backwards"
            )

    with pytest.raises(ValueError, match="in their order"):
        examine(setting, Method("toy", "", Backwards))


def test_a_fault_of_a_measure_ends_the_run_and_what_does_not_apply_is_noted(setting):
    class Named(Measure):
        name = "picky"

    class Picky(Named):
        columns = (Column("picky"),)

        def cells(self, exam):
            raise NotApplicable("not of this row")

    class Broken(Picky):
        def cells(self, exam):
            raise ValueError("a fault")

    resources, cohorts, judges = setting
    ground = Ground(resources.train("a test"), cohorts[""], judges, 0)
    row = Method("blur", "kernel 3", Blur, {"kernel": 3})
    drawn = list(Releases(resources, cohorts, 0, 1).of(row))
    picky = Examiner(ground, resources, cohorts, 1, [Picky])
    assert picky.row(row, drawn) == {}
    assert [(note.reason, note.set) for note in picky.notes] == [("not of this row", "kernel 3")]
    with pytest.raises(ValueError, match="a fault"):
        Examiner(ground, resources, cohorts, 1, [Broken]).row(row, drawn)


def test_means_and_ratios_leave_out_what_is_not_there():
    patient = np.array([0, 0, 1])
    got = mean_of([np.array([1.0, np.nan, 0.5])], patient, "x")
    assert got["x"] == pytest.approx(75)
    assert got["x_low"] <= 75 <= got["x_high"]
    assert mean_of([np.full(3, np.nan)], patient, "x") == {"x": None, "x_low": None, "x_high": None}
    assert ratio_of([np.array([1.0, 2, 0])], [np.array([2.0, 2, 2])], patient, "r")[
        "r"
    ] == pytest.approx(50)
    assert ratio_of([np.zeros(3)], [np.zeros(3)], patient, "r")["r"] is None


def test_the_text_table_fits_the_terminal_and_is_empty_without_numbers():
    row = dict.fromkeys(COLUMNS) | {"set": "average of 6 with the same pathology", "labels": ""}
    assert render_measures([row]) == ""
    full = row | dict.fromkeys(COLUMNS, -123.4)
    assert max(map(len, render_measures([full]).splitlines())) <= 120
    assert "-123.4" in render_measures([full])
