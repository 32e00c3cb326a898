"""`medpriv explain` and the figures of the explanations, on a toy cohort with weights that were
hardly trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from small_cohorts import toy_cohort

from medpriv_lib.cli import main
from medpriv_lib.core.budgets import TOY
from medpriv_lib.core.weights import read_card
from medpriv_lib.pipeline.weights import fit_weights
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.judges import no_better_than_guessing
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.study.figures.requirements import figure_5, requirements, within_fixed_limits
from medpriv_lib.study.table import columns
from medpriv_lib.study.verdict import CEILING, ORIGINAL


def marked_cohort():
    """The toy cohort with names that no page has by chance, and signs of the diseased in one
    corner."""
    cohort = toy_cohort()
    evidence = np.zeros(cohort.images.shape, dtype=bool)
    evidence[cohort.diseased, 2:6, 2:6] = True
    return replace(
        cohort, patient_names=np.array([f"Jane {i}" for i in range(8)]), evidence=evidence
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    cohort = marked_cohort()
    cohort.save(folder / "cohort.npz")
    fit_weights(cohort, folder / "weights", 0, TOY, "cpu", False)
    noise = np.random.default_rng(1).integers(0, 256, (40, 48), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "scan of Jane.png")
    return folder


def command(work, *more, image="scan of Jane.png", method="blur"):
    return main(
        [
            "explain",
            str(work / image),
            "--method",
            method,
            "--cohort",
            str(work / "cohort.npz"),
            "--weights",
            str(work / "weights"),
            "--no-localize",
            "--out",
            str(work / "why.html"),
            "--force",
            "--cases",
            "1",
            *more,
        ]
    )


@pytest.mark.parametrize("method", ["blur", "pprl-vgan", "averaged"])
def test_writes_a_page_for_an_image_file(work, method, capsys):
    (work / "why.html").write_text("before")
    assert command(work, method=method) == 0
    page = (work / "why.html").read_text(encoding="utf-8")
    assert "<main>" in page
    assert "The image to explain is shown as it is" in page
    assert "Jane" not in page
    assert str(work) not in page
    assert "written to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--patient", "Nobody"), "unknown patient 'Nobody'"),
        (("--k", "3"), "--k has no meaning for blur"),
        (("--classes", "one"), "--classes needs two names"),
        (("--kernel", "8"), "--kernel 8: kernel must be an odd whole number"),
        (("--kernel", "1"), "--kernel 1: kernel must be at least 3"),
        (("--kernel", "99999999999"), "--kernel 99999999999: kernel must be at most"),
    ],
)
def test_bad_options_are_refused_and_an_existing_page_survives(work, more, message, capsys):
    (work / "why.html").write_text("before")
    assert command(work, *more) == 2
    assert message in capsys.readouterr().err
    assert (work / "why.html").read_text() == "before"


@pytest.mark.parametrize("cases", ["13", "0", "-1", "many"])
def test_cases_out_of_range_are_refused_by_the_option(work, cases, capsys):
    with pytest.raises(SystemExit):
        command(work, "--cases", cases)
    assert "argument --cases: must be a whole number from 1 to 12" in capsys.readouterr().err


def test_k_of_one_is_refused(work, capsys):
    (work / "why.html").write_text("before")
    assert command(work, "--k", "1", method="k-same-select") == 2
    assert "--k 1: k must be at least 2" in capsys.readouterr().err
    assert (work / "why.html").read_text() == "before"


def test_a_counterfactual_says_why_it_is_not_possible(work, capsys):
    assert command(work, "--counterfactual") == 0
    page, told = (work / "why.html").read_text(encoding="utf-8"), capsys.readouterr().out
    for text in (page, told):
        assert "as sign transfer reads them: not possible." in text
        assert "there are no disentangled weights of this cohort" in text
    assert page.count('aria-label="Not possible"') == 2
    assert "The same image as" in page
    assert command(work) == 0
    assert "The same image as" not in (work / "why.html").read_text(encoding="utf-8")


def test_page_and_command_line_say_that_network_and_cases_are_synthetic(work, capsys):
    assert command(work) == 0
    page = (work / "why.html").read_text(encoding="utf-8")
    assert "the earlier cases are synthetic" in page
    assert "the earlier cases are synthetic" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "no such image file"),
        ("empty.png", b"", "zero-byte"),
        ("broken.png", b"\x89PNG\r\n\x1a\nnonsense", "broken.png"),
    ],
)
def test_unreadable_images_are_named(work, name, content, message, capsys):
    if content is not None:
        (work / name).write_bytes(content)
    assert command(work, image=name) == 2
    assert message in capsys.readouterr().err


def test_a_folder_in_place_of_a_file_is_refused(work, capsys):
    arguments = ["explain", str(work / "scan of Jane.png"), "--method", "blur", "--out", str(work)]
    assert main(arguments) == 2
    assert "is a folder" in capsys.readouterr().err


def networks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judge = Recogniser(2, 16).eval()
        generator = Generator(Architecture(8, 16)).eval()
    judge.head.bias.data = torch.tensor([1.0, 5.0])  # everybody is diseased
    return judge, generator


def test_figure_5_shows_originals_and_two_releases_each_with_its_map():
    judge, generator = networks()
    cohort = marked_cohort()
    vgan = PPRLVGAN("random", generator, Pools.of(cohort.of("train")))
    figure = figure_5(cohort.of("test"), vgan, judge, 0)
    assert len(figure.axes) == 4 * 6
    assert [axis.get_title() for axis in figure.axes[:6:2]] == [
        "original",
        "same pathology",
        "different pathology",
    ]
    assert "% in\nsigns, 6 % of area" in figure.axes[1].get_xlabel()
    with pytest.raises(ValueError, match="nothing to draw"):
        figure_5(replace(cohort.of("test"), diseased=np.zeros(8, dtype=bool)), vgan, judge, 0)


def test_the_fixed_limits_of_a_row():
    row = dict.fromkeys(columns()) | {
        "identity_accuracy": 90.0,
        "intelligibility_found": 99.0,
        "intelligibility_sharpness": 100.0,
        "evidence_kept": 100.0,
    }
    assert list(within_fixed_limits(row).values()) == [True, False, True, True]
    row |= {
        "identity_accuracy": 0.5,
        "other_contributor_accuracy": 70.0,
        "evidence_kept": 3.0,
        "intelligibility_sharpness": 20.0,
    }
    assert list(within_fixed_limits(row).values()) == [False, True, False, False]
    assert list(within_fixed_limits(dict.fromkeys(columns())).values()) == [
        None,
        None,
        None,
        None,
    ]


def test_the_requirements_are_drawn_for_every_row_that_ran():
    row = dict.fromkeys(columns()) | {
        "experiment": "blur",
        "set": "kernel 3",
        "labels": "",
        "disease_accuracy": 90.0,
    }
    figure = requirements([row, row | {"labels": "predicted"}, row | {"disease_accuracy": None}])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["blur: kernel 3"]
    assert len(figure.axes[0].patches) == 7


def drawn(axis):
    """Return the cells' texts by row: one for each requirement of the verdict, in its order."""
    cells = [text.get_text() for text in axis.texts]
    return [cells[i : i + 7] for i in range(0, len(cells), 7)]


