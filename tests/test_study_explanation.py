"""The explanation columns of the study, on a toy cohort whose signs are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tqdm import tqdm

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.release import Release
from medpriv_lib.measures.columns import COLUMNS, mean_of, ratio_of, render_explanations
from medpriv_lib.privatizers.blur import Blur
from medpriv_lib.privatizers.controls import ClassMean, Original
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.study.examine import Examiner
from medpriv_lib.study.rows import Method, Releases, methods


def cohort(patients=8, each=4, size=16):
    rng = np.random.default_rng(0)
    n = patients * each
    patient = np.repeat(np.arange(patients), each)
    diseased = patient < 4
    twin = rng.integers(90, 160, (n, size, size), dtype=np.uint8)
    images, evidence = twin.copy(), np.zeros(twin.shape, dtype=bool)
    images[diseased, 3:7, 8:12] -= 60
    evidence[diseased, 3:7, 8:12] = True
    split = np.tile(np.array(["train", "train", "val", "test"]), patients)
    return Cohort(
        images,
        patient,
        np.full(n, ""),
        diseased,
        split,
        np.array([f"p{i}" for i in range(patients)]),
        evidence,
        twin,
    )


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
    return train, test, cohorts, vgan, Judges(None, disease, None)


def examine(setting, method, cohorts=None, draws=2):
    train, _, given, vgan, judges = setting
    cohorts = given if cohorts is None else cohorts
    releases = Releases(train, cohorts, vgan, 0, draws)
    examiner = Examiner(train, cohorts, vgan, judges, 0, draws)
    rows = [method]
    for part in (releases, examiner):
        part.prepare(rows, lambda total: tqdm(total=total, disable=True))
    return examiner.row(method, list(releases.of(method)))


def test_the_original_keeps_all_and_the_mean_of_the_label_nothing(setting):
    original = examine(setting, Method("baseline", "original", "", False, lambda train: Original()))
    assert original["evidence_kept"] == pytest.approx(100)
    assert original["evidence_logit"] == pytest.approx(100)
    assert original["evidence_ssim_inside"] == pytest.approx(100)
    assert original["intelligibility_sharpness"] == pytest.approx(100)
    assert original["relevance_area"] == pytest.approx(100 * 16 / 256)
    assert original["evidence_n"] == 4
    mean = examine(
        setting, Method("control", "mean", "true", False, lambda train: ClassMean().fit(train))
    )
    assert mean["evidence_kept"] == pytest.approx(0)
    assert mean["evidence_logit"] == pytest.approx(0)
    assert mean["intelligibility_kid_x1000"] is None


def test_wide_blur_keeps_less_than_narrow(setting):
    rows = [
        Method("blur", "", "", False, lambda train, kernel=kernel: Blur(kernel))
        for kernel in (3, 9)
    ]
    kept = [examine(setting, row)["evidence_kept"] for row in rows]
    assert 100 > kept[0] > kept[1] > 0


def test_image_and_twin_go_through_the_same_draw(setting):
    # a method that shows the image under random noise: only the same noise on both leaves the signs
    # exactly
    class Noisy:
        name = "noisy"

        def privatize(self, given, generator):
            noise = torch.randint(-80, 80, given.images.shape, generator=generator).numpy()
            images = np.clip(given.images / 2 + 60 + noise / 2, 0, 255).round().astype(np.uint8)
            return Release(
                images, np.arange(len(given)), np.zeros((len(given), 0), np.int64), "noisy"
            )

    row = examine(setting, Method("toy", "noisy", "", True, lambda train: Noisy()))
    assert row["evidence_kept"] == pytest.approx(50, abs=2)


@pytest.mark.parametrize(
    "name", ["identities with the same pathology", "average of 6 with random identities"]
)
def test_the_decodes_of_the_twins_are_those_of_the_method_itself(setting, name):
    train, test, cohorts, vgan, _ = setting
    method = next(row for row in methods(vgan) if row.set == name)
    row = examine(setting, method)
    assert row["evidence_kept"] is not None
    # an untrained generator hardly looks at its input; what it keeps is small, not the 100 of a
    # copy
    assert abs(row["evidence_kept"]) < 50


def test_without_known_signs_the_columns_are_empty_and_the_others_are_not(setting):
    _, test, _, _, _ = setting
    plain = replace(test, evidence=None, twin=None)
    row = examine(setting, Method("blur", "", "", False, lambda train: Blur(3)), {"": plain})
    assert row["evidence_n"] == 0
    assert not any(
        row.get(key) is not None
        for key in COLUMNS
        if key.startswith(("evidence_k", "evidence_s", "relev"))
    )
    assert row["intelligibility_sharpness"] is not None
    assert "intelligibility_found" not in row  # 16 pixels are too few for the localiser


def test_a_release_in_another_order_is_refused(setting):
    class Backwards:
        def privatize(self, given, generator):
            rows = np.arange(len(given))[::-1].copy()
            return Release(
                given.images[rows], rows, np.zeros((len(given), 0), np.int64), "backwards"
            )

    with pytest.raises(ValueError, match="in their order"):
        examine(setting, Method("toy", "", "", False, lambda train: Backwards()))


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
    assert render_explanations([row]) == ""
    full = row | dict.fromkeys(COLUMNS, -123.4)
    assert max(map(len, render_explanations([full]).splitlines())) <= 120
    assert "-123.4" in render_explanations([full])
