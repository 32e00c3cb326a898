"""The pictures of the study: every experiment of the table is drawn, under its own name and mark."""

import subprocess
import sys

import numpy as np
import pytest

from medpriv_lib.data.packaged import default_cohort, disease_of
from medpriv_lib.study.figures.attackers import privacy_and_evidence
from medpriv_lib.study.figures.examples import trade_off
from medpriv_lib.study.figures.requirements import requirements
from medpriv_lib.study.rows import headings, methods
from medpriv_lib.study.table import columns
from medpriv_lib.study.text import render


def row(experiment, name, **values):
    numbers = {
        "identity_accuracy": 10.0,
        "disease_accuracy": 80.0,
        "evidence_kept": 40.0,
        "intelligibility_sharpness": 60.0,
        "best_attack_rank1": 20.0,
        "best_attack_linkage_auc": 70.0,
        "majority_rate": 76.0,
        "chance_identity": 1.0,
    }
    names = {"experiment": experiment, "set": name, "labels": "", "note": ""}
    return dict.fromkeys(columns()) | names | numbers | values


ROWS = [row("blur", "kernel 9"), row("mosaic", "8 tiles", identity_accuracy=33.0)]


def lines_of(axis):
    return {line.get_label(): line for line in axis.get_lines()}


@pytest.mark.parametrize("figure", [trade_off, privacy_and_evidence])
def test_an_experiment_that_no_method_here_asks_for_is_drawn_too(figure):
    drawn = lines_of(figure(ROWS).axes[0])
    assert drawn["mosaic"].get_xdata().tolist() == [33.0]
    assert drawn["blur"].get_xdata().tolist() == [10.0]
    assert drawn["mosaic"].get_marker() == "P"


def test_every_experiment_of_the_study_has_a_heading_of_its_own():
    found = headings(method.experiment for method in methods())
    assert {name: heading.title for name, heading in found.items()} == {
        "baseline": "Baseline",
        "pprl-vgan": "PPRL-VGAN",
        "blur": "Blur",
        "k-same-select": "K-Same-Select",
        "control": "Control",
    }
    assert len({heading.marker for heading in found.values()}) == len(found)


def test_the_requirements_show_every_row():
    axis = requirements(ROWS).axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["blur: kernel 9", "mosaic: 8 tiles"]


def test_only_our_own_cohort_is_said_to_be_of_glaucoma():
    assert disease_of(default_cohort().name) == "glaucoma"
    assert disease_of("chest x-rays") == "disease"
    assert (
        trade_off(ROWS, disease_of("chest x-rays")).axes[0].get_ylabel() == "disease accuracy (%)"
    )
    assert "glaucoma" not in render([row("blur", "kernel 9", n=4, test_patients=2)])


def test_the_grid_of_images_pulls_in_nothing_of_the_study():
    code = (
        "import sys, medpriv_lib.core.drawing; "
        "print([name for name in sys.modules if name.startswith('medpriv_lib.') "
        "and not name.startswith('medpriv_lib.core')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_method_that_the_examples_do_not_allow_has_a_column_that_says_so(toy_weights, tmp_path):
    from small_cohorts import toy_cohort

    from medpriv_lib.pipeline.weights import load_weights
    from medpriv_lib.privatizers.protocol import Resources
    from medpriv_lib.study.figures import examples

    _, vgan, _ = load_weights(toy_weights, toy_cohort())
    resources = Resources(toy_cohort(), trained={vgan.name: vgan})
    made = examples.columns_of(
        {("k-same-select", "3 identities"): "K = 3", ("k-same-select", "12 identities"): "K = 12"},
        resources,
        toy_cohort().of("test"),
        0,
    )
    assert list(made) == ["K = 3", "K = 12\nnot possible here"]
    assert np.all(list(made.values())[1] == 255)
