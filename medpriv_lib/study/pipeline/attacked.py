"""What the strongest of the attacks got from what was seen in one run of the pipeline."""

from collections.abc import Callable, Sequence

import numpy as np

from medpriv_lib.attacks.table import lists, membership, naming, site
from medpriv_lib.attacks.table.rate import Hits, Rate, rate
from medpriv_lib.federation.linear import Plan, SiteTable, patient_gradients
from medpriv_lib.pipeline.deep_radiomics import Prepared
from medpriv_lib.pipeline.slots.technology import Seen
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.train import logits

PICTURES = "the originals of all patients, on which a recogniser was trained"


class Court:
    """The attackers: the cohort they know photographs of, and a recogniser of its patients."""

    def __init__(self, prepared: Prepared, identity: Recogniser | None) -> None:
        """Take what they know; without a recogniser pictures are not attacked."""
        self.prepared, self.identity = prepared, identity
        cohort = prepared.cohort
        self.photographs = prepared.table(np.flatnonzero(cohort.split == "test"))
        self.members = prepared.table(np.flatnonzero(cohort.split != "test"))

    def attack(self, seen: Sequence[Sequence[Seen]]) -> list[Rate]:
        """Return what each attack got that fits what was seen, the strongest first.

        `seen` holds one list for each training. What no attack can read gives none.
        """
        works: dict[str, Callable[[list[Seen]], Rate | None]] = {
            "vectors": self._named,
            "model": self._members,
            "sums": self._hospitals,
            "pictures": self._pictures,
            "names": self._read,
            "list": self._listed,
            "facts": self._found,
        }
        found = []
        for kind, work in works.items():
            some = [one for part in seen for one in part if one.kind == kind]
            result = work(some) if some else None
            if result is not None:
                found.append(result)
        return sorted(found, key=lambda one: -one.above)

    def _named(self, seen: list[Seen]) -> Rate:
        names = ("values", "patient", "group", "gallery", "owner")
        hits = [naming.named(*(one.what[name] for name in names)) for one in seen]
        return rate(naming.ATTACK, naming.KNOWS, hits)

    def _members(self, seen: list[Seen]) -> Rate | None:
        table, fold = self.members, self.prepared.fold
        inside = [
            one.what.get("trained", np.flatnonzero(fold != number))
            for number, one in enumerate(seen)
        ]
        models = [one.what["score"] for one in seen]
        return membership.member(models, inside, table.features, table.diseased, table.patient)

    def _hospitals(self, seen: list[Seen]) -> Rate:
        own = self.photographs
        table = SiteTable(own.features, own.diseased, own.patient)
        numbers, weights = np.unique(own.patient), Plan().weights

        def gradients(model: np.ndarray) -> np.ndarray:
            return patient_gradients(model, table, weights)

        hits = [
            site.treated_where(one.what["rounds"], one.what["treated"], numbers, gradients)
            for one in seen
        ]
        return rate(site.ATTACK, site.KNOWS, hits)

    def _pictures(self, seen: list[Seen]) -> Rate | None:
        if self.identity is None:
            return None
        hits = []
        for one in seen:
            named = logits(self.identity, one.what["images"]).argmax(1).numpy()
            chance = 1 / self.prepared.cohort.patients
            hits.append(Hits(named == one.what["patient"], one.what["patient"], chance))
        return rate(naming.ATTACK, PICTURES, hits)

    def _read(self, seen: list[Seen]) -> Rate:
        names = ("shown", "identifiers", "guess")
        hits = [lists.read(*(one.what[name] for name in names)) for one in seen]
        return rate(lists.READ, lists.READ_KNOWS, hits)

    def _listed(self, seen: list[Seen]) -> Rate:
        hits = [
            lists.listed(one.what["found"](), one.what["inside"], one.what["others"])
            for one in seen
        ]
        return rate(lists.LISTED, lists.LISTED_KNOWS, hits)

    def _found(self, seen: list[Seen]) -> Rate:
        hits = [lists.found(one.what["group"], one.what["patient"]) for one in seen]
        return rate(lists.FOUND, lists.FOUND_KNOWS, hits)
