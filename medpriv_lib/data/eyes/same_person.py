"""What the images of one person say of each other: all their irises are of about one size."""

from collections import defaultdict
from collections.abc import Hashable, Mapping

import numpy as np

from medpriv_lib.data.eyes.examine import Finding

# Of 1,795 synthetic eyes, whose distance to the camera varies by 40 %, two lie further than 1.25
# from their patient's median, and both were located wrongly. The pupil taken for the iris is 1.4 or
# more times too small.
ODD = 1.25
FEWEST = 3  # so many other images with a sure eye make a size


def usual_sizes(findings: Mapping[int, Finding], group: Mapping[int, Hashable]) -> dict[int, float]:
    """Return for each row the median iris radius, px, of the sure eyes in its group's other rows.

    `group` names what images have in common: the person and the size of the image. Rows with fewer
    than three such others are missing.
    """
    members = defaultdict(list)
    for row, finding in findings.items():
        if finding.eye is not None and finding.sure:
            members[group[row]].append((row, finding.eye.iris_r))
    usual = {}
    for row in findings:
        others = [radius for other, radius in members[group[row]] if other != row]
        if len(others) >= FEWEST:
            usual[row] = float(np.median(others))
    return usual


def is_odd(finding: Finding, usual: float) -> bool:
    """Say whether an eye is far from the usual size of its person's."""
    return finding.eye is not None and not usual / ODD <= finding.eye.iris_r <= usual * ODD
