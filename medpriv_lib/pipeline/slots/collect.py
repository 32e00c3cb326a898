"""The arrow from several places to one: what comes with the vectors, and who may read it.

The patients of a cohort have no names, so invented people of a register lend them theirs: an
identifier, age, sex, postcode and a day of visit for each.
"""

from collections.abc import Callable

import numpy as np

from medpriv_lib.collection.anonymous_tables import anonymise
from medpriv_lib.collection.intersection import Answerer, Asker
from medpriv_lib.collection.probing import overheard
from medpriv_lib.collection.pseudonyms import Pseudonyms
from medpriv_lib.collection.register import Register, numbers, register
from medpriv_lib.collection.roster import unkeyed
from medpriv_lib.collection.shared_upload import Collector, Layout, open_totals
from medpriv_lib.collection.shared_upload import split as in_shares
from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.core.promise import Promise
from medpriv_lib.core.salt import fresh_salt
from medpriv_lib.pipeline.slots.release import ANNOUNCED
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

SEED = 14  # of the invented people, who are no secret
QUASI = {"age": "number", "sex": "name", "postcode": "code", "visit": "date"}
K = 5
FRACTION, LEAST = 20, 10  # bits after the point of a shared number; the smallest group that opens
PURPOSE, PROJECT = "a training on the patients of both", "the pipeline"
ELSEWHERE = 5  # one patient of so many is known to the one hospital alone, one to the other
WHO = "whoever collects"
NAMES = Promise(
    "whose row it is", "everybody without the key", "whoever keeps the key",
    "what the rest of the row says: the vectors of one pseudonym are known to be of one patient",
)  # fmt: skip
COMMON = Promise(
    "every patient whom only one hospital has", "the other hospital",
    "both hospitals to follow the protocol and to use their true lists",
    "what being a patient of both says; names that one side only wonders about",
)  # fmt: skip
GROUPS = Promise(
    "which row is a patient's", "somebody who knows age, sex, postcode and day of visit",
    "whoever makes the table", "a group with one diagnosis; columns that nobody took for a fact",
)  # fmt: skip
SUMS = Promise(
    "each patient's record", "every collector",
    "one collector not to work together with all others",
    "all collectors together; what the sums say",
)  # fmt: skip


def plain(table: Table, context: Context) -> Given:
    """Send the rows with the patients' identifiers."""
    people = _people(table)
    names = dict(zip(_numbers(table), people["number"], strict=True))
    seen = Seen(WHO, "names", {"shown": names, "identifiers": names, "guess": str})
    return Given(table, [seen, _rows(table, context)], sum(map(len, people["number"])))


def pseudonyms(table: Table, context: Context) -> Given:
    """Send the rows with a keyed pseudonym in place of each identifier."""
    people = _people(table)
    names = dict(zip(_numbers(table), people["number"], strict=True))
    renamed = Pseudonyms(fresh_salt(), PROJECT).column(people["number"])
    shown = dict(zip(names, renamed, strict=True))
    what = {"shown": shown, "identifiers": names, "guess": unkeyed}
    seen = [Seen(WHO, "names", what), _rows(table, context)]
    return Given(table, seen, sum(map(len, renamed)))


def common(table: Table, context: Context) -> Given:
    """Have two hospitals find their common patients, and send the rows of those alone."""
    people, own = _people(table), np.array(_numbers(table))
    dealt = np.random.default_rng(SEED).permutation(len(own))
    alone = len(own) // ELSEWHERE
    mine, theirs = dealt[alone:], dealt[: len(own) - alone]
    name = people["number"]
    asker = Asker([name[i] for i in mine], PURPOSE)
    question = asker.ask()
    answer = Answerer([name[i] for i in theirs], PURPOSE, len(mine)).answer(question)
    shared = asker.read(answer)
    assert isinstance(shared, list)
    both = own[np.isin(name, shared)]
    others, _ = numbers(np.random.default_rng(SEED), len(mine), 0)
    inside = {int(own[i]): name[i] for i in mine}
    what = {
        "found": lambda: overheard(question, [*inside.values(), *others], PURPOSE),
        "inside": inside,
        "others": others,
    }
    rows = table.take(np.flatnonzero(np.isin(table.patient, both)))
    with_secret = overheard(question, list(inside.values()), PURPOSE, stolen=asker._blinding)
    notes: dict[str, float | str] = {
        "common patients": float(len(both)),
        "of the list, read with the asker's secret": len(with_secret) / len(inside),
    }
    seen = Seen("the other hospital", "list", what)
    return Given(rows, [seen], len(question) + len(answer), notes)


