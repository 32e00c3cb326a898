"""What encrypted inference costs, and how far its logits are off.

`python -m medpriv_lib.study.encrypted --out FOLDER` writes `encrypted.json` there, and goes on from
the file where it was stopped.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medpriv_lib.core import weights as store
from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.files import atomic_write
from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.core.randomness import seeded
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.encrypted.architecture import POOLINGS
from medpriv_lib.encrypted.ckks import MODULI, Client, Server, load_square, shrunk
from medpriv_lib.encrypted.in_process import InProcess, Ledger
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits
from medpriv_lib.study.command import into_folder
from medpriv_lib.study.three_parties import measure_loopback

NAME = "encrypted.json"
SIZES = (16, 32, 64)
REPEATS = 5  # of a timing; the median is kept
CIPHERTEXTS = 3  # images under CKKS
SAVE_EVERY = 5  # images
BANDWIDTHS = {"10 Mbit/s": 10e6, "100 Mbit/s": 100e6, "1 Gbit/s": 1e9}
DELAY = 0.02  # seconds that a message takes from one party to the other


def seconds_on_line(bytes_each: list[int], rounds: int, bits_per_second: float) -> float:
    """Return how long an image's messages take on a line: each round one delay, each byte 8 bits.

    The two directions of the line are independent, so the party that sends more counts.
    """
    return rounds * DELAY + 8 * max(bytes_each) / bits_per_second


def measure(folder: Path, say: Callable[[str], None]) -> dict:
    """Measure what is not in `folder/encrypted.json` yet, save after each part, and return all.

    A file of other images or weights is begun anew.
    """
    cohort, judges = default_cohort(), Judges.load()
    path = folder / NAME
    content = {"provenance": provenance(cohort, judges)}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        same = ("data_hash", "weights")
        if all(found["provenance"][key] == content["provenance"][key] for key in same):
            content = found

    def save() -> None:
        with atomic_write(path) as file:
            file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    measure_curve(content, save, say)
    for name, part in PARTS.items():
        if name not in content:
            say(name)
            content[name] = part(cohort.of("test"))
            save()
    measure_logits(content, cohort.of("test"), judges.disease, save, say)
    return content


def provenance(cohort: Cohort, judges: Judges) -> dict:
    """Return which images, weights, versions and machine the numbers belong to."""
    packages = ("cryptography", "tenseal")
    return {
        "data_hash": cohort.hash(),
        "weights": judges.card["sha256"],
        "versions": store.versions() | {name: metadata.version(name) for name in packages},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": "python -m medpriv_lib.study.encrypted",
    }


def measure_logits(
    content: dict,
    test: Cohort,
    network: Recogniser,
    save: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Compare the encrypted logits of every test image with the plaintext ones."""
    part = content.setdefault("logits", {"images": len(test), "error": [], "plain": [], "cpu": []})
    x = to_tensor(test.images)
    with torch.no_grad():
        plain = torch.cat([network(one) for one in x.split(64)]).double().numpy()
    session = InProcess(network)
    for i in range(len(part["error"]), len(test)):
        start = time.process_time()
        found, _ = session.infer(x[i].numpy())
        part["cpu"].append(round(time.process_time() - start, 3))
        part["error"].append(float(np.abs(found - plain[i]).max()))
        part["plain"].append([round(float(v), 5) for v in plain[i]])
        flips = part.setdefault("flips", [])
        if found.argmax() != plain[i].argmax():
            flips.append(i)
        if (i + 1) % SAVE_EVERY == 0 or i + 1 == len(test):
            save()
            say(f"{i + 1} of {len(test)} images, error at most {max(part['error']):.1e}")


def measure_curve(content: dict, save: Callable[[], None], say: Callable[[str], None]) -> None:
    """Note what one image costs for each size and way to pool, with random weights."""
    curve = content.setdefault("curve", [])
    done = {(row["size"], row["pooling"]) for row in curve}
    for size in SIZES:
        for pooling in POOLINGS:
            if (size, pooling) in done:
                continue
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = Recogniser(2, size).eval()
            session = InProcess(network, pooling)
            image = torch.rand((1, size, size), generator=seeded(0, "image")).mul(2).sub(1).numpy()
            ledgers, cpu = [], []
            for _ in range(REPEATS):
                start = time.process_time()
                ledgers.append(session.infer(image)[1])
                cpu.append(time.process_time() - start)
            curve.append({"size": size, "pooling": pooling, **costs(ledgers), "cpu": _middle(cpu)})
            save()
            say(f"{size}x{size}, {pooling}: {curve[-1]['comparisons']} comparisons")


