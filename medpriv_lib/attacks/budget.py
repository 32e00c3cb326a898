"""How much an attacker spends: the schedules of the networks, and how often a method is run again.

Everything that decides how long an attack takes stands here, so that a test or a quick look passes
a smaller budget, and nothing has to be changed from outside.
"""

from dataclasses import dataclass

from medpriv_lib.attacks.towers import ORIGINALS, RELEASED, SCRATCH, Schedule


@dataclass(frozen=True)
class Budget:
    """What the attacks on one release may spend; the numbers of the study.

    `originals` and `released` are the schedules of the two towers, `scratch` that of a second tower
    that does not begin with the first. `restorer_epochs` and `restorer_pairs`: of the network that
    undoes a blur, which learns little more from more. `gallery_runs`: how often a method that
    averages images is run again with half of its gallery; everybody is out in half of them.
    `generators`, `generator_rounds`, `generator_size`: how many shadow generators, the training
    rounds of each, and their images' size in pixels. `orders`: how many seeds are tried against the
    order of the shared files.
    """

    originals: Schedule = ORIGINALS
    released: Schedule = RELEASED
    scratch: Schedule = SCRATCH
    restorer_epochs: int = 4
    restorer_pairs: int = 400
    gallery_runs: int = 16
    generators: int = 8
    generator_rounds: int = 60
    generator_size: int = 16
    orders: int = 2000


FULL = Budget()
