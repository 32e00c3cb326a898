"""The same work in several processes: order, and what an error does to the rest."""

import os
import time
from functools import partial
from pathlib import Path

import cv2
import pytest

from medpriv_lib.core.processes import in_processes


def squared(number):
    return number * number, os.getpid(), cv2.getNumThreads()


def written(number, folder):
    if number == 1:
        raise ValueError("piece 1 is broken")
    time.sleep(0.01)
    (Path(folder) / str(number)).touch()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    found = list(in_processes(squared, range(7), workers, each=2))
    assert [one for one, _, _ in found] == [number * number for number in range(7)]
    elsewhere = {process for _, process, _ in found} - {os.getpid()}
    assert bool(elsewhere) == (workers > 1)
    if workers > 1:
        assert {threads for _, _, threads in found} == {1}


def test_nothing_to_do_yields_nothing():
    assert list(in_processes(squared, [])) == []


def test_an_error_is_raised_and_the_rest_is_not_begun(tmp_path):
    with pytest.raises(ValueError, match="piece 1 is broken"):
        list(in_processes(partial(written, folder=tmp_path), range(200), 2))
    assert len(list(tmp_path.iterdir())) < 100