def costs(ledgers: list[Ledger]) -> dict:
    """Return counts, which are the same each time, and medians of seconds (both parties in one
    process).
    """
    one = ledgers[0]
    return {
        "comparisons": one.comparisons,
        "rounds": one.rounds,
        "sent": {"model owner": one.sent[0], "data owner": one.sent[1]},
        "key_bytes": one.key_bytes,
        "dealing": _middle([x.dealing for x in ledgers]),
        "preparing": _middle([x.preparing for x in ledgers]),
        "online": _middle([x.online for x in ledgers]),
        "on_line": {
            name: round(seconds_on_line(one.sent, one.rounds, speed), 3)
            for name, speed in BANDWIDTHS.items()
        },
    }


def measure_plaintext(test: Cohort) -> dict:
    """Time one image in plaintext, in CPU seconds."""
    network, times = Judges.load().disease, []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        logits(network, test.images[:1])
        times.append(time.process_time() - start)
    return {"cpu": _middle(times[1:])}


def measure_shares(test: Cohort) -> dict:
    """Time the online part of one image on shares, both parties together, in CPU seconds."""
    session, times = InProcess(Judges.load().disease), []
    for image in to_tensor(test.images[:REPEATS]).numpy():
        times.append(session.infer(image)[1].online_cpu)
    return {"online_cpu": _middle(times)}


def measure_ckks(test: Cohort) -> list[dict]:
    """Compare the encrypted logits of the square network with its own, for two degrees."""
    network, x = load_square(), shrunk(test.images[:CIPHERTEXTS])
    plain, rows = network(x).detach().numpy(), []
    for degree in MODULI:
        start = time.process_time()
        client = Client(degree)
        public = client.public()
        row: dict = {"degree": degree, "keys_cpu": round(time.process_time() - start, 2)}
        server, errors, clock = Server(public), [], []
        for image, logit in zip(x, plain, strict=True):
            sent, start = client.encrypt_image(image), time.process_time()
            back = server.logits(network, sent)
            clock.append(time.process_time() - start)
            errors.append(float(np.abs(client.decrypt_logits(back) - logit).max()))
        row |= {"images": len(x), "error": max(errors), "cpu": _middle(clock)}
        rows.append(
            row | {"public_bytes": len(public), "sent": len(sent), "received": sum(map(len, back))}
        )
    return rows


def measure_scores(test: Cohort) -> dict:
    """Time a dot product with the features of all test images: the recogniser's embedding."""
    network = Judges.load().disease
    with torch.no_grad():
        features = network.embed(to_tensor(test.images)).double().numpy()
    weight = (network.head.weight[1] - network.head.weight[0]).detach().double().numpy()
    bias = float((network.head.bias[1] - network.head.bias[0]).detach())
    client = Client(8192, scores=True)
    public, start = client.public(), time.process_time()
    sent, encrypted = client.encrypt_features(features), time.process_time()
    back, end = Server(public).scores(weight, bias, sent), time.process_time()
    return {
        "images": len(features),
        "features": features.shape[1],
        "error": float(np.abs(client.decrypt(back) - (features @ weight + bias)).max()),
        "encrypt_cpu": round(encrypted - start, 3),
        "score_cpu": round(end - encrypted, 3),
        "public_bytes": len(public),
        "sent": sum(map(len, sent)),
        "received": len(back),
    }


PARTS: dict[str, Callable[[Cohort], Any]] = {
    "plaintext": measure_plaintext,
    "scores": measure_scores,
    "shares": measure_shares,
    "loopback": measure_loopback,
    "ckks": measure_ckks,
}


def _middle(values: list[float]) -> float:
    return round(statistics.median(values), 4)


def main(argv: list[str] | None = None) -> None:
    """Run the study as a command."""
    into_folder("medpriv_lib.study.encrypted", measure, argv)


if __name__ == "__main__":
    main()
