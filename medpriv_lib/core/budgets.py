"""How long things may take: every number of epochs, rounds and draws, in one place.

`PAPER` is the comparison at the paper's scale (an hour and a half on one CPU core; on a GPU nobody
has timed it); `SMALL` the same pipeline on a small cohort of one's own in some five minutes on one
core; `READING` what a chapter can afford live; `TOY` is for tests, where only the machinery
matters.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The length of one study.

    `epochs` at most for a recogniser (early stopping ends sooner); `rounds` of the GAN, two steps
    of each network; images in a `batch` of the GAN; random `draws` of the replacement identities.
    """

    epochs: int
    rounds: int
    batch: int
    draws: int


PAPER = Budget(epochs=60, rounds=4800, batch=32, draws=10)
SMALL = Budget(epochs=40, rounds=250, batch=32, draws=10)
READING = Budget(epochs=6, rounds=20, batch=32, draws=3)
TOY = Budget(epochs=1, rounds=2, batch=8, draws=2)
# of a cohort with visits, at most, unless asked for: no draw shares its decodes there
FRESH_DRAWS = 3
SCALES = {"paper": PAPER, "small": SMALL, "reading": READING, "toy": TOY}
