"""The study of gradient inversion on a toy: resumable, with its controls beside it."""

import json
from dataclasses import replace

import dp_accounting
import numpy as np
import pytest
import torch
from cohorts_with_visits import confounded
from test_gradient_inversion import smooth_images

from medpriv_lib.attacks.gradient_inversion.basis import Basis
from medpriv_lib.attacks.gradient_inversion.gradients import gradients_of
from medpriv_lib.attacks.gradient_inversion.invert import Search
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.recognition.eye_judge import EyeJudge
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.views import eye_numbers
from medpriv_lib.recognition.wide import Shape, Wide
from medpriv_lib.study.gradient_inversion import fresh_targets, three_sets
from medpriv_lib.study.gradient_inversion import run as study_run
from medpriv_lib.study.gradient_inversion.attacked import Court, as_text, from_text, likeness
from medpriv_lib.study.gradient_inversion.local_steps import PLAIN_RATE, local_update
from medpriv_lib.study.gradient_inversion.networks import network_of, trained, with_statistics
from medpriv_lib.study.gradient_inversion.noise import multiplier
from medpriv_lib.study.gradient_inversion.rows import Row
from medpriv_lib.study.gradient_inversion.summary import LINES, summarised

SIZE = 16
TOY = (
    Row("plain", 3),
    Row("batch", 4, count=2),
    Row("sum", 2, count=2, sites=True),
    Row("noise", 2, defence="noise"),
    Row("masked", 2, defence="mask"),
    Row("trained", 2, trained=True),
    Row("steps", 2, count=2, steps=3, tool="AdamW"),
    Row("normed", 2, make="batch norm", statistics="public eyes'"),
)


