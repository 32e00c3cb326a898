"""Synthetic near-infrared eyes: `render(identity, pathology, capture)` and the cohort made of
them.
"""

from medpriv_lib.data.synthetic.capture import Capture, Glint, Spectacles, bar, ring
from medpriv_lib.data.synthetic.cohort import (
    IMAGES,
    SEED,
    Item,
    conditions,
    findings,
    person,
    plan,
    render_item,
    write_synthetic,
)
from medpriv_lib.data.synthetic.difficulty import DEFAULT, Difficulty
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.pathology import Hole, Nevus, Pathology, Wedge
from medpriv_lib.data.synthetic.render import Rendering, render, render_with_truth, twin
from medpriv_lib.data.synthetic.scene import locate, pupil_ratio

__all__ = [
    "DEFAULT",
    "IMAGES",
    "SEED",
    "Capture",
    "Difficulty",
    "Glint",
    "Hole",
    "Identity",
    "Item",
    "Nevus",
    "Pathology",
    "Rendering",
    "Spectacles",
    "Wedge",
    "bar",
    "conditions",
    "findings",
    "locate",
    "person",
    "plan",
    "pupil_ratio",
    "render",
    "render_item",
    "render_with_truth",
    "ring",
    "twin",
    "write_synthetic",
]
