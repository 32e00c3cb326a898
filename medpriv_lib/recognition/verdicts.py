"""Ask the fixed judges about images, each image once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.pixels import Images
from medpriv_lib.recognition.crossfit import PAIRS, CrossFit
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What the judges say about N images.

    `identity` int64 (N,) the patient named, or None; `disease` bool (N,); `unseen` bool (N,) the
    label by a judge that never saw the source patient, or None; `contributor_seen` bool (N,),
    whether that judge saw a contributor, or None.
    """

    identity: Int64[np.ndarray, " n"] | None
    disease: Bool[np.ndarray, " n"]
    unseen: Bool[np.ndarray, " n"] | None
    contributor_seen: Bool[np.ndarray, " n"] | None


class Panel:
    """The judges with a memory: random draws release the same image again and again, and it is read
    once.
    """

    def __init__(self, judges: Judges, disease: Callable[[Images], Tensor] | None = None) -> None:
        """Start with an empty memory; a verdict takes some hundred bytes.

        `disease` maps uint8 images to the disease judge's logits, for callers who need them
        elsewhere too.
        """
        self.judges = judges
        self._disease = disease or (lambda images: logits(judges.disease, images))
        self._named, self._diseased = Memory(), Memory()
        self._margins = [Memory() for _ in PAIRS]  # one for each judge of unseen patients

    def ask(
        self,
        images: Images,
        patient: Int64[np.ndarray, " n"],
        contributors: Int64[np.ndarray, "n k"] | None = None,
    ) -> Verdicts:
        """Return the verdicts on each image; `patient` (N,) is the source patient, `contributors`
        (N, K) or None.
        """
        judge, crossfit, keys = self.judges.identity, self.judges.crossfit, keys_of(images)
        identity = unseen = seen = None
        if judge is not None:
            identity = _classes(self._named, keys, lambda rows: logits(judge, images[rows]))
        disease = _classes(self._diseased, keys, lambda rows: self._disease(images[rows]))
        if crossfit is not None:
            if contributors is not None and contributors.shape[1] == 0:
                contributors = None
            chosen, seen = crossfit.choose(patient, contributors)
            unseen = self._mean_of_chosen(crossfit, keys, images, chosen) > 0
        return Verdicts(identity, disease.astype(bool), unseen, seen)

    def _mean_of_chosen(
        self,
        crossfit: CrossFit,
        keys: Sequence[bytes],
        images: Images,
        chosen: Bool[np.ndarray, "n 10"],
    ) -> Float64[np.ndarray, " n"]:
        """Return by how much the mean logit of disease exceeds that of health over the judges
        chosen for each image.

        Each judge reads an image once: images of the same pixels and other source patients share
        what they can.
        """
        total = np.zeros(len(images))
        for network, memory, uses in zip(crossfit.networks, self._margins, chosen.T, strict=True):
            asked = np.flatnonzero(uses)

            if len(asked):
                read = partial(_margins, network, images[asked])
                total[asked] += memory.recall([keys[row] for row in asked.tolist()], read)
        return total / chosen.sum(1)


def _margins(
    network: Recogniser, images: Images, rows: Int64[np.ndarray, " m"]
) -> Float32[np.ndarray, " m"]:
    scores = logits(network, images[rows])
    return (scores[:, 1] - scores[:, 0]).numpy()


def _classes(
    memory: Memory, keys: Sequence[bytes], read: Callable[[Int64[np.ndarray, " m"]], Tensor]
) -> Int64[np.ndarray, " n"]:
    """Return the class of the largest logit per key; `read(rows)` gives the logits of what is not
    known yet.
    """
    if not keys:
        return np.empty(0, dtype=np.int64)
    return memory.recall(keys, lambda rows: read(rows).argmax(1).cpu().numpy())
