"""The study on a cohort with visits: more rows, more measures, draws of their own."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cohorts_with_visits import SIZE, bank, confounded, without_visits

from medpriv_lib.cli import main
from medpriv_lib.core import weights as store
from medpriv_lib.core.budgets import TOY
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.pixels import to_uint8
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data import packaged
from medpriv_lib.measures import intelligibility, kinds_of_signs
from medpriv_lib.measures.own_signs import OwnSigns
from medpriv_lib.pipeline.weights import fit_weights, load_weights
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.sign_transfer.sign_transfer import shipped_strangers
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.expert import NAME, Expert, best_threshold
from medpriv_lib.recognition.eye_judge import fit_eye_judge
from medpriv_lib.recognition.learner import Settings
from medpriv_lib.recognition.verdicts import Panel, unseen_threshold
from medpriv_lib.recognition.wide import Shape, Wide
from medpriv_lib.study.decoded import networks_of
from medpriv_lib.study.paired import read_pairs
from medpriv_lib.study.plan import Plan
from medpriv_lib.study.rows import Releases, methods
from medpriv_lib.study.run import more_judges, run_study
from medpriv_lib.study.table import columns, has_visits, read_table

RESULTS = Path(__file__).parents[1] / "chapters" / "results"
SMALL = Shape((4, 4, 8, 8), (3, 3, 3, 3), "max", 8)


@pytest.fixture(scope="module", autouse=True)
def no_eyes():
    """These images show none, and looking for one takes a second each."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (intelligibility, kinds_of_signs):
            patch.setattr(module, "locate", lambda image: None)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cohort and a folder with all its weights, trained for a moment."""
    cohort, folder = confounded(patients=14), tmp_path_factory.mktemp("second") / "weights"
    fit_weights(cohort, folder, 0, TOY, "cpu", False)
    told = {"settings": Settings(epochs=1), "device": "cpu", "progress": False}
    fit_eye_judge(cohort, folder, **told)
    bank(40).save(folder / "strangers.npz")
    torch.manual_seed(0)
    card = {"kind": NAME, "data_hash": "", "config": {}, "seed": 0, "command": "by hand"}
    expert = Expert((Wide(2, SIZE, 1, SMALL).eval(),), 0.0, card | {"metrics": {}, "curve": {}})
    expert.save(folder / NAME)
    return cohort, folder


@pytest.fixture(scope="module")
def study(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return run_study(*made, out, draws=2, progress=False), out


@pytest.mark.slow
def test_the_new_rows_are_there_and_measured(study):
    rows = {(row["experiment"], row["set"]): row for row in study[0].rows}
    for name in ("stranger", "true signs on a stranger", "own iris in a stranger"):
        row = rows["control", name]
        assert row["note"] == "", name
        assert row["own_signs_auc"] is not None
        assert row["expert_auc"] is not None
        assert row["eye_accuracy_iris"] is not None
    assert rows["control", "stranger"]["own_signs_auc"] == 50
    assert rows["control", "stranger"]["evidence_weighted"] == 0
    assert rows["control", "true signs on a stranger"]["own_signs_auc"] > 95
    assert rows["baseline", "original test set"]["own_signs_auc"] == 100
    assert rows["control", "mean image of the label"]["own_signs_auc"] == 50
    assert "no autoencoder" in rows["control", "plain autoencoder"]["note"]


def test_the_table_holds_the_new_columns_and_the_comparisons(study, made):
    result, out = study
    written = json.loads((out / "table.json").read_text())
    read = read_table(out / "table.csv")
    assert has_visits(read)
    assert list(read[0]) == list(columns(visits=True))
    assert {"own_signs_auc", "expert_severity", "localisation"} <= set(written["rows"][0])
    assert written["provenance"]["expert"] == more_judges(*made)[0].card["sha256"]
    assert "eye-judge" in written["provenance"]
    assert isinstance(written["provenance"]["unseen_threshold"], float)
    pairs = {(one["row"], one["column"]) for one in written["paired"]}
    assert ("baseline/original test set", "own_signs_auc") in pairs
    assert ("control/stranger", "expert_right") in pairs
    told = read_pairs(out)
    one, two = ("blur", "kernel 3"), ("blur", "kernel 21")
    assert told[one, two, "disease_f1"].value == -told[two, one, "disease_f1"].value
    table = {(row["experiment"], row["set"]): row for row in read}
    for column in ("identity_accuracy", "disease_accuracy"):
        apart = table[one][column] - table[two][column]
        assert told[one, two, column].value == pytest.approx(apart, abs=0.02)
    assert result.paired == written["paired"]


@pytest.mark.slow
def test_the_first_versions_table_has_neither(made, tmp_path, monkeypatch):
    cohort = without_visits(made[0])
    folder = tmp_path / "weights"
    fit_weights(cohort, folder, 0, TOY, "cpu", False)
    found = run_study(cohort, folder, tmp_path / "out", draws=1, progress=False)
    assert not has_visits(found.rows)
    assert set(found.rows[0]) == set(columns())
    assert "stranger" not in {row["set"] for row in found.rows}
    content = json.loads((tmp_path / "out" / "table.json").read_text())
    assert "paired" not in content
    new = {"own-signs", "expert", "localisation", "kinds-of-signs", "pupil", "eye-identity"}
    assert not new & {note["measure"] for note in content["notes"]}
    assert more_judges(cohort, folder) == (None, None)
    assert {row.needs_visits for row in Plan().rows()} == {False}
    assert any(row.needs_visits for row in Plan().rows(visits=True))


def test_every_draw_has_noise_of_its_own_and_the_twin_has_the_same(made):
    cohort, folder = made
    judges, vgan, _ = load_weights(folder, cohort)
    test = cohort.of("test")
    resources = Resources(cohort, folder, {vgan.name: vgan, "judges": judges})
    row = next(row for row in methods(True) if row.name == ("pprl-vgan", "random identities"))
    fresh = Releases(resources, {"": test, "true": test, "predicted": test}, 0, 2, fresh=True)
    assert not fresh.serves(row)
    one, two = fresh.of(row)
    z = [vgan.encode(test.images, _after_identities(vgan, test, draw)) for draw in range(2)]
    assert not torch.equal(*z)
    for release, code in zip((one, two), z, strict=True):
        named = torch.from_numpy(release.contributors[:, 0])
        np.testing.assert_array_equal(release.images, to_uint8(vgan.decode(code, named)))
    shared = Releases(resources, {"": test, "true": test, "predicted": test}, 0, 2)
    assert shared.serves(row)
    twins = replace(test, images=test.twin)
    other = next(Releases(resources, {"": twins}, 0, 1, fresh=True).of(row))
    np.testing.assert_array_equal(other.contributors, one.contributors)
    same = (test.images == test.twin).all(axis=(1, 2))
    np.testing.assert_array_equal(other.images[same], one.images[same])


def test_a_code_shown_as_a_patient_is_decoded_once(made, monkeypatch):
    cohort, folder = made
    judges, vgan, _ = load_weights(folder, cohort)
    known, asked = networks_of(vgan, judges)["pprl-vgan"], []
    plain = type(vgan).decode
    monkeypatch.setattr(
        PPRLVGAN, "decode", lambda self, z, c, batch=16: asked.append(len(z)) or plain(self, z, c)
    )
    z, c = torch.randn(5, vgan.latent, generator=seeded(0)), torch.tensor([0, 1, 2, 0, 1])
    first = known.decode(z, c)
    assert torch.allclose(first, plain(vgan, z, c), atol=6e-4)  # half precision
    assert torch.equal(known.decode(z, c), first)
    assert asked == [5]
    known.decode(z, torch.tensor([0, 1, 2, 0, 3]))
    assert asked == [5, 1]
    assert known.decode(z[:0], c[:0]).shape == (0, 1, SIZE, SIZE)


def _after_identities(vgan, test, draw):
    generator = seeded(0, "pprl-vgan", "random identities", draw)
    vgan.with_policy("random").draw_identities(test, generator)
    return generator


def test_the_threshold_of_unseen_judges_comes_from_validation(made):
    cohort, folder = made
    judges = load_weights(folder, cohort)[0]
    val, test = cohort.of("val"), cohort.of("test")
    margins = Panel(judges).margins(val.images, val.patient)
    assert unseen_threshold(judges, val) == best_threshold(margins, val.diseased)
    limit = float(np.median(Panel(judges).margins(test.images, test.patient)))
    called = Panel(judges, unseen_from=limit).ask(test.images, test.patient).unseen
    assert called.sum() == 7  # of 14
    assert unseen_threshold(replace(judges, crossfit=None), val) == 0


@pytest.mark.slow
def test_the_command_knows_the_cohorts_that_ship(made, tmp_path, monkeypatch, capsys):
    cohort, folder = made
    (tmp_path / "cohorts").mkdir()
    cohort.save(tmp_path / "cohorts" / "confounded.npz")
    monkeypatch.setattr(packaged, "FOLDER", tmp_path / "cohorts")
    packaged.packaged_cohort.cache_clear()
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "confounded").symlink_to(folder)
    (tmp_path / "shipped" / "strangers.npz").symlink_to(folder / "strangers.npz")
    shipped_strangers.cache_clear()
    monkeypatch.setattr(store, "FOLDER", tmp_path / "shipped")
    try:
        code = main(["study", "--cohort", "confounded", "--draws", "1"])
    finally:
        packaged.packaged_cohort.cache_clear()
        shipped_strangers.cache_clear()
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "stranger" in shown.out
    assert "requirements" in shown.out
    assert OwnSigns.legend([]).split(":")[0] in shown.out


def test_a_note_on_weights_that_are_not_there_tells_no_folder(made, tmp_path):
    """Notes stand in tables that are shared."""
    rows = [
        row for row in methods(visits=True) if row.cls.name in ("disentangled", "plain-autoencoder")
    ]
    assert len(rows) > 5
    for row in rows:
        with pytest.raises(
            NotApplicable, match="^(not trained|no autoencoder was trained): "
        ) as said:
            row.ready(Resources(confounded(), tmp_path))
        assert str(tmp_path) not in str(said.value)
        assert "data_scripts/train_" in str(said.value)


def test_the_committed_tables_tell_no_folder():
    for kind in ("confounded", "crossed"):
        for row in read_table(RESULTS / kind / "table.csv"):
            assert not re.search(r"(^|\s)/\w", row["note"]), row["note"]
