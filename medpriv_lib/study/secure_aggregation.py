"""What secure aggregation costs over the number of sites, and what 1,000 sites would cost.

`python -m medpriv_lib.study.secure_aggregation --out FOLDER` writes `secure-aggregation.json`
there, and goes on from the file where it was stopped. Every round that is timed is also checked:
the sum must be the plain sum, number by number.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt64
from scipy.optimize import nnls

from medpriv_lib.core import weights as store
from medpriv_lib.core.files import write_json
from medpriv_lib.federation.secure_aggregation import fixed_point, messages, shamir
from medpriv_lib.federation.secure_aggregation.coordinator import Coordinator
from medpriv_lib.federation.secure_aggregation.identity import enrol
from medpriv_lib.federation.secure_aggregation.member import Member
from medpriv_lib.study.command import into_folder

NAME = "secure-aggregation.json"
SITES, WEIGHTS = (3, 10, 30, 100), (1_000, 1_000_000)
LOST = 2  # drop-outs of the second round of a point; one where the threshold allows one
REPEATS = 3  # of small rounds; each figure is the least, as a busy machine only adds
PLANNED = {"1,000,000 weights": 1_000_000, "ResNet-18": 11_689_512}  # torchvision's count
PLANNED_SITES = 1_000
SEED = 0
SMALL = 10**8  # sites squared times weights: above that a point is timed once
# a part's seconds are a sum of these counts, each times a constant that is fitted: n sites, a
# threshold of t, m numbers
COUNTS: dict[str, Callable[[int, int, int], list[int]]] = {
    "share": lambda n, t, m: [n, n * t],
    "mask": lambda n, t, m: [n, n * m],
    "reveal": lambda n, t, m: [n],
    "collect": lambda n, t, m: [n, n * n, n * m],
    "open": lambda n, t, m: [n * t, t * t, n * m],
    "recover": lambda n, t, m: [n, t, n * m],
}


def threshold_of(sites: int) -> int:
    """Return the threshold of the study: two thirds of the sites, rounded up."""
    return -(-2 * sites // 3)


def bytes_of(sites: int, numbers: int) -> dict[str, int]:
    """Return what one site sends and gets in a round without drop-outs, in bytes of content.

    Counted as `messages.size` counts.
    """
    sealed = 8 + 12 + 2 * shamir.SHARE + 16  # whose, nonce, two shares, tag
    shares = (8 + 8 + 32) + (sites - 1) * sealed
    opened = 16 + sites * (8 + shamir.SHARE)
    sent = (16 + 2 * 32 + 64) + shares + (16 + 8 * numbers) + (16 + 64) + opened
    got = 4 * 8 + sites * (2 * (8 + 32) + (8 + 64)) + (sites - 1) * sealed
    got += 8 * sites + sites * (8 + 64)
    return {"sent": sent, "got": got}


def measure(
    folder: Path,
    say: Callable[[str], None],
    sites: Iterable[int] = SITES,
    weights: Iterable[int] = WEIGHTS,
) -> dict:
    """Measure the points that are not in `folder/secure-aggregation.json` yet; return all.

    The file is saved after each point. The plan is made anew from all points.
    """
    path = folder / NAME
    content: dict = {"provenance": provenance(), "points": []}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["provenance"] == content["provenance"]:
            content = found
    for n in sites:
        for m in weights:
            if any((one["sites"], one["weights"]) == (n, m) for one in content["points"]):
                continue
            say(f"{n} sites, {m:,} weights")
            content["points"].append(point(n, m))
            write_json(path, content)
    content["plan"] = plan(content["points"])
    write_json(path, content)
    return content


def provenance() -> dict:
    """Return which versions and machine the numbers belong to."""
    return {
        "versions": store.versions() | {"cryptography": metadata.version("cryptography")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": "python -m medpriv_lib.study.secure_aggregation",
        "seed": SEED,
        "repeats": REPEATS,
    }


def point(sites: int, weights: int) -> dict:
    """Time rounds of that many sites and weights; return the least CPU seconds of each part.

    "share", "mask" and "reveal" are one site's, the mean over sites; "collect" and "open" the
    coordinator's without drop-outs; "recover" what one lost site adds; "plain site" and "plain
    coordinator" the same for a plain weighted mean of float32.
    """
    threshold = threshold_of(sites)
    gone = min(LOST, sites - threshold)
    repeats = REPEATS if sites * sites * weights < SMALL else 1
    best: dict[str, float] = {}
    for _ in range(repeats):
        found = timed_round(sites, weights, 0)
        others = found["open"] * (sites - gone) / sites  # of a round with losses: the rest of it
        found["recover"] = (timed_round(sites, weights, gone)["open"] - others) / gone
        found |= timed_plain(sites, weights)
        best = {part: min(one, best.get(part, np.inf)) for part, one in found.items()}
    return {
        "sites": sites,
        "threshold": threshold,
        "weights": weights,
        "lost": gone,
        "repeats": repeats,
        "cpu": {part: round(max(seconds, 0.0), 6) for part, seconds in best.items()},
        "bytes": bytes_of(sites, weights + 1),
        "plain_bytes": {"sent": 4 * weights + 8},
    }


def timed_round(sites: int, weights: int, lost: int) -> dict[str, float]:
    """Run a round in which the last `lost` sites send no numbers; return CPU seconds by part.

    Raises `RuntimeError` where the sum is not the plain sum or the bytes are not `bytes_of`.
    """
    identities, roster = enrol("the study", sites, threshold_of(sites))
    members = {n: Member(one, roster) for n, one in identities.items()}
    coordinator = Coordinator(roster, 1, weights + 1)
    clock: dict[str, float] = dict.fromkeys(("share", "mask", "reveal", "collect", "open"), 0.0)
    sent = {n: 0 for n in members}

    def timed(part: str, work: Callable, *given: Any) -> Any:
        start = time.process_time()
        done = work(*given)
        clock[part] += time.process_time() - start
        return done

    def deliver(message: Any) -> None:
        sent[message.site] += messages.size(message)
        timed("collect", coordinator.receive, message)

    for member in members.values():
        deliver(timed("share", member.advertise, 1))
    told = timed("collect", coordinator.keys)
    for member in members.values():
        deliver(timed("share", member.share, told))
    inboxes = timed("collect", coordinator.inboxes)
    plain, staying = np.zeros(weights + 1, np.uint64), sites - lost
    for number in range(1, staying + 1):
        own = numbers_of(number, weights, sites)
        plain += own
        deliver(timed("mask", members[number].mask, inboxes[number], own))
    listed = timed("collect", coordinator.survivors)
    for number in range(1, staying + 1):
        deliver(timed("reveal", members[number].agree, listed))
    signed = timed("collect", coordinator.agreements)
    for number in range(1, staying + 1):
        deliver(timed("reveal", members[number].reveal, signed))
    if not (timed("open", coordinator.total) == plain).all():
        raise RuntimeError(f"the sum of {sites} sites is not the plain sum; look at the library")
    if sent[1] != bytes_of(sites, weights + 1)["sent"]:
        raise RuntimeError(f"a site sent {sent[1]} bytes, not as counted; look at `bytes_of`")
    each = {"share": sites, "mask": staying, "reveal": staying}
    return {part: seconds / each.get(part, 1) for part, seconds in clock.items()}


def timed_plain(sites: int, weights: int) -> dict[str, float]:
    """Return the CPU seconds of a plain weighted mean: at one site, and at the coordinator."""
    g = np.random.default_rng(SEED)
    update = g.normal(size=weights).astype(np.float32)
    start = time.process_time()
    sending = update.tobytes()
    middle = time.process_time()
    total = np.zeros(weights)
    for number in range(1, sites + 1):
        total += patients_of(number) * np.frombuffer(sending, np.float32).astype(float)
    total /= sum(map(patients_of, range(1, sites + 1)))
    return {"plain site": middle - start, "plain coordinator": time.process_time() - middle}


def patients_of(site: int) -> int:
    """Return how many patients a site of the study counts."""
    return 20 + site


def numbers_of(site: int, weights: int, sites: int) -> UInt64[np.ndarray, " m"]:
    """Return a site's update in fixed point: normal numbers from its own seed."""
    update = np.random.default_rng((SEED, site)).normal(size=weights)
    return fixed_point.encode(update, patients_of(site), sites)


