"""Synthetic near-infrared eyes: `render(identity, pathology, capture)` and the cohort made of
them.
"""

from medpriv_lib.data.synthetic.camera import COHORT_CAMERA, FAMILIES, HELD_OUT, Camera
from medpriv_lib.data.synthetic.capture import Capture
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
from medpriv_lib.data.synthetic.difficulty import DEFAULT, VISITS, Difficulty
from medpriv_lib.data.synthetic.identity import Identity
from medpriv_lib.data.synthetic.lamps import Glint, bar, ring
from medpriv_lib.data.synthetic.pathology import Hole, Nevus, Pathology, Wedge
from medpriv_lib.data.synthetic.population import cut, population
from medpriv_lib.data.synthetic.render import Rendering, render, render_with_truth, twin
from medpriv_lib.data.synthetic.scene import locate, pupil_ratio
from medpriv_lib.data.synthetic.spectacles import Spectacles

__all__ = [
    "COHORT_CAMERA",
    "DEFAULT",
    "FAMILIES",
    "HELD_OUT",
    "IMAGES",
    "VISITS",
    "SEED",
    "Camera",
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
    "cut",
    "findings",
    "locate",
    "person",
    "plan",
    "population",
    "pupil_ratio",
    "render",
    "render_item",
    "render_with_truth",
    "ring",
    "twin",
    "write_synthetic",
]
