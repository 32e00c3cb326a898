"""Cohorts with visits: what their plan counts, that findings change from visit to visit, and that a
crossed cohort's patients say nothing of the label."""

import csv
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from medpriv_lib.data.manifest import BadManifest, read_manifest
from medpriv_lib.data.packaged import KINDS, packaged_cohort
from medpriv_lib.data.prepare import prepare
from medpriv_lib.data.synthetic.course import Course
from medpriv_lib.data.synthetic.difficulty import VISITS, changed
from medpriv_lib.data.synthetic.pathology import SIGNS, Pathology
from medpriv_lib.data.synthetic.visit_images import (
    capture_of,
    findings_at,
    geometry_of,
    render_shot,
    write_visits,
)
from medpriv_lib.data.synthetic.visits import plan_visits


def files_of(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def columns(shots):
    label = np.array([shot.glaucoma for shot in shots])
    patient = np.array([shot.patient for shot in shots])
    return label, patient


@pytest.fixture(scope="module", params=KINDS)
def planned(request):
    return request.param, plan_visits(request.param)


def test_the_counts_are_the_papers(planned):
    kind, shots = planned
    label, patient = columns(shots)
    assert len(shots) == 1795
    assert label.sum() == 425
    assert len(set(patient.tolist())) == 115
    assert len({shot.stem for shot in shots}) == 1795
    assert plan_visits(kind) == shots
    assert plan_visits(kind, seed=1) != shots
    silent = np.array([shot.slot.silent for shot in shots])
    assert not silent[~label].any()
    assert 0.10 <= silent[label].mean() <= 0.15


def test_visits_are_dated_in_order_and_show_both_eyes(planned):
    _, shots = planned
    for _, group in groupby(shots, key=lambda shot: shot.patient):
        slots = {shot.slot for shot in group}
        days = {slot.visit: slot.day for slot in slots}
        assert sorted(days) == list(range(1, len(days) + 1))
        assert len(days) >= 2
        assert {slot.visits for slot in slots} == {len(days)}
        assert all(days[k] < days[k + 1] for k in range(1, len(days)))
        assert {(slot.visit, slot.eye) for slot in slots} == {(v, e) for v in days for e in "LR"}


def entropy(share):
    return 0.0 if share in (0, 1) else -share * np.log2(share) - (1 - share) * np.log2(1 - share)


def told(label, patient):
    """How many bits the patient tells of the label of an image."""
    rest = sum(
        (patient == one).mean() * entropy(label[patient == one].mean()) for one in set(patient)
    )
    return entropy(label.mean()) - rest


def test_in_a_crossed_cohort_the_patient_tells_nothing_of_the_label():
    """Fewer bits than the patient would tell by chance, were labels dealt out at random; the
    majority label of the patient is right as often as "healthy" always is; in the confounded cohort
    it is nearly always right."""
    label, patient = columns(plan_visits("crossed"))
    rng = np.random.default_rng(0)
    chance = [told(rng.permutation(label), patient) for _ in range(5)]
    assert told(label, patient) < min(chance)
    both = [0 < label[patient == one].mean() < 1 for one in set(patient)]
    assert np.mean(both) > 0.9
    majority = np.array([label[patient == one].mean() > 0.5 for one in patient])
    assert (majority == label).mean() <= (~label).mean() + 0.02

    label, patient = columns(plan_visits("confounded"))
    assert told(label, patient) > 10 * max(chance)
    majority = np.array([label[patient == one].mean() > 0.5 for one in patient])
    assert (majority == label).mean() > 0.95


def test_in_a_confounded_cohort_most_patients_have_one_label_and_a_few_change():
    shots = plan_visits("confounded")
    label, patient = columns(shots)
    one = [label[patient == p].mean() in (0, 1) for p in set(patient)]
    assert np.mean(one) > 0.85
    slots = {shot.slot for shot in shots}
    states = {}
    for slot in slots:
        states.setdefault((slot.patient, slot.eye), {})[slot.visit] = slot.glaucoma
    changing = set()
    for (patient_, _), visits in states.items():
        line = [visits[k] for k in sorted(visits)]
        assert line == sorted(line), "glaucoma does not go away"
        if line[0] != line[-1]:
            changing.add(patient_)
    assert 4 <= len(changing) <= 9


@pytest.mark.parametrize("kind", KINDS)
def test_silent_images_show_nothing_and_the_others_have_signs(kind):
    shots = [shot for shot in plan_visits(kind) if shot.glaucoma and shot.number == 1]
    silent = [shot for shot in shots if shot.slot.silent]
    for shot in silent:
        found = findings_at(kind, shot.slot)
        assert found.glaucoma
        assert found == replace(found.without_glaucoma(), glaucoma=True)
        assert found.mid_dilation == 0
    rendering = render_shot(silent[0], kind)
    assert np.array_equal(rendering.image, rendering.twin)
    assert not rendering.evidence.any()
    seen = [findings_at(kind, shot.slot) for shot in shots if not shot.slot.silent]
    assert all(found.haze > 0 and found.glaucoma for found in seen)


def signs(found):
    return tuple(getattr(found, name) for name in SIGNS)


@pytest.mark.parametrize("kind", KINDS)
def test_findings_are_shared_within_a_visit_and_differ_between_visits(kind):
    sick = [shot for shot in plan_visits(kind) if shot.glaucoma and not shot.slot.silent]
    by_eye = {}
    for shot in sick:
        by_eye.setdefault((shot.patient, shot.slot.eye), {})[shot.slot.visit] = findings_at(
            kind, shot.slot
        )
    several = [list(visits.values()) for visits in by_eye.values() if len(visits) > 1]
    assert len(several) >= 20
    for visits in several:
        assert len({signs(found) for found in visits}) == len(visits)
        assert len({found.nevi for found in visits}) == 1  # who it is stays


def test_a_crossed_patients_signs_on_two_visits_are_as_unlike_as_two_patients_are():
    """Haze of two visits of an eye: no correlation; in the confounded cohort a strong one."""
    correlation = {}
    for kind in KINDS:
        haze = {}
        for shot in plan_visits(kind, 400, 6000):
            slot = shot.slot
            if slot.glaucoma and not slot.silent and shot.number == 1:
                haze.setdefault((slot.patient, slot.eye), []).append(findings_at(kind, slot).haze)
        pairs = np.array([values[:2] for values in haze.values() if len(values) > 1])
        correlation[kind] = np.corrcoef(pairs.T)[0, 1]
    assert abs(correlation["crossed"]) < 0.3
    assert correlation["confounded"] > 0.6


def test_a_course_progresses_and_what_was_cut_stays_cut():
    for seed in range(40):
        course = Course.draw(np.random.default_rng(seed), 5)
        found = [course.at(visit, True) for visit in range(1, 6)]
        holes = [bool(one.holes) for one in found]
        wedges = [one.wedge is not None for one in found]
        assert holes == sorted(holes)
        assert wedges == sorted(wedges)
        assert found[-1].ovality >= found[0].ovality
        if course.worst.wedge is not None and course.surgery < 5:
            after = course.at(course.surgery + 1, True)
            assert after.haze <= 0.6 * 1.15 * course.worst.haze
        for one in found:
            assert not (one.cataract and one.lens)
        healthy = course.at(3, False)
        assert healthy == healthy.without_glaucoma()


def test_drops_dilate_both_eyes_on_some_visits():
    shots = plan_visits("confounded")
    ratios = {}
    for shot in shots:
        place = (shot.patient, shot.slot.visit)
        ratios.setdefault(place, set()).add(capture_of("confounded", shot).pupil_ratio)
    dilated = [values for values in ratios.values() if len(values) == 1 and min(values) >= 0.56]
    assert 0.09 < len(dilated) / len(ratios) < 0.22


def test_a_killed_writer_is_completed_to_the_same_bytes(tmp_path):
    one = write_visits(tmp_path / "one", "crossed", 4, 16, workers=1)
    two = write_visits(tmp_path / "two", "crossed", 4, 16, workers=2)
    written = files_of(one.parent)
    assert written == files_of(two.parent)
    shots = plan_visits("crossed", 4, 16)
    rows = list(csv.DictReader(one.read_text().splitlines()))
    assert [row["file"] for row in rows] == [
        f"images/{shot.folder}/{shot.stem}.png" for shot in shots
    ]
    assert [row["date"] for row in rows] == [shot.slot.day.isoformat() for shot in shots]

    for shot in shots[3:6]:  # as after a kill
        (two.parent / "images" / shot.folder / f"{shot.stem}.png").unlink()
    (two.parent / "images" / shots[3].folder / f".{shots[3].stem}-abc.png").write_bytes(b"half")
    two.unlink()
    (two.parent / "truth" / "geometry.csv").unlink()
    write_visits(two.parent, "crossed", 4, 16, workers=1)
    assert files_of(two.parent) == written
    with pytest.raises(ValueError, match="other parameters"):
        write_visits(two.parent, "confounded", 4, 16, workers=1)

    cohort, report = prepare(read_manifest(one.parent), progress=False)
    assert cohort.visit.tolist() == [shot.slot.visit for shot in shots]
    assert cohort.diseased.tolist() == [shot.glaucoma for shot in shots]
    assert report["error_px"]["iris_centre"]["median"] < 4
    healthy = ~cohort.diseased
    assert np.array_equal(cohort.twin[healthy], cohort.images[healthy])
    for row in np.flatnonzero(cohort.diseased):
        away = np.abs(cohort.images[row].astype(int) - cohort.twin[row])
        mask = cohort.evidence[row]
        if mask.any():  # cut alike: they differ where the evidence is, and hardly anywhere else
            assert away[mask].mean() > 4
            assert away[mask].mean() > 3 * away[~mask].mean()
    eye = geometry_of(shots[0], "crossed")
    assert eye.iris_r > 60


def manifest_of(tmp_path, visit):
    import cv2

    for k in range(2):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((40, 40), 90 + k, np.uint8))
    table = tmp_path / "m.csv"
    table.write_text(f"file,patient,label,visit\n0.png,a,0,{visit}\n1.png,b,1,2\n")
    return table


