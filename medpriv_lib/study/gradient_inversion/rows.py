"""The rows of the study: which network, how many images, what stands before the update."""

from dataclasses import dataclass
from typing import Literal

from medpriv_lib.study.gradient_inversion.local_steps import Tool

Make = Literal["average", "max", "batch norm"]
Defence = Literal["none", "noise", "mask"]

TARGETS, SOME, FEW = 40, 12, 8  # images under attack, each of another patient
VALIDATION = 4  # of patients who are in no row
SEED = 13
STEPS = 60

# the budget of the row with noise: each patient drawn for a round with this probability
EPSILON, DELTA, ROUNDS, DRAWN = 8.0, 1e-3, 100, 0.1
CLIP = 1.0


@dataclass(frozen=True)
class Row:
    """One row. `name` is shown, and is the key in the results.

    `make` and `trained` say which network; `count` images are attacked together, of one site's
    batch or (`sites`) one of each site; `targets` images in all; `statistics` whose batch norm
    statistics the attacker uses; `start` numbers the noise over the start.
    """

    name: str
    targets: int
    make: Make = "average"
    trained: bool = False
    count: int = 1
    sites: bool = False
    defence: Defence = "none"
    statistics: Literal["the site's", "public eyes'", "none"] = "the site's"
    start: int = 0
    steps: int = 0
    tool: Tool = "plain"


ROWS = (
    Row("average pooling", TARGETS),
    Row("noise for epsilon 8", SOME, defence="noise"),
    Row("masked", SOME, defence="mask"),
    Row("batch of 4", SOME, count=4),
    Row("sum of 3 sites", SOME, count=3, sites=True),
    Row("average pooling, another start", SOME, start=1),
    Row("max pooling", TARGETS, make="max"),
    Row("average pooling, trained", TARGETS, trained=True),
    Row("batch of 8", 2 * FEW, count=8),
    Row("batch norm, statistics known", FEW, make="batch norm"),
    Row("batch norm, statistics of public eyes", FEW, make="batch norm", statistics="public eyes'"),
    Row("batch norm, no statistics", FEW, make="batch norm", statistics="none"),
    Row("4 steps on one image", SOME, steps=4),
    Row("4 steps, an image each", SOME, count=4, steps=4),
    Row("4 steps of AdamW, an image each", SOME, count=4, steps=4, tool="AdamW"),
)