def plan(points: list[dict]) -> dict:
    """Return what a round of 1,000 sites would cost, from the points, and how far to trust that.

    Each part's seconds are fitted by the counts of `COUNTS` with constants of at least 0, all
    points with the same relative weight. `check` leaves the points with the most sites out, and
    says by which factor the fit of the others misses them.
    """
    most = max(one["sites"] for one in points)
    known = [one for one in points if one["sites"] < most]
    planned: dict[str, dict] = {}
    for name, m in PLANNED.items():
        n, t = PLANNED_SITES, threshold_of(PLANNED_SITES)
        seconds = {part: _predict(_fit(points, part), part, n, t, m) for part in COUNTS}
        size = bytes_of(n, m + 1)
        planned[name] = {
            "sites": n,
            "threshold": t,
            "weights": m,
            "cpu": {part: float(f"{one:.3g}") for part, one in seconds.items()},
            "bytes": size,
        }
    factors: dict[str, float] = {}
    for part in COUNTS:
        fitted = _fit(known, part)
        last = max((one for one in points if one["sites"] == most), key=lambda p: p["weights"])
        found = _predict(fitted, part, most, last["threshold"], last["weights"])
        factors[part] = float(f"{found / max(last['cpu'][part], 1e-9):.3g}")
    return {"at": planned, "check": {"sites": most, "predicted_over_measured": factors}}


def _fit(points: list[dict], part: str) -> list[float]:
    rows, seconds = [], []
    for one in points:
        if one["cpu"][part] > 0:
            rows.append(COUNTS[part](one["sites"], one["threshold"], one["weights"]))
            seconds.append(one["cpu"][part])
    relative = np.array(rows, float) / np.array(seconds)[:, None]
    scale = relative.max(axis=0)  # the counts differ by many powers of ten
    return list(nnls(relative / scale, np.ones(len(seconds)))[0] / scale)


def _predict(constants: list[float], part: str, n: int, t: int, m: int) -> float:
    return float(np.dot(constants, COUNTS[part](n, t, m)))


def main(argv: list[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder("medpriv_lib.study.secure_aggregation", measure, argv)


if __name__ == "__main__":
    main()