def test_a_manifest_may_number_visits(tmp_path):
    assert read_manifest(manifest_of(tmp_path, "03")).visit.tolist() == [3, 2]


@pytest.mark.parametrize("visit", ["", "0", "baseline", "-1", "1.5"])
def test_visits_that_are_no_numbers_are_refused(tmp_path, visit):
    with pytest.raises(BadManifest, match="row 2: visit is .*rename the column"):
        read_manifest(manifest_of(tmp_path, visit))


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(ValueError, match="4 to 9999"):
        plan_visits("crossed", 3, 100)
    with pytest.raises(ValueError, match="at least 4 images"):
        plan_visits("crossed", 10, 39)
    for wrong in (plan_visits, packaged_cohort):
        with pytest.raises(ValueError, match="confounded, crossed"):
            wrong("other")


@pytest.mark.parametrize(("patients", "images"), [(4, 16), (5, 23), (12, 150)])
@pytest.mark.parametrize("kind", KINDS)
def test_small_plans_keep_their_promises(kind, patients, images):
    shots = plan_visits(kind, patients, images, seed=3)
    label, patient = columns(shots)
    assert len(shots) == images
    assert set(patient.tolist()) == set(range(1, patients + 1))
    assert 0 < label.sum() < images


def test_a_difficulty_is_written_as_text():
    assert changed("") == VISITS
    assert changed("person_spread=0.5,weak_share=0.3") == replace(
        VISITS, person_spread=0.5, weak_share=0.3
    )
    for wrong in ("speed=1", "noise", "noise=x", "weak_share=2"):
        with pytest.raises(ValueError, match=r"difficulty|weak_share"):
            changed(wrong)


def test_signs_move_to_another_eye_and_distractors_stay():
    one = Pathology.draw(np.random.default_rng(0), True)
    other = replace(Pathology(), cataract=0.8, pterygium=1.0)
    both = other.with_signs_of(one)
    assert signs(both) == signs(one)
    assert (both.cataract, both.pterygium, both.nevi) == (0.8, 1.0, ())