def toy_study(patients=8):
    cohort = confounded(patients=patients, each=4, size=SIZE)
    cohort = replace(cohort, eye=np.where(np.arange(len(cohort)) % 2, "R", "L"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = Shape((4, 4, 4, 4), (3, 3, 3, 3), "max", 8)
        judge = EyeJudge(Wide(2 * patients, SIZE, shape=shape).eval())
        court = Court(judge, Recogniser(patients, SIZE).eval(), cohort.of("train"))
    settings = (("layers", False, 0.05, 0.1),)
    return study_run.Study(
        cohort, court, smooth_images(4), steps=2, settings=settings, noise=lambda *_: 0.8
    )


def test_the_study_goes_on_where_it_was_stopped(tmp_path):
    said = []

    def stop(text):
        said.append(text)
        if text.startswith("batch: 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_run.run(tmp_path, stop, toy_study(), TOY)
    kept = json.loads((tmp_path / study_run.FILE).read_text())
    assert len(kept["rows"]["plain"]["records"]) == 3
    assert len(kept["rows"]["batch"]["records"]) == 2
    more = []
    whole = study_run.run(tmp_path, more.append, toy_study(), TOY)
    assert not [text for text in more if text.startswith(("plain", "validation"))]
    assert {name: len(row["records"]) for name, row in whole["rows"].items()} == {
        row.name: row.targets for row in TOY
    }
    again = []
    assert study_run.run(tmp_path, again.append, toy_study(), TOY) == whole
    assert not again
    # in one go the same, but for the masks, which no seed gives
    (tmp_path / "other").mkdir()
    other = study_run.run(tmp_path / "other", more.append, toy_study(), TOY)
    for row in TOY:
        if row.defence != "mask":
            assert other["rows"][row.name] == whole["rows"][row.name], row.name
    one_patient_each(whole)
    lines = summarised(whole)
    assert set(LINES) - set(lines) == set(LINES) - {row.name for row in TOY}


def one_patient_each(content):
    """Targets are of different patients, and no validation target is among them."""
    study = toy_study()
    for row in content["rows"].values():
        patients = [record["patient"] for record in row["records"]]
        assert len(set(patients)) == len(patients)
        assert not set(patients) & set(study.cohort.patient[study.order[-4:]].tolist())
    assert [one["row"] for one in content["targets"]] == study.order[:4].tolist()


def test_a_file_of_other_settings_is_begun_anew_and_an_older_file_is_not(tmp_path):
    whole = study_run.run(tmp_path, lambda _: None, toy_study(), TOY[:1])
    for name in ("width", "narrow"):  # what an older file's search does not name
        del whole["search"][name]
    (tmp_path / study_run.FILE).write_text(json.dumps(whole))
    said = []
    assert study_run.run(tmp_path, said.append, toy_study(), TOY[:1]) == whole
    assert not said
    longer = replace(toy_study(), steps=3)
    content = study_run.run(tmp_path, lambda _: None, longer, TOY[:1])
    assert content["provenance"]["config"]["steps"] == 3
    assert content["search"]["steps"] == 3


def test_the_sets_are_of_different_patients_by_one_search(tmp_path):
    study = replace(toy_study(12), basis=Basis.of(smooth_images(6), 3))
    runs = (fresh_targets.run, three_sets.run)
    for run in runs:
        with pytest.raises(FileNotFoundError, match="medpriv_lib.study.gradient_inversion`"):
            run(tmp_path, lambda _: None, study)
    first = study_run.run(tmp_path, lambda _: None, study, TOY[:1])
    with pytest.raises(FileNotFoundError, match="fresh_targets`"):
        three_sets.run(tmp_path, lambda _: None, study)
    one, said = (Row("average pooling", 1),), []
    fresh = fresh_targets.run(tmp_path, lambda _: None, study, one)
    assert fresh["search"] == first["search"]
    assert fresh["provenance"]["config"]["seed"] != first["provenance"]["config"]["seed"]
    assert fresh_targets.run(tmp_path, said.append, study, one) == fresh
    sets = {"third": (Row("average pooling", 5), Row("masked", 1, defence="mask")), "second": one}
    sets["first"] = one
    how = Search(steps=2, width=0.3)

    def stop(text):
        said.append(text)
        if text.startswith("third set, average pooling: 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        three_sets.run(tmp_path, stop, study, sets, how)
    found = three_sets.run(tmp_path, said.append, study, sets, how)
    assert said[2].startswith("third set, average pooling: 3")
    patients = {name: [one["patient"] for one in part["targets"]] for name, part in found.items()}
    assert patients["first"] == [first["targets"][0]["patient"]]
    assert patients["second"] == [fresh["targets"][0]["patient"]]
    seen = {one["patient"] for one in first["targets"]}
    seen |= set(study.cohort.patient[study.order[-4:]].tolist())
    assert not seen & set(patients["second"])
    assert not (seen | set(patients["second"])) & set(patients["third"])
    # both eyes of some patients, and second eyes only after all first ones, in the same order
    third = patients["third"]
    rows = [one["row"] for one in found["third"]["targets"]]
    assert len(set(eye_numbers(study.cohort)[rows])) == 5
    assert (len(set(third[:4])), third[4]) == (4, third[0])
    assert summarised(found["third"])["average pooling"]["n"] == 5
    said.clear()
    assert three_sets.run(tmp_path, said.append, study, sets, how) == found
    assert not said


def test_a_summary_by_hand():
    records = [
        {
            "row": i,
            "patient": i,
            "rank_eye": rank,
            "other_eye": 9.0,
            "psnr": 10.0 + i,
            "labels_right": True,
        }
        | {"rank_patient": 1.0, "rank_photograph": 2.0, "ssim": 0.5}
        for i, rank in enumerate((1.0, 1.0, 3.0, 2.0))
    ]
    content = {
        "provenance": {"patients": 8},
        "targets": [
            {
                "row": i,
                "patient": i,
                "original_eye": 1.0,
                "mean_eye_eye": 7.0,
                "mean_eye_psnr": 20.0,
            }
            | {"mean_eye_ssim": 0.6}
            for i in range(4)
        ],
        "rows": {"plain": {"row": {}, "records": records}},
    }
    line = summarised(content)["plain"]
    assert line["first"] == pytest.approx(0.5)
    assert line["median"] == pytest.approx(1.5)
    assert line["low"] <= 0.5 <= line["high"]
    assert (line["other"], line["mean_eye"], line["original"]) == (0, 0, 1)
    assert line["psnr"] == pytest.approx(11.5)
    assert line["chance"] == pytest.approx(1 / 16)
    assert line["n"] == 4


def test_the_noise_keeps_the_budget_and_is_not_wasted():
    """A second accountant, of Renyi divergences, is never below the first; its bound holds."""
    found = multiplier(8.0, 1e-3, 100, 0.1)

    def spent(noise):
        one = dp_accounting.PoissonSampledDpEvent(0.1, dp_accounting.GaussianDpEvent(noise))
        accountant = dp_accounting.rdp.RdpAccountant()
        accountant.compose(dp_accounting.SelfComposedDpEvent(one, 100))
        return accountant.get_epsilon(1e-3)

    assert 8.0 < spent(found) < 11
    assert spent(1.2 * found) < 8.0


def test_networks_are_seeded_and_statistics_are_those_of_the_images():
    one, two = (network_of("average", SIZE, seed) for seed in (0, 1))
    assert torch.equal(one.head.weight, network_of("average", SIZE, 0).head.weight)
    assert not torch.equal(one.head.weight, two.head.weight)
    x = smooth_images(5)
    network = with_statistics(network_of("batch norm", SIZE, 0), x)
    convolution, norm = next(network.convolutions())
    torch.testing.assert_close(norm.running_mean, convolution(x).mean((0, 2, 3)))
    assert not network.training


def test_the_training_learns_the_labels():
    cohort = confounded(patients=8, each=4, size=SIZE).of("train")
    network = network_of("average", SIZE, 0)
    x, y = to_tensor(cohort.images), torch.from_numpy(cohort.diseased).long()

    def loss(of):
        return float(torch.nn.functional.cross_entropy(of(x), y).detach())

    later = trained(network, cohort, 0, epochs=30)
    assert loss(later) < loss(network) - 0.1


def test_pictures_and_their_likeness():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    assert (from_text(as_text(image)) == image).all()
    near = likeness(image[None], image[None])
    assert near["ssim"][0] == pytest.approx(1, abs=1e-4)
    black, white = np.zeros((1, SIZE, SIZE), np.uint8), np.full((1, SIZE, SIZE), 255, np.uint8)
    assert likeness(black, white)["psnr"][0] == pytest.approx(0, abs=1e-4)


def test_local_steps_equal_slow_ones():
    network = network_of("average", SIZE, 0)
    x, y = smooth_images(2), torch.tensor([0, 1])
    before = {name: one.detach().clone() for name, one in network.named_parameters()}
    once = local_update(network, x[:1], y[:1], 1, "plain")
    for name, one in gradients_of(network, x[:1], y[:1]).items():
        torch.testing.assert_close(once[name], one, rtol=1e-3, atol=1e-5)
    found = local_update(network, x, y, 3, "plain")
    assert all(torch.equal(before[name], one) for name, one in network.named_parameters())
    total = {name: torch.zeros_like(one) for name, one in before.items()}
    for step in (0, 1, 0):  # by hand: three plain steps, the first image twice
        for name, one in gradients_of(network, x[step][None], y[step][None]).items():
            total[name] += one
            with torch.no_grad():
                network.get_parameter(name).sub_(PLAIN_RATE * one)
    for name, one in total.items():
        torch.testing.assert_close(found[name], one, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="at least one step"):
        local_update(network, x, y, 0, "plain")
