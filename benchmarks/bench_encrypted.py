"""One image read on shares, online, beside the same recogniser in plaintext and beside CKKS.

Ours and the peers take turns on one image; the figures are medians of CPU seconds, both parties of
ours together. The peers do something else each: plaintext hides nothing, and TenSEAL computes a
smaller network with squares, at its coarser degree. A minute and a half on one core.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from medpriv_lib.core.pixels import to_tensor
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.encrypted.ckks import Client, Server, load_square, shrunk
from medpriv_lib.encrypted.in_process import InProcess, Ledger, converse
from medpriv_lib.encrypted.recogniser import deal, encode_image
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.train import logits

REPEATS = 3


def online(session: InProcess, image: np.ndarray) -> Callable[[], object]:
    """Return the online part for one image: what the dealer sends is there already."""
    parts = list(deal(session.architecture, session.masks))
    owner = session.model_owner.prepare([part for part, _ in parts])
    holder = session.data_owner.prepare([part for _, part in parts])
    secret = encode_image(image, session.architecture)
    talks = (
        session.model_owner.infer(owner, secret - secret),
        session.data_owner.infer(holder, secret),
    )
    return lambda: converse(talks, Ledger())


def run() -> list[dict]:
    """Return the rows of the benchmark table: name, ours, peer, ratio, unit."""
    torch.set_num_threads(1)
    eye = default_cohort().of("test").images[:1]
    network, square = Judges.load().disease, load_square()
    session = InProcess(network)
    client = Client(8192)
    server, sent = Server(client.public()), client.encrypt_image(shrunk(eye)[0])
    peers = {
        "the plaintext": lambda: logits(network, eye),
        "a smaller network under TenSEAL": lambda: server.logits(square, sent),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
    for _ in range(REPEATS):
        works = {"ours": online(session, to_tensor(eye)[0].numpy())} | peers
        for name, work in works.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    ours = median(seconds.pop("ours"))
    return [
        {
            "name": f"one 64x64 image on shares, online, beside {name}",
            "ours": ours,
            "peer": median(each),
            "ratio": median(each) / ours,
            "unit": "CPU s",
        }
        for name, each in seconds.items()
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<72} {row['ours']:8.3f} {row['unit']}   peer {row['peer']:8.3f}  "
            f"ratio {row['ratio']:.2f}"
        )
