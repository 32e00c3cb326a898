"""Ask the fixed judges about images, each image once."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from medpriv_lib.recognition.judges import Judges
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

    def __init__(self, judges: Judges, disease: Callable | None = None) -> None:
        """Start with an empty memory; a verdict takes some hundred bytes.

        `disease` maps uint8 images to the disease judge's logits, for callers who need them
        elsewhere too.
        """
        self.judges = judges
        self._disease = disease or (lambda images: logits(judges.disease, images))
        self._memory: dict[bytes, int] = {}
        self._margins: dict[bytes, float] = {}

    def ask(
        self,
        images: UInt8[np.ndarray, "n h w"],
        patient: Int64[np.ndarray, " n"],
        contributors: Int64[np.ndarray, "n k"] | None = None,
    ) -> Verdicts:
        """Return the verdicts on each image; `patient` (N,) is the source patient, `contributors`
        (N, K) or None.
        """
        judges = self.judges
        keys = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
        identity = unseen = seen = None
        if judges.identity is not None:
            identity = self._remember(
                [b"i" + key for key in keys], lambda rows: logits(judges.identity, images[rows])
            )
        disease = self._remember(
            [b"d" + key for key in keys], lambda rows: self._disease(images[rows])
        )
        if judges.crossfit is not None:
            if contributors is not None and contributors.shape[1] == 0:
                contributors = None
            chosen, seen = judges.crossfit.choose(patient, contributors)
            unseen = self._mean_of_chosen(keys, images, chosen) > 0
        return Verdicts(identity, disease.astype(bool), unseen, seen)

    def _mean_of_chosen(
        self, keys: list[bytes], images: np.ndarray, chosen: np.ndarray
    ) -> np.ndarray:
        """Return by how much the mean logit of disease exceeds that of health over the judges
        chosen for each image.

        Each judge reads an image once: images of the same pixels and other source patients share
        what they can.
        """
        total = np.zeros(len(images))
        for number, network in enumerate(self.judges.crossfit.networks):
            asked = np.flatnonzero(chosen[:, number])
            own = [bytes([number]) + keys[row] for row in asked]
            new = {
                key: row for row, key in zip(asked, own, strict=True) if key not in self._margins
            }
            if new:
                scores = logits(network, images[np.array(list(new.values()))])
                self._margins.update(zip(new, (scores[:, 1] - scores[:, 0]).tolist(), strict=True))
            total[asked] += [self._margins[key] for key in own]
        return total / chosen.sum(1)

    def _remember(self, keys: list[bytes], read: Callable) -> np.ndarray:
        """Return the class of the largest logit per key; `read(rows)` gives the logits of what is
        not known yet.
        """
        new = {key: row for row, key in enumerate(keys) if key not in self._memory}
        if new:
            classes = read(np.array(list(new.values()))).argmax(1).tolist()
            self._memory.update(zip(new, classes, strict=True))
        return np.array([self._memory[key] for key in keys], dtype=np.int64)
