"""The arrow from vectors to a model: who sees what while a model is trained."""

from collections.abc import Callable

import numpy as np
import torch

from medpriv_lib.collection.intersection import intersect
from medpriv_lib.core.promise import Promise
from medpriv_lib.encrypted import averaging
from medpriv_lib.federation import linear, split_learning, vertical
from medpriv_lib.federation.linear import Plan, SiteTable, federated_linear
from medpriv_lib.federation.private import pate
from medpriv_lib.federation.secure_aggregation import fixed_point
from medpriv_lib.federation.secure_aggregation.identity import enrol
from medpriv_lib.federation.secure_aggregation.member import Member
from medpriv_lib.federation.secure_aggregation.rounds import aggregate
from medpriv_lib.learning.logistic import Logistic
from medpriv_lib.measures.radiomics.extract import FAMILIES, TEXTURES
from medpriv_lib.pipeline.slots.technology import (
    PLAIN,
    Context,
    Given,
    Model,
    Seen,
    Table,
    Technology,
    slot,
    vectors,
)
from medpriv_lib.privatizers.strangers import Strangers

SITES = 3
RATE, ROUNDS, CLIP = 0.25, 60, 1.0  # of every private training, as in the study of such trainings
SPLIT = split_learning.SplitPlan(epochs=15, rate=0.003)
SPLIT_CLIP, SPLIT_EPOCHS = 1.0, 10
TEACHERS, QUESTIONS = 15, 100
IRIS = sum(len(FAMILIES[one]) for one in ("first order", *TEXTURES))  # columns before the pupil's
ELSEWHERE = 5  # one patient of so many is treated at the one hospital alone, one at the other
FEDERATED = Promise(
    "images and vectors", "the coordinator and the other hospitals",
    "that nobody reads a hospital's sums", "whoever reads one hospital's sum; the finished model",
)  # fmt: skip
MASKED = Promise(
    "each hospital's sum", "the coordinator", "a roster of hospitals, most of them honest",
    "what the sum over all hospitals says; the finished model",
)  # fmt: skip
CENTRAL = Promise(
    "whether a patient was in the training", "everybody who gets the model",
    "the one place that has all vectors, and its entropy", "a thief who takes the vectors there",
)  # fmt: skip
EACH = Promise(
    "whether a patient is at a hospital", "the coordinator and everybody after",
    "each hospital for its own patients alone", "much noise: each hospital adds all of it",
)  # fmt: skip
SHARES = Promise(
    "each hospital's sum, and whether a patient was in the training",
    "the coordinator; everybody who gets the model",
    "hospitals that add their share of the noise and do not collude",
    "colluding hospitals, who know their own shares of the noise",
)  # fmt: skip
NOISED = Promise(
    "the vector, up to epsilon", "the server that holds the upper half",
    "the device that adds the noise, and its entropy", "the label, which the gradient tells",
)  # fmt: skip


def pooled(table: Table, context: Context) -> Given:
    """Train one logistic regression on all vectors."""
    return _with_model(Given(None), _linear(Logistic().fit(table.features, table.diseased)))


def split_by_patient(table: Table, context: Context) -> list[SiteTable]:
    """Return the tables of three hospitals of equal numbers of patients, drawn at random."""
    numbers = np.unique(table.patient)
    dealt = numbers[torch.randperm(len(numbers), generator=context.generator).numpy()]
    parts = []
    for own in np.array_split(dealt, SITES):
        rows = np.isin(table.patient, own)
        parts.append(SiteTable(table.features[rows], table.diseased[rows], table.patient[rows]))
    return parts


def federated(
    add: Callable[[int], tuple[linear.Add, bool]] | None = None,
    noised: str = "",
    sites: int = SITES,
) -> Callable[[Table, Context], Given]:
    """Return the work of a training over sites.

    `add` makes the sum and says whether the coordinator sees the parts; `noised` "" for no noise,
    "each" or "shares" as of `linear.Plan`; one site is central training.
    """

    def work(table: Table, context: Context) -> Given:
        parts = (
            split_by_patient(table, context)
            if sites > 1
            else [SiteTable(table.features, table.diseased, table.patient)]
        )
        plan, notes = _plan(noised, parts, context)
        summing, open_parts = (linear.in_the_open, True) if add is None else add(len(parts))
        rounds: list = []

        def see(model: np.ndarray, sums: linear.Sums) -> None:
            rounds.append((model, sums if open_parts else [np.sum(sums, axis=0)]))

        model = federated_linear(parts, plan, context.generator, summing, see)
        sent = plan.rounds * len(parts) * getattr(summing, "bytes_each", 8 * len(model))
        given = Given(None, [], 0 if sites == 1 else sent, notes)
        if sites > 1:
            seen = {"rounds": rounds, "treated": [np.unique(one.patient) for one in parts]}
            given.seen.append(Seen("the coordinator", "sums", seen))
        return _with_model(given, Model(lambda x: linear.score(model, x), model))

    return work


