"""One question to an archive of another house: an encrypted decision, and a privatised case.

The encrypted part is `encrypted.consultation`. Here the server makes from a cohort what it offers,
and the client chooses the case: nearest by the features of the privatised pictures themselves,
which the client computes from what it was sent. No index of the originals ever leaves.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.exposure import refuse_exposed
from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.randomness import fresh, secret_order, seeded
from medpriv_lib.encrypted.certificates import make_certificates
from medpriv_lib.encrypted.consultation import (
    QUESTIONS,
    Consulted,
    Model,
    Offer,
    consult_server,
    serve_consultations,
)
from medpriv_lib.encrypted.session import Address, Say
from medpriv_lib.learning.logistic import Logistic
from medpriv_lib.pipeline.deep_radiomics import MOST, describe
from medpriv_lib.pipeline.loopback import on_loopback, start_party
from medpriv_lib.pipeline.slots.explain import EXPLAINING, released
from medpriv_lib.pipeline.slots.infer import QUANTILE
from medpriv_lib.pipeline.slots.train import strangers

METHOD, CASES, FEWEST = "sign-transfer", 40, 6
FEATURES = "radiomics"
SIZE = 64  # px, of the invented people whom the public scale is taken from


@dataclass(frozen=True, eq=False)
class Consultation:
    """What the client has: `consulted`, and for each image the row of the case (`chosen`, (N,))."""

    consulted: Consulted
    chosen: Int64[np.ndarray, " n"]

    @cached_property
    def diseased(self) -> np.ndarray:
        """Which images are called diseased (N,)."""
        return self.consulted.probability > 0.5

    @property
    def cases(self) -> UInt8[np.ndarray, "n s s"]:
        """The privatised case beside each decision."""
        return self.consulted.offer.cases[self.chosen]


def prepare_offer(
    cohort: Cohort, method: str = METHOD, cases: int = CASES, seed: int | None = None
) -> tuple[Model, Offer, Int64[np.ndarray, " g"]]:
    """Return the model, what is sent to every client, and the rows behind the cases, which stay.

    The model is a logistic regression on radiomics of the cohort's training images. Of each label
    `cases` / 2 training images become cases, each of another patient where there are enough, drawn
    and ordered by the operating system's entropy (`seed` None; a number is for lessons),
    privatised once by a method of `slots.explain.METHODS`. Raises `ValueError` for fewer than six
    cases, another method, images that are not 64x64, too few images or one label alone, and
    `Exposed` where a case is as good as an original.
    """
    if cases < FEWEST:
        raise ValueError(f"a gallery of {cases} says nearly what was asked; offer {FEWEST} or more")
    if method not in EXPLAINING or method == "original":
        raise ValueError(
            f"cases are shown by {', '.join(name for name in EXPLAINING if name != 'original')}, "
            f"not {method!r}"
        )
    require_archive(cohort)
    train = np.flatnonzero(cohort.split == "train")
    shuffle = secret_order if seed is None else np.random.default_rng(seed).permutation
    rows = gallery_rows(cohort, train, cases, shuffle)
    public = describe(strangers(), FEATURES)
    spread = public.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    try:
        images = released(method, cohort, rows, fresh() if seed is None else seeded(seed, "offer"))
    except NotApplicable as error:
        raise ValueError(f"{method} cannot show cases of this archive: {error}") from error
    refuse_exposed(images, cohort, "cases")
    technology = EXPLAINING[method]
    offer = Offer(
        public.mean(axis=0),
        spread,
        MOST,
        images,
        cohort.diseased[rows],
        technology.title,
        technology.promise,
    )
    vectors = offer.scale(describe(cohort.images[train], FEATURES))
    fitted = Logistic().fit(vectors, cohort.diseased[train])
    reach = float(np.quantile(np.abs(fitted.logits(vectors)), QUANTILE))
    return Model(fitted.weights, fitted.bias, reach), offer, rows


def require_archive(cohort: Cohort) -> None:
    """Raise `ValueError` for an archive whose images are not of the size that is asked with."""
    if cohort.images.shape[1:] != (SIZE, SIZE):
        shape = "x".join(map(str, cohort.images.shape[1:]))
        raise ValueError(
            f"the archive's images are {shape}, and eyes are asked about at {SIZE}x{SIZE} in grey; "
            f"prepare it with --size {SIZE}"
        )


def gallery_rows(
    cohort: Cohort,
    among: Int64[np.ndarray, " n"],
    cases: int,
    shuffle: Callable[[int], np.ndarray] = secret_order,
) -> Int64[np.ndarray, " g"]:
    """Return which images become cases: half of each label, patients before further images."""
    found: list[int] = []
    for ill in (False, True):
        own = among[cohort.diseased[among] == ill]
        own = own[shuffle(len(own))]
        _, first = np.unique(cohort.patient[own], return_index=True)
        first = first[shuffle(len(first))]
        rest = np.setdiff1d(np.arange(len(own)), first)
        order = np.concatenate([first, rest[shuffle(len(rest))]])
        if len(own) < cases // 2:
            raise ValueError(
                f"the archive has {len(own)} training images {'with' if ill else 'without'} the "
                f"disease, and {cases // 2} are to become cases; offer fewer with --cases"
            )
        found += own[order[: cases // 2]].tolist()
    return np.array(found)[shuffle(len(found))]


def serve_archive(
    cohort: Cohort,
    at: Address,
    folder: str,
    say: Say,
    *,
    method: str = METHOD,
    cases: int = CASES,
    once: bool = False,
    timeout: float | None = None,
) -> None:
    """Offer a cohort to clients, as `serve_consultations` does; errors of `prepare_offer` too."""
    ENCRYPTED.need("tenseal")
    model, offer, _ = prepare_offer(cohort, method, cases)
    serve_consultations(model, offer, at, folder, say, once=once, timeout=timeout)


def require_askable(images: UInt8[np.ndarray, "n s s"]) -> Float[np.ndarray, "n f"]:
    """Return the features of the images that are asked about.

    Raises `ValueError` for too many, for what is no prepared grey image, and `NotApplicable` as a
    `ValueError` where an image allows no features: one grey level, no pupil.
    """
    if images.ndim != 3 or not 1 <= len(images) <= QUESTIONS:
        raise ValueError(f"ask about 1 to {QUESTIONS} grey images, not {images.shape}")
    try:
        return describe(images, FEATURES)
    except NotApplicable as error:
        raise ValueError(f"nothing was asked: {error}") from error


def consult(images: UInt8[np.ndarray, "n s s"], server: Address, folder: str) -> Consultation:
    """Ask a server that listens about prepared eyes; the images do not leave.

    `folder` holds a data owner's certificate. Errors as of `require_askable` and `consult_server`.
    """
    vectors = require_askable(images)
    consulted = consult_server(vectors, server, folder)
    return Consultation(consulted, choose(vectors, consulted))


def choose(vectors: Float[np.ndarray, "n f"], consulted: Consulted) -> Int64[np.ndarray, " n"]:
    """Return for each image the nearest case among those that were filed under its decision.

    Distances are between scaled features, those of the cases computed from the privatised pictures.
    Where no case was filed so, the nearest of all.
    """
    offer = consulted.offer
    asked, there = offer.scale(vectors), offer.scale(describe(offer.cases, FEATURES))
    square = ((asked[:, None] - there[None]) ** 2).sum(axis=2)
    other = (consulted.probability > 0.5)[:, None] != offer.diseased[None]
    square[other & ~other.all(axis=1, keepdims=True)] = np.inf
    return square.argmin(axis=1)


def consult_on_loopback(
    images: UInt8[np.ndarray, "n s s"],
    archive: str | os.PathLike | None = None,
    method: str = METHOD,
    cases: int = CASES,
) -> Consultation:
    """Ask a server in a process of its own on this machine, which alone reads the archive.

    Certificates are made for the run and thrown away, and no process is left behind. Errors as of
    `consult`, and `SessionError` with the server's line where it does not start.
    """
    require_askable(images[:1])
    with tempfile.TemporaryDirectory(prefix="medpriv-") as made, on_loopback() as processes:
        folder = str(make_certificates(Path(made) / "certificates"))
        command = ["consult", "--serve", "127.0.0.1:0", "--certificates", folder, "--once"]
        command += ["--method", method, "--cases", str(cases)]
        command += [] if archive is None else ["--archive", os.fspath(archive)]
        return consult(images, start_party("server", command, processes), folder)
