"""Ask the fixed judges about images, each image once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from medpriv_lib.core.cohort import Cohort
from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.pixels import Images
from medpriv_lib.recognition.crossfit import CrossFit
from medpriv_lib.recognition.expert import best_threshold
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.reader import Reader
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

    def __init__(
        self,
        judges: Judges,
        disease: Callable[[Images], Float[Tensor, "n 2"]] | None = None,
        unseen_from: float = 0.0,
    ) -> None:
        """Start with an empty memory; a verdict takes some hundred bytes.

        `disease` maps uint8 images to the disease judge's logits, for callers who need them
        elsewhere too. `unseen_from` is the margin from which on judges that never saw the patient
        are taken to call an image diseased; see `unseen_threshold`. `identity` of the panel reads
        the identity judge, None where there is none.
        """
        self.judges, self.unseen_from = judges, unseen_from
        self._disease = disease or partial(logits, judges.disease)
        self.identity = None if judges.identity is None else Reader(judges.identity)
        self._named, self._read, self._margins = Memory(), Memory(), Memory()

    def ask(
        self,
        images: Images,
        patient: Int64[np.ndarray, " n"],
        contributors: Int64[np.ndarray, "n k"] | None = None,
    ) -> Verdicts:
        """Return the verdicts on each image; `patient` (N,) is the source patient, `contributors`
        (N, K) or None.
        """
        judges, keys = self.judges, keys_of(images)
        named = unseen = seen = None
        if self.identity is not None:
            named = self._class(self._named, keys, images, self.identity.logits)
        disease = self._class(self._read, keys, images, self._disease)
        if judges.crossfit is not None:
            if contributors is not None and contributors.shape[1] == 0:
                contributors = None
            chosen, seen = judges.crossfit.choose(patient, contributors)
            margin = self._mean_of_chosen(judges.crossfit, keys, images, chosen)
            unseen = margin > self.unseen_from
        return Verdicts(named, disease.astype(bool), unseen, seen)

    def margins(
        self,
        images: Images,
        patient: Int64[np.ndarray, " n"],
        contributors: Int64[np.ndarray, "n k"] | None = None,
    ) -> Float[np.ndarray, " n"]:
        """Return by how much judges that never saw the patient hold each image for diseased.

        Arguments as of `ask`. Raises `ValueError` where there are no such judges.
        """
        crossfit = self.judges.crossfit
        if crossfit is None:
            raise ValueError("there are no judges of unseen patients")
        if contributors is not None and contributors.shape[1] == 0:
            contributors = None
        chosen, _ = crossfit.choose(patient, contributors)
        return self._mean_of_chosen(crossfit, keys_of(images), images, chosen)

    def _mean_of_chosen(
        self, crossfit: CrossFit, keys: list[bytes], images: Images, chosen: np.ndarray
    ) -> Float[np.ndarray, " n"]:
        """Return by how much the mean logit of disease exceeds that of health over the judges
        chosen for each image.

        Each judge reads an image once: images of the same pixels and other source patients share
        what they can.
        """
        total = np.zeros(len(images))
        for number, network in enumerate(crossfit.networks):
            asked = np.flatnonzero(chosen[:, number])
            if len(asked):
                mine = images[asked]
                own = [bytes([number]) + keys[row] for row in asked]
                total[asked] += self._margins.recall(own, partial(_margin, network, mine))
        return total / chosen.sum(1)

    @staticmethod
    def _class(
        memory: Memory, keys: list[bytes], images: Images, read: Callable[[Images], Tensor]
    ) -> Int64[np.ndarray, " n"]:
        """Return the class of the largest logit of each image."""
        if not keys:
            return np.zeros(0, dtype=np.int64)
        return memory.recall(keys, lambda rows: read(images[rows]).argmax(1).cpu().numpy())


def unseen_threshold(judges: Judges, val: Cohort) -> float:
    """Return the margin from which on judges that never saw the patient shall call an image ill.

    It gives the highest F1 on validation images, each read by judges that never saw its patient. 0
    where there are no such judges, or the images have one label.
    """
    if judges.crossfit is None or val.diseased.all() or not val.diseased.any():
        return 0.0
    return best_threshold(Panel(judges).margins(val.images, val.patient), val.diseased)


def _margin(network: Recogniser, images: Images, rows: np.ndarray) -> Float[np.ndarray, " m"]:
    scores = logits(network, images[rows])
    return (scores[:, 1] - scores[:, 0]).double().numpy()
