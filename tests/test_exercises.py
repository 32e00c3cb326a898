"""The self-checks of the exercises."""

import numpy as np
import pytest
import torch

from medpriv_lib.lessons.exercises import Verdict, check


@pytest.mark.parametrize("truth", [True, np.bool_(True), np.array(True), torch.tensor(True)])
def test_a_right_answer_is_called_right(truth, capsys):
    assert check("Exercise 1", lambda: truth, "look at the sum") == Verdict("Exercise 1", True)
    assert capsys.readouterr().out == "Exercise 1: right.\n"


@pytest.mark.parametrize("truth", [False, np.bool_(False), np.array(False), torch.tensor(False)])
def test_a_wrong_answer_gets_the_hint(truth, capsys):
    assert check("Exercise 1", lambda: truth, "look at the sum").passed is False
    assert capsys.readouterr().out == "Exercise 1: not yet. Hint: look at the sum\n"


def test_an_answer_that_stops_is_not_right_and_says_why(capsys):
    verdict = check("Exercise 2", lambda: 1 / 0 > 0, "count them")
    assert not verdict.passed
    assert verdict.error == "ZeroDivisionError: division by zero"
    assert capsys.readouterr().out.splitlines() == [
        "Exercise 2: not yet. Hint: count them",
        "(It stopped with ZeroDivisionError: division by zero)",
    ]


def test_the_reader_may_interrupt_a_check():
    def test():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("Exercise 2", test, "")


@pytest.mark.parametrize(
    "answer", [None, 1, "yes", [False], np.array([True, True]), torch.tensor(1)]
)
def test_a_test_must_answer_true_or_false(answer):
    with pytest.raises(TypeError, match="exercise Exercise 1 answered"):
        check("Exercise 1", lambda: answer, "hint")


def test_an_exercise_that_nobody_has_begun_gets_one_line_without_a_hint(capsys):
    def my_sum(numbers):
        raise NotImplementedError  # your lines

    verdict = check("Exercise 3", lambda: my_sum([1, 2]) == 3, "add them")
    assert verdict == Verdict("Exercise 3", False, "NotImplementedError")
    assert capsys.readouterr().out == "Exercise 3: not answered yet.\n"


def test_what_a_library_has_not_implemented_is_an_error_like_any_other(capsys):
    def test():
        raise NotImplementedError("no such kernel on this device")

    assert not check("Exercise 3", test, "add them").passed
    assert capsys.readouterr().out.splitlines() == [
        "Exercise 3: not yet. Hint: add them",
        "(It stopped with NotImplementedError: no such kernel on this device)",
    ]
