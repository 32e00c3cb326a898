"""What the study remembers equals what it would compute anew."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import signed_cohort

from medpriv_lib.core.memory import Memory, keys_of
from medpriv_lib.core.pixels import to_uint8
from medpriv_lib.core.randomness import seeded
from medpriv_lib.explanation.relevance_scores import score_relevance
from medpriv_lib.measures.measure import Ground
from medpriv_lib.privatizers.controls import PriorSample
from medpriv_lib.privatizers.protocol import Resources
from medpriv_lib.privatizers.replacement import Pools
from medpriv_lib.privatizers.vgan.networks import Architecture, Generator
from medpriv_lib.privatizers.vgan.pprl_vgan import PPRLVGAN
from medpriv_lib.recognition.embedding import embeddings
from medpriv_lib.recognition.judges import Judges
from medpriv_lib.recognition.networks import Recogniser
from medpriv_lib.recognition.reader import Reader
from medpriv_lib.recognition.train import logits
from medpriv_lib.recognition.verdicts import Panel
from medpriv_lib.study.decoded import RememberingDecoder, networks_of
from medpriv_lib.study.examine import Examiner
from medpriv_lib.study.rows import Releases, methods, with_predicted_labels


def cohort():
    """Return noise images, half of them with a dark square as the known sign of the disease."""
    return signed_cohort(8, 8, (6, 14, 16, 24), np.arange(8) % 2 == 0, seed=3, size=32)


@pytest.fixture(scope="module")
def networks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        disease, identity = Recogniser(2, 32).eval(), Recogniser(8, 32).eval()
        generator = Generator(Architecture(8, 32)).eval()
    disease.head.bias.data += 3
    return Judges(identity, disease, None), PPRLVGAN(
        "random", generator, Pools.of(cohort().of("train"))
    )


def test_a_key_is_read_once_and_the_order_is_that_of_the_keys():
    memory, asked = Memory(), []

    def read(rows):
        asked.append(rows.tolist())
        return np.array([[10.0 * row, 1.0] for row in rows])

    first = memory.recall([b"a", b"b", b"a"], read)
    assert len(asked[0]) == 2
    assert (first[0] == first[2]).all()
    second = memory.recall([b"b", b"c"], read)
    assert asked[1] == [1]
    assert (second[0] == first[1]).all()
    assert second[1].tolist() == [10, 1]


def test_keys_tell_images_and_rows_apart():
    images = cohort().images[:3]
    keys = keys_of(images[[0, 1, 0]])
    assert keys[0] == keys[2] != keys[1]
    beside = keys_of(images[[0, 1, 0]], [0, 1, 2])
    assert len(set(beside)) == 3
    changed = images.copy()
    changed[0, 0, 0] ^= 1
    assert keys_of(changed)[0] != keys[0]
    assert keys_of(images[:, ::2, ::2]) == keys_of(images[:, ::2, ::2].copy())  # strided or not


def test_a_reader_says_what_the_network_says_and_reads_an_image_once(networks, monkeypatch):
    """The slow twin: `embeddings` and `logits` of all images; 1e-5 is float32 summed in another
    order."""
    judge, images = networks[0].disease, cohort().images
    reader = Reader(judge)
    reader.points(images[:10])
    assert np.abs(reader.points(images) - embeddings(judge, images)).max() < 1e-5
    assert (reader.logits(images) - logits(judge, images)).abs().max() < 1e-5

    def again(*_):
        raise AssertionError("an image was read a second time")

    monkeypatch.setattr(judge, "merged", again)  # what every reading begins with
    assert reader.points(images[::-1]).shape == (len(images), 32)
    with pytest.raises(AssertionError, match="second time"):
        reader.points(images ^ np.uint8(1))


def test_a_panel_with_a_reader_gives_the_same_verdicts(networks):
    judges, given = networks[0], cohort()
    plain = Panel(judges).ask(given.images, given.patient)
    fast = Panel(judges, Reader(judges.disease).logits).ask(given.images, given.patient)
    assert (plain.disease == fast.disease).all()
    assert (plain.identity == fast.identity).all()


def test_remembered_prior_samples_are_those_of_the_network(networks, monkeypatch):
    _, vgan = networks
    test = cohort().of("test")
    plain = PriorSample(vgan, "same").privatize(test, torch.Generator().manual_seed(1))
    decoder = RememberingDecoder(vgan)
    fast = PriorSample(decoder, "same").privatize(test, torch.Generator().manual_seed(1))
    assert np.array_equal(plain.images, fast.images)
    assert np.array_equal(plain.contributors, fast.contributors)
    made = []
    decode = PPRLVGAN.decode
    monkeypatch.setattr(
        PPRLVGAN, "decode", lambda self, z, c: made.append(len(z)) or decode(self, z, c)
    )
    again = PriorSample(decoder, "same").privatize(
        replace(test, images=test.twin), torch.Generator().manual_seed(1)
    )
    assert np.array_equal(again.images, plain.images)
    assert made == []  # a prior sample does not look at the source: its twin's is the same
    values = decoder.decode(torch.zeros(1, vgan.latent), torch.tensor([3]))
    assert made == [1]
    assert np.array_equal(
        to_uint8(values), to_uint8(vgan.decode(torch.zeros(1, vgan.latent), torch.tensor([3])))
    )


@pytest.mark.slow
def test_rows_examined_one_after_the_other_equal_rows_examined_alone(networks):
    """The slow twin: a new examiner, which remembers nothing, for every row; true and predicted
    labels share images."""
    judges, vgan = networks
    whole = cohort()
    train, test = whole.of("train"), whole.of("test")
    flipped = test.diseased.copy()
    flipped[:2] = ~flipped[:2]
    cohorts = {"": test, "true": test, "predicted": replace(test, diseased=flipped)}
    resources = Resources(whole, trained=networks_of(vgan))
    listed = [
        row
        for row in (*methods(), *with_predicted_labels(methods()))
        if row.experiment == "control" or row.set == "kernel 3"
    ]
    assert len(listed) == 8

    def examined(rows, examiner, releases):
        releases.prepare(rows, _no_bar)
        examiner.prepare(rows, _no_bar)
        return [examiner.row(row, list(releases.of(row))) for row in rows]

    def new():
        examiner = Examiner(Ground(train, test, judges, 0), resources, cohorts, 2)
        return examiner, Releases(resources, cohorts, 0, 2)

    together = examined(listed, *new())
    for row, got in zip(listed, together, strict=True):
        [alone] = examined([row], *new())
        assert got.keys() == alone.keys()
        for key, value in alone.items():
            assert got[key] == (None if value is None else pytest.approx(value, abs=1e-3)), (
                row.set,
                key,
            )


class _no_bar:
    def __init__(self, total):
        self.total = total

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def update(self, n):
        pass


def test_shared_draws_take_each_image_from_one_of_the_releases(networks):
    """Ten draws of prior samples hold four images per row, each about equally often, with the
    identity it shows."""
    _, vgan = networks
    test = cohort().of("test")
    resources = Resources(cohort(), trained=networks_of(vgan))
    row = next(row for row in methods() if row.set == "prior sample, random identities")
    assert row.shared == 4
    draws = 200
    releases = list(Releases(resources, {"": test}, 0, draws).of(row))
    assert len(releases) == draws
    shown = [
        {(each.images[n].tobytes(), int(each.contributors[n, 0])) for each in releases}
        for n in range(len(test))
    ]
    assert all(len(kinds) == 4 for kinds in shown)
    slow = [
        row.release(resources, test, seeded(0, row.experiment, row.set, number))
        for number in range(4)
    ]
    for n, kinds in enumerate(shown):
        assert kinds == {(each.images[n].tobytes(), int(each.contributors[n, 0])) for each in slow}
    # 8 images x 200 draws, 4 kinds each: chi-square of 8 x 3 = 24 degrees, its 99.99 % quantile is
    # 59; seeds are fixed
    counts = np.array(
        [
            [
                sum(each.images[n].tobytes() == one.images[n].tobytes() for each in releases)
                for one in slow
            ]
            for n in range(len(test))
        ]
    )
    assert ((counts - draws / 4) ** 2 / (draws / 4)).sum() < 59
    few = list(Releases(resources, {"": replace(test, images=test.twin)}, 0, 2).of(row))
    assert [each.images.tobytes() for each in few] == [
        each.images.tobytes() for each in releases[:2]
    ]  # as for twins


def test_what_the_reader_knows_spares_a_pass_and_changes_no_relevance(networks):
    judge, given = Recogniser(2, 32).eval(), cohort()
    judge.load_state_dict(networks[0].disease.state_dict())
    judge.head.bias.data -= (
        logits(judge, given.images).amax(1).median()
    )  # half of the images have no map
    known = Reader(judge).logits(given.images).amax(1).numpy() > 0
    assert 0 < known.sum() < len(known)
    plain = score_relevance(judge, given.images, given.evidence)
    fast = score_relevance(judge, given.images, given.evidence, known=known)
    for name, values in plain.items():
        assert np.array_equal(values, fast[name], equal_nan=True), name
