"""What one encrypted answer takes between three real processes: seconds, CPU seconds, error."""

import os
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.encrypted.certificates import make_certificates
from medpriv_lib.encrypted.ckks import MODULI, Client, Server, load_square, shrunk
from medpriv_lib.encrypted.parties import Answer, infer_as_data_owner
from medpriv_lib.pipeline.infer import loopback
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits

SESSIONS, IMAGES = 4, 5  # of three processes; images in each
PARTIES = ("model owner", "data owner", "dealer")
STEPS = ("dealing", "preparing", "online")


def measure_loopback(test: Cohort) -> dict:
    """Time three processes that speak TLS on this machine, image by image, in several sessions.

    Seconds are all kept, and the load says how quiet the machine was; CPU seconds of each party are
    medians over images, those of the data owner's process its own. Beside them, in the same run:
    the plaintext, and the square network under CKKS.
    """
    beside: dict[str, list[float]] = {"plaintext": [], "square network under CKKS": []}
    network, square, client = Judges.load().disease, load_square(), Client(min(MODULI))
    server = Server(client.public())
    shown = test.images[:IMAGES]
    plain = logits(network, shown).double().numpy()
    sealed = client.encrypt_image(shrunk(shown[:1])[0])
    found, seconds, cpu, loads = [], [], [], []
    for _ in range(SESSIONS):
        loads.append(round(os.getloadavg()[0], 1))
        answer, spent = _session(to_tensor(shown).numpy())
        found.append(answer)
        cpu += spent
        seconds += answer.costs
        for name, work in (
            ("plaintext", lambda: logits(network, shown[:1])),
            ("square network under CKKS", lambda: server.logits(square, sealed)),
        ):
            start = time.process_time()
            work()
            beside[name].append(time.process_time() - start)
    one = found[0].costs[0]
    each = {name: [round(getattr(c, name), 4) for c in seconds] for name in STEPS}
    return {
        "sessions": SESSIONS,
        "images": IMAGES,
        "load": loads,
        "seconds": {name: {"median": middle(all_), "each": all_} for name, all_ in each.items()},
        "cpu": {
            step: {party: middle([row[step][party] for row in cpu]) for party in PARTIES}
            for step in ("before", "online")
        },
        "beside_cpu": {name: middle(all_) for name, all_ in beside.items()},
        "error": max(float(np.abs(one.logits - plain).max()) for one in found),
        "flips": sum(int((a.logits.argmax(1) != plain.argmax(1)).sum()) for a in found),
        "sent": one.sent,
        "received": one.received,
        "rounds": one.rounds,
        "session_bytes": found[0].session_bytes,
    }


def _session(images: np.ndarray) -> tuple[Answer, list[dict[str, dict[str, float]]]]:
    """Read images by three processes; return the answer and, for each image, the CPU seconds of
    each party "before" the image is touched and "online".
    """
    clocks: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as made:
        folder = str(make_certificates(Path(made) / "certificates"))
        with loopback(folder) as (model_owner, dealer, processes):
            pids = dict(
                zip(PARTIES, (processes[1].pid, os.getpid(), processes[0].pid), strict=True)
            )

            def watch(step: str) -> None:
                clocks.append({party: cpu_of(pid) for party, pid in pids.items()})

            watch("start")
            answer = infer_as_data_owner(list(images), model_owner, dealer, folder, watch)
    spent = [
        {party: round(after[party] - before[party], 3) for party in PARTIES}
        for before, after in pairwise(clocks)
    ]
    return answer, [
        {"before": before, "online": online}
        for before, online in zip(spent[::2], spent[1::2], strict=True)
    ]


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process of this machine has used, to a clock tick (Linux)."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def middle(values: list[float]) -> float:
    """Return the median, to four places."""
    return round(statistics.median(values), 4)