def grouped(k: int) -> Callable[[Table, Context], Given]:
    """Return the work of sending rows with facts about people, in groups of `k` (1: in none)."""

    def work(table: Table, context: Context) -> Given:
        people, own = _people(table), np.array(_numbers(table))
        if k > 1:
            released = anonymise(people, QUASI, k, people["number"])
            group, told = released.group, released.columns
        else:
            facts = list(zip(*(people[name] for name in QUASI), strict=True))
            group = np.unique([str(one) for one in facts], return_inverse=True)[1]
            told = {name: [str(one) for one in people[name]] for name in QUASI}
        seen = [Seen(WHO, "facts", {"group": group, "patient": own}), _rows(table, context)]
        return Given(table, seen, sum(len(text) for column in told.values() for text in column))

    return work


def shared(table: Table, context: Context) -> Given:
    """Send two collectors shares of each patient's record; the sums make a linear model.

    A patient with a share of diseased images as announced counts as ill. A record holds the mean of
    those of the patient's vectors that have the label, and of their squares. The model is the
    linear discriminant of the two groups with the features' variances: all that sums allow. Raises
    `NotApplicable` where a group is too small to be opened.
    """
    layout = Layout(("healthy", "ill"), 2 * table.features.shape[1], FRACTION)
    collectors = [Collector(number, 2, layout, LEAST) for number in (1, 2)]

    def laid_out(one: Table, patient: int) -> np.ndarray:
        rows = one.patient == patient
        ill = bool(one.diseased[rows].mean() >= ANNOUNCED)
        x = one.features[rows & (one.diseased == ill)]
        return layout.lay_out(layout.groups[ill], [*x.mean(axis=0), *(x**2).mean(axis=0)])

    own, sent = np.array(_numbers(table)), 0
    clear = [laid_out(table, one) for one in own]
    first = []
    for record in clear:
        parts = in_shares(record)
        for collector, part in zip(collectors, parts, strict=True):
            collector.receive(part)
            sent += part.size
        first.append(parts[0].values)
    totals = open_totals(collectors, collectors[0].records)
    counts = np.array([totals.counts[one] for one in layout.groups])
    if counts.min() < LEAST:
        raise NotApplicable(
            f"{counts.min()} patients in a group, and {LEAST} are the fewest that open"
        )
    sums = np.stack([totals.sums[one] for one in layout.groups])
    mean, square = np.split(sums / counts[:, None], 2, axis=1)
    share = counts / counts.sum()
    variance = np.maximum(share @ (square - mean**2), 1e-6)
    weights = (mean[1] - mean[0]) / variance
    bias = -weights @ (mean[0] + mean[1]) / 2 + float(np.log(share[1] / share[0]))
    model = Model(lambda x: x @ weights + bias, np.append(weights, bias))
    photographs = context.photographs
    known = [laid_out(photographs, one) for one in np.unique(photographs.patient)]
    what = {
        "values": np.stack(first).astype(float), "patient": own, "group": own,
        "gallery": np.stack([in_shares(one)[0].values for one in known]).astype(float),
        "owner": np.unique(photographs.patient),
    }  # fmt: skip
    seen = [Seen("one collector", "vectors", what),
            Seen("everybody who gets the sums", "model", {"score": model.score})]  # fmt: skip
    return Given(model, seen, sent)


def _people(table: Table) -> Register:
    """Return one row of an invented register for each patient of a table."""
    return register(np.random.default_rng(SEED), len(_numbers(table)), 1)


def _numbers(table: Table) -> list[int]:
    return [int(one) for one in np.unique(table.patient)]


def _rows(table: Table, context: Context) -> Seen:
    """Return the vectors as whoever collects sees them: those of one patient belong together."""
    joined = Table(table.features, table.diseased, table.patient, table.patient)
    return vectors(WHO, joined, context)


COLLECTING = slot(
    Technology("plain", "rows with names", PLAIN, "collecting-without-exposing", plain),
    Technology("facts", "rows with age, sex, postcode and visit", PLAIN,
               "collecting-without-exposing", grouped(1)),
    Technology("pseudonyms", "keyed pseudonyms", NAMES, "collecting-without-exposing", pseudonyms),
    Technology("intersection", "private set intersection", COMMON, "collecting-without-exposing",
               common),
    Technology("k-anonymous", f"k-anonymous tables, k = {K}", GROUPS, "collecting-without-exposing",
               grouped(K)),
    Technology("shared", "secret-shared upload", SUMS, "collecting-without-exposing", shared),
)  # fmt: skip
