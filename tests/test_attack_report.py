"""The report of an attack: verdict, picture of the worst case, what is written, and on a phone."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import scene_of, toy_cohort

from medpriv_lib.attacks.attackers import Attackers
from medpriv_lib.attacks.budget import Budget
from medpriv_lib.attacks.findings_page import render
from medpriv_lib.attacks.registry import attacks, run
from medpriv_lib.attacks.report import report_of, write_report
from medpriv_lib.attacks.setting import Setting
from medpriv_lib.attacks.towers import Schedule
from medpriv_lib.measures.anonymity import audit
from medpriv_lib.privatizers.blur import Blur

CHROMIUM = "/usr/bin/chromium"
SMALL = Budget(Schedule(20, 3e-3, 16), Schedule(20, 3e-3, 16), orders=20)


@pytest.fixture(scope="module")
def made():
    cohort = toy_cohort()
    release = Blur(3).privatize(cohort)
    scene = scene_of(cohort, release.images)
    setting = Setting(
        [scene], Attackers(cohort, budget=SMALL), release.method, release.parameters, Blur
    )
    return setting, run(setting), audit(release, cohort)


def test_the_verdict_is_words_and_a_notebook_shows_the_worst_case(made):
    report = report_of(*made)
    assert "best naming attack" in report.verdict()
    page = report._repr_html_()
    assert report.verdict().replace("'", "&#x27;") in page
    assert page.count("data:image/png;base64,") == 2
    assert "<html" not in page  # a part of a page
    setting, case = made[0], report.case
    worst = report.worst()[0][0]
    patient = int(np.flatnonzero(report.numbers == worst)[0])
    scene, cohort = setting.scene, setting.cohort
    shown = [(case.released == image).all() for image in scene.released]
    assert cohort.patient[scene.source[int(np.argmax(shown))]] == patient
    linked = [(case.original == image).all() for image in cohort.images]
    assert (cohort.patient[int(np.argmax(linked))] == patient) == case.right
    assert case.right  # the patient was found, so a right link is shown


def test_no_picture_is_written_and_nothing_leads_back(made, tmp_path):
    report = report_of(*made)
    write_report(report, tmp_path, {"seed": 0})
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert "base64" not in page
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["verdict"] == report.verdict()
    for one in content["findings"]:
        assert list(one["per_patient"]) == sorted(one["per_patient"], key=int)
    assert {one["patient"] for one in content["worst"]} <= set(range(1, 9))
    assert not {"rows", "linked", "hits", "probe"} & {
        key for one in content["findings"] for key in one
    }


def test_the_numbers_of_the_patients_follow_from_no_seed(made):
    """8 patients, 40,320 orders: the same one twice in a row of four comes in 1 of 6,700 trials."""
    drawn = [report_of(*made).numbers.tolist() for _ in range(4)]
    assert all(sorted(one) == list(range(1, 9)) for one in drawn)
    assert len({tuple(one) for one in drawn}) == 4
    given = np.arange(8, 0, -1)
    assert report_of(*made, numbers=given).numbers is given


def test_what_was_not_possible_stands_in_the_table(made):
    page = report_of(*made)._repr_html_()
    assert "not possible here: no recogniser of these patients was given" in page
    assert page.count("<tr>") == 1 + len(attacks())


def test_on_a_phone_nothing_lies_off_the_screen(made, tmp_path):
    if not os.path.exists(CHROMIUM):
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a browser at {CHROMIUM}")
        pytest.skip(f"no browser at {CHROMIUM}")
    playwright = pytest.importorskip("playwright.sync_api")
    write_report(report_of(*made), tmp_path, {})
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 740})
        page.goto((tmp_path / "report.html").as_uri())
        right = page.evaluate(
            "Math.max(...[...document.querySelectorAll('table.findings td')]"
            ".map(cell => cell.getBoundingClientRect().right))"
        )
        wide = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert right <= 360
    assert wide <= 360


def test_what_was_released_and_what_was_attacked_are_both_counted(made):
    report, released = report_of(*made), len(made[2].group)
    assert report.images < released
    counted = f"<p>{released} released images of {report.patients} patients"
    part, whole = render(report), render(replace(report, images=released))
    assert counted in part
    assert f" {report.images} of them were attacked; the others were told" in part
    assert counted in whole
    assert "were attacked" not in whole


def test_patients_none_of_whose_images_was_attacked_are_counted_among_the_released(made):
    setting, found, _ = made
    cohort = setting.cohort
    release = Blur(3).privatize(cohort)
    report = replace(report_of(setting, found, audit(release, cohort)), patients=5)
    assert f"<p>{len(cohort)} released images of {cohort.patients} patients" in render(report)


def test_the_bars_of_risk_stand_between_the_edges_that_are_named(made):
    """The last bar ends at 100 %: patients who are found every time were once below "90 %"."""
    report = report_of(*made)
    picture = render(report).split("<h2>Who is at risk</h2>")[1].split("</svg>")[0]
    bars = [int(x) for x in re.findall(r'<rect x="(\d+)"', picture)]
    edges = [int(x) for x in re.findall(r'<text x="(\d+)" y="126" text-anchor="middle"', picture)]
    assert re.findall(r">(\d+) %</text>", picture) == ["0", "50", "100"]
    assert edges[0] < bars[0]
    assert bars[4] + 30 < edges[1] < bars[5]
    assert bars[9] + 30 < edges[2] < 420 - 15
