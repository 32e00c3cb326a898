"""What attackers found of what the federated study's coordinator saw, joined row by row.

The figures come from the files of other studies, each with its own number of targets. Nothing is
carried over from one kind of model to another: where an attack was not tried on what a row shows,
the cell says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medpriv_lib.study.federated_rows import MASKED, OPEN, PROBE
from medpriv_lib.study.gradient_inversion.summary import summarised

NOT_MEASURED = "not measured"
# what the coordinator saw of a network's training -> line of the study of gradient inversion; the
# network of the federated study pools by the maximum, the sums were attacked with the average
INVERTED = {OPEN: "max pooling", MASKED: "sum of 3 sites"}


@dataclass(frozen=True)
class Found:
    """The lines of gradient inversion, and what membership found of the linear layer, by arm."""

    inversion: Mapping[str, Mapping[str, float]]
    membership: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> "Found":
        """Read what the studies wrote into a folder; what is missing stays not measured."""
        inverted = _json(folder / "gradient-inversion.json")
        federated = _json(folder / "federated.json") or {}
        return cls(summarised(inverted) if inverted else {}, federated.get("membership", {}))


def beside(rows: Sequence[Mapping[str, Any]], found: Found) -> list[dict[str, Any]]:
    """Return for each row what the coordinator saw, what two attacks got out of it, CPU seconds of
    a training, and bytes from one site.

    "eye first" is how often gradient inversion ranked the right eye first (share, n, interval over
    patients; for a share of 0 what a chance of 5 % would still allow), of the easiest update: one
    step on one image of each site, where the sites of the study make many. "SSIM" is that of its
    pictures, with that of the public mean eye. "member, AUC" is what LiRA reached (guessing is .5),
    with the number of patients and an interval over them, and "worst tenth" how often it is right
    about the tenth of the patients at the highest risk, with what that tenth would be if all had
    the same risk.
    """
    return [
        {"row": f"{row['arm']} {row['dealt']}".strip(), "the server saw": row["saw"]}
        | _inverted(row, found)
        | _members(row, found)
        | {"CPU s": row["cpu"], "bytes of a site": row["left_per_site"]}
        for row in rows
    ]


def _inverted(row: Mapping[str, Any], found: Found) -> dict[str, str]:
    line = (
        None if row["arm"].startswith(PROBE) else found.inversion.get(INVERTED.get(row["saw"], ""))
    )
    if line is None:
        nothing = "" if row["saw"] in ("all images", "nothing") else NOT_MEASURED
        return dict.fromkeys(("eye first", "SSIM"), nothing)
    between = f"{100 * line['low']:.0f} to {100 * line['high']:.0f}"
    if line["first"] == 0:  # drawing patients anew cannot show a success that nobody had
        between = f"at most {100 * (1 - 0.05 ** (1 / line['n'])):.0f}"
    return {
        "eye first": f"{line['first']:.0%} of {line['n']} ({between})",
        "SSIM": f"{line['ssim']:.2f} (mean eye {line['mean_eye_ssim']:.2f})",
    }


def _members(row: Mapping[str, Any], found: Found) -> dict[str, str]:
    # masks change no weights, and with one step in a round all sites are one large site
    same = {f"{PROBE}secure": f"{PROBE}federated", f"{PROBE}pooled": f"{PROBE}federated"}
    one = found.membership.get(same.get(row["arm"], row["arm"]))
    if one is None:
        return dict.fromkeys(("member, AUC", "worst tenth"), NOT_MEASURED)
    low, high = one["auc_interval"]
    return {
        "member, AUC": f"{one['auc']:.2f} ({low:.2f} to {high:.2f}), {one['patients']} patients",
        "worst tenth": f"{one['worst_decile']:.2f} ({one['equal_worst_decile']:.2f} if all alike)",
    }


def _json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
