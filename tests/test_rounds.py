"""The loop around a training's step, with a trainer that only counts."""

import json
import time

import pytest
import torch

from medpriv_lib.learning.rounds import run


class Counter:
    """A training whose state is how many steps it made."""

    device = torch.device("cpu")

    def __init__(self, stop=None):
        self.done, self.seconds, self.stop, self.saved = 0, 0.0, stop, []

    def step(self):
        if self.done == self.stop:
            raise KeyboardInterrupt
        self.done += 1

    def save(self, folder):
        self.saved.append(self.done)
        (folder / "kept").write_text(json.dumps([self.done, self.seconds]))

    def load(self, folder):
        if not (folder / "kept").is_file():
            return False
        self.done, self.seconds = json.loads((folder / "kept").read_text())
        return True


def test_validates_every_few_steps_and_at_the_end():
    trainer, seen = Counter(), []
    run(trainer, 7, 3, lambda: seen.append(trainer.done))
    assert trainer.done == 7
    assert seen == [3, 6, 7]


def test_keeps_at_the_end_only_unless_minutes_have_passed(tmp_path):
    trainer = Counter()
    run(trainer, 5, 10, lambda: None, tmp_path / "new", minutes=60)
    assert trainer.saved == [5]
    often = Counter()
    run(often, 5, 10, lambda: None, tmp_path / "often", minutes=-1)
    assert often.saved == [1, 2, 3, 4, 5]


def test_goes_on_from_what_was_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(Counter(stop=4), 9, 2, lambda: None, tmp_path, minutes=-1)
    again, seen = Counter(), []
    run(again, 9, 2, lambda: seen.append(again.done), tmp_path)
    assert again.done == 9
    assert seen == [6, 8, 9]


def test_the_pace_leaves_validation_out():
    trainer = Counter()
    run(trainer, 2, 1, lambda: time.sleep(0.2))
    assert 0 < trainer.seconds < 0.1