def _plan(
    noised: str, parts: list[SiteTable], context: Context
) -> tuple[Plan, dict[str, float | str]]:
    if not noised:
        return Plan(ROUNDS), {}
    noise, spent = context.price(context.epsilon, context.delta, RATE, ROUNDS)
    return Plan(ROUNDS, drawn=RATE, clip=CLIP, noise=noise, noised=noised), {
        "epsilon": spent,
        "noise": noise,
    }


def _masked(count: int) -> tuple[linear.Add, bool]:
    identities, roster = enrol("the pipeline", count, count)
    state = {"round": 0}

    def add(sums: linear.Sums) -> np.ndarray:
        state["round"] += 1
        members = {n: Member(one, roster) for n, one in identities.items()}
        numbers = {n: fixed_point.encode(sums[n - 1], 1, count) for n in members}
        mean, _ = fixed_point.decode(aggregate(members, numbers, state["round"]), count)
        return mean * count

    return add, False


def _encrypted(count: int) -> tuple[linear.Add, bool]:
    holder = averaging.KeyHolder()
    adder = averaging.Adder(holder.public())

    class Added:
        """The sites' sums, added under encryption; `bytes_each` is what one site last sent."""

        bytes_each = 0

        def __call__(self, sums: linear.Sums) -> np.ndarray:
            encrypted = [holder.encrypt(one) for one in sums]
            self.bytes_each = sum(map(len, encrypted[0]))
            return holder.decrypt(adder.add(encrypted))[: len(sums[0])]

    return Added(), False


def split(noised: bool) -> Callable[[Table, Context], Given]:
    """Return the work of split learning, with noise on what crosses or without."""

    def work(table: Table, context: Context) -> Given:
        plan = SPLIT
        notes: dict[str, float | str] = {}
        if noised:
            noise, spent = context.price(context.epsilon, context.delta, 1.0, SPLIT_EPOCHS)
            plan = split_learning.SplitPlan(
                epochs=SPLIT_EPOCHS, rate=0.01, clip=SPLIT_CLIP, noise=noise
            )
            notes = {"epsilon": spent, "noise": noise}
        network, crossed = split_learning.split_training(
            table.features, table.diseased, table.patient, plan, context.generator
        )
        rows = np.concatenate(crossed.rows)
        gallery = split_learning.split_scores(
            network, context.photographs.features, split_learning.SplitPlan(), context.generator
        )[1]
        table = table.take(rows)
        sent = Table(
            np.concatenate(crossed.activations), table.diseased, table.patient, table.group
        )
        told = np.concatenate(crossed.label_gradient) < 0
        notes["labels read from the gradient"] = float((told == sent.diseased).mean())
        given = Given(None, [vectors("the server", sent, context, gallery)],
                      crossed.up + crossed.down, notes)  # fmt: skip

        def score(x: np.ndarray) -> np.ndarray:
            return split_learning.split_scores(network, x, plan, context.generator)[0]

        return _with_model(given, Model(score))

    return work


