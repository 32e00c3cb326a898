"""The three paths: their pages exist, their times are counted, and Decide takes three hours."""

import json

import course
import pace
import paths
import pytest


def test_decide_takes_at_most_three_hours_without_code():
    decide = paths.walks()[0]
    assert decide.name == "Decide"
    assert not decide.code
    assert 120 <= decide.minutes() <= 180
    assert decide.pages[0] == "chapters/parts/start"
    assert "chapters/a-case-study" in decide.pages


def test_every_page_of_a_path_is_in_the_contents_and_comes_once():
    known = {page for part in course.parts() for page in (part.page, *part.pages)}
    for walk in paths.walks():
        assert set(walk.pages) <= known
        assert len(set(walk.pages)) == len(walk.pages), walk.name


def test_build_takes_every_page():
    every = {page for part in course.parts() for page in (part.page, *part.pages)}
    assert set(paths.walks()[2].pages) == every


def test_times_are_counted(tmp_path, monkeypatch):
    (tmp_path / "one.md").write_text("# One\n\n" + "word " * 239)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert paths.Walk("x", "", ("one",)).minutes() == pytest.approx(2.0)
    assert paths.title_of("one") == "One"
    with pytest.raises(FileNotFoundError, match="no such page"):
        paths.counted("two")


def test_a_path_takes_what_its_chapters_take():
    learn = paths.Walk("x", "", ("chapters/blur",), code=True, exercises=True)
    notebook = json.loads(paths.file_of("chapters/blur").read_text(encoding="utf-8"))
    assert round(learn.minutes()) == pace.minutes(notebook)
    plain = paths.Walk("x", "", ("chapters/blur",))
    assert plain.minutes() == pytest.approx(pace.words(notebook) / pace.WORDS_A_MINUTE)


def test_the_landing_page_states_the_speed_that_is_used():
    text = (paths.ROOT / "chapters" / "index.md").read_text(encoding="utf-8")
    assert f"counted at {pace.WORDS_A_MINUTE} words a minute" in text


def test_hours_are_said_in_halves():
    assert [paths.hours(m) for m in (31, 58, 92, 170)] == [
        "½ hour",
        "1 hour",
        "1½ hours",
        "3 hours",
    ]