def test_the_requirements_are_those_of_the_verdict():
    """Each of these rows fails one line, for a reason that can be worked out by hand."""
    empty = dict.fromkeys(columns()) | {"labels": "", "disease_accuracy": 90.0}
    good = {
        "best_attack_linkage_auc": 52.0,
        "best_attack_linkage_auc_high": 54.0,
        "best_attack_rank1": 1.0,
        "best_attack_rank1_low": 0.5,
        "chance_identity": 1.0,
        "own_signs_auc": 100.0,
        "expert_auc": 90.0,
        "expert_healthy_ill": 0.0,
        "intelligibility_found": 100.0,
    }
    lent = {
        "replacement_identity_accuracy": 9.0,
        "best_attack_contributor_rank1": 12.0,
        "best_attack_contributor_rank1_low": 11.0,
        "best_attack_contributor_rank1_guess": 5.0,
        "best_attack_contributor_auc": 55.0,
        "best_attack_contributor_auc_high": 57.0,
    }
    rows = [
        empty | good | dict(zip(("experiment", "set"), name, strict=True))
        for name in (ORIGINAL, CEILING)
    ]
    for name, changed in (
        ("linked", {"best_attack_linkage_auc": 55.4}),
        ("lent", lent),
        ("lent, 6", lent | {"best_attack_contributor_rank1_guess": 6.0}),
        ("others' signs", {"own_signs_auc": 89.0}),
        ("added", {"expert_healthy_ill": 1.4}),
    ):
        rows.append(empty | good | {"experiment": "method", "set": name} | changed)
    axis = requirements(rows).axes[0]
    failed = [[j for j, text in enumerate(row) if "\u2717" in text] for row in drawn(axis)]
    assert failed == [[], [], [0, 6], [1], [], [2], [4]]
    assert drawn(axis)[3][1] == "\u2717 12, 5 %"
    assert "own signs at least 90; expert at least 82" in axis.get_xlabel()
    only = requirements(rows, [("method", "added")]).axes[0]
    assert [[text.split()[0] for text in row[4:5]] for row in drawn(only)] == [["\u2717"]]


def test_without_ceiling_no_requirement_is_called_met_that_asks_for_it():
    row = dict.fromkeys(columns()) | {
        "experiment": "blur",
        "set": "kernel 3",
        "labels": "",
        "disease_accuracy": 90.0,
        "own_signs_auc": 99.0,
    }
    axis = requirements([row]).axes[0]
    assert drawn(axis) == [["-, - %", "no others", "99", "-", "- %", "- %", "-"]]
    assert "own signs" not in axis.get_xlabel()


def test_page_and_answer_warn_of_judges_that_guess(work, capsys):
    """Hardly trained judges name nobody, so nobody is held back: a reader has to know that."""
    metrics = read_card(work / "weights" / "judges")["metrics"]
    doubts = no_better_than_guessing(metrics)
    assert doubts
    assert command(work) == 0
    said, page = capsys.readouterr().out, (work / "why.html").read_text(encoding="utf-8")
    for doubt in doubts:
        assert doubt in said
        assert doubt in page
