"""Threads of one core each leave torch and the interpreter as they found them."""

import sys
from threading import Event, get_ident

import pytest
import torch

from medpriv_lib.study_workers import workers


@pytest.fixture(autouse=True)
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_each_worker_computes_on_one_core_and_the_caller_on_all():
    switch = sys.getswitchinterval()
    with workers() as pool:
        assert set(pool.map(lambda _: torch.get_num_threads(), range(8))) == {1}
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2
    assert sys.getswitchinterval() == switch
    with workers(1) as pool:
        assert len(set(pool.map(lambda _: get_ident(), range(8)))) == 1


def test_two_work_side_by_side():
    """Each waits for the other; one after the other they would wait for ever."""
    here, there = Event(), Event()
    with workers() as pool:
        one = pool.submit(lambda: (here.set(), there.wait(10))[1])
        other = pool.submit(lambda: (there.set(), here.wait(10))[1])
        assert one.result()
        assert other.result()


def test_an_error_leaves_nothing_changed():
    def fail():
        with workers() as pool:
            list(pool.map(abs, [1, -2]))
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert torch.get_num_threads() == 2