def joined(table: Table, context: Context) -> Given:
    """Train between two hospitals that hold different features: one those of the iris and the
    label, the other those of the pupil (of other vectors: the first and the second half).

    A fifth of the patients are known to each hospital alone; the common ones are found by private
    set intersection, and nobody else is in the training.
    """
    numbers = np.unique(table.patient)
    dealt = numbers[torch.randperm(len(numbers), generator=context.generator).numpy()]
    alone = len(dealt) // ELSEWHERE
    names = [
        [f"patient {n}" for n in some] for some in (dealt[alone:], dealt[: len(dealt) - alone])
    ]
    common, sent = intersect(names[0], names[1], "a training over the features of both")
    assert isinstance(common, list)
    both = np.array([int(name.rpartition(" ")[2]) for name in common])
    table = table.take(np.flatnonzero(np.isin(table.patient, both)))
    width = table.features.shape[1]
    cut = IRIS if width > IRIS else width // 2
    plan, host = vertical.VerticalPlan(), table.features[:, cut:]
    model, crossed = vertical.vertical_training(table.features[:, :cut], host, table.diseased, plan)
    steps = np.stack(vertical.weights_followed(host, crossed, plan))
    gallery = context.photographs.features[:, cut:] @ steps.T
    told = Table(np.stack(crossed.parts).T, table.diseased, table.patient, table.group)
    read = vertical.labels_from(crossed.derivatives[-1]) == table.diseased
    notes: dict[str, float | str] = {
        "labels read from the derivative": float(read.mean()),
        "common patients": float(len(both)),
        "intersection_bytes": float(sent),
    }
    seen = vectors("the hospital with the label", told, context, gallery)
    given = Given(None, [seen], sent + crossed.bytes, notes)
    return _with_model(given, Model(lambda x: linear.score(model, x), model), both)


def ensemble(table: Table, context: Context) -> Given:
    """Train teachers on patients of their own, and a student on their noised votes about public
    images: eyes of another cohort that ships, whose patients are not protected.
    """
    public = _public(context)
    noise, spent = context.price(context.epsilon, context.delta, 1.0, QUESTIONS)
    found = pate.teachers(
        table.features, table.diseased, table.patient, TEACHERS, Logistic, context.generator
    )
    labels = pate.noised_labels(pate.votes(found, public), TEACHERS, noise, context.generator)
    student = Logistic().fit(public, labels)
    clean = pate.votes(found, public) > TEACHERS / 2
    notes: dict[str, float | str] = {
        "epsilon": spent, "noise": noise, "votes that noise turned": float((clean != labels).mean())
    }  # fmt: skip
    return _with_model(Given(None, [], labels.nbytes, notes), _linear(student))


def _public(context: Context) -> np.ndarray:
    """Return the features of public images: the default cohort's, every so many."""
    from medpriv_lib.data.packaged import default_cohort

    images = default_cohort().images
    return context.describe(images[:: len(images) // QUESTIONS][:QUESTIONS])


def strangers(count: int = 400) -> np.ndarray:
    """Return images of invented healthy people, from which the features' scale is taken."""
    from medpriv_lib.core import weights

    return Strangers.load(weights.FOLDER / "strangers.npz").images[:count]


def _linear(fitted: Logistic) -> Model:
    return Model(fitted.logits, np.append(fitted.weights, fitted.bias))


def _with_model(given: Given, model: Model, trained: np.ndarray | None = None) -> Given:
    """Hand a model on, and show it to everybody; `trained` (P,) says on whom, None for all."""
    given.result = model
    told = {} if trained is None else {"trained": trained}
    given.seen.append(Seen("everybody who gets the model", "model", {"score": model.score} | told))
    return given


TRAINING = slot(
    Technology("pooled", "all vectors in one place", PLAIN, "radiomics", pooled),
    Technology("federated", "federated", FEDERATED, "federated-learning", federated()),
    Technology("masked", "federated + secure aggregation", MASKED, "secure-aggregation",
               federated(_masked)),
    Technology("ckks", "federated + CKKS", averaging.PROMISE, "hybrids", federated(_encrypted)),
    Technology("private", "differential privacy, pooled", CENTRAL, "differential-privacy",
               federated(noised="each", sites=1)),
    Technology("each", "federated + differential privacy of each site", EACH, "combining-them",
               federated(noised="each")),
    Technology("shares", "federated + secure aggregation + distributed noise", SHARES,
               "combining-them", federated(_masked, "shares")),
    Technology("split", "split learning", split_learning.PROMISE, "hybrids", split(False)),
    Technology("split-private", "split learning + local noise", NOISED, "hybrids",
               split(True)),
    Technology("vertical", "intersection + vertical federation", vertical.PROMISE, "hybrids",
               joined),
    Technology("pate", "teachers' noised votes (PATE)", pate.PROMISE, "differential-privacy",
               ensemble),
)  # fmt: skip
