"""An encrypted decision and a privatised case: both halves of a session, and the whole command."""

import subprocess
import sys
import threading
from dataclasses import replace
from socket import socketpair

import numpy as np
import pytest
from PIL import Image
from small_cohorts import cohort_of

from medpriv_lib.cli import main
from medpriv_lib.core.promise import Promise
from medpriv_lib.data.packaged import default_cohort, packaged_cohort
from medpriv_lib.encrypted import consultation
from medpriv_lib.encrypted.consultation import (
    SERVICE,
    Consulted,
    Model,
    Offer,
    answer_client,
    ask_server,
    require_vectors,
)
from medpriv_lib.encrypted.scoring import ScoreClient, cubic
from medpriv_lib.encrypted.session import PROTOCOL
from medpriv_lib.encrypted.wire import SessionError, Wire
from medpriv_lib.pipeline import consult as verb
from medpriv_lib.pipeline.consult import choose, gallery_rows, prepare_offer, require_askable

WIDTH, CASES = 5, 8


@pytest.fixture(scope="module")
def client():
    pytest.importorskip("tenseal")
    return ScoreClient()


@pytest.fixture
def held():
    """What a server holds: a model, and an offer of noise pictures."""
    rng = np.random.default_rng(0)
    model = Model(rng.normal(size=WIDTH), 0.3, 4.0)
    pictures = rng.integers(0, 256, (CASES, 16, 16), dtype=np.uint8)
    filed = np.arange(CASES) % 2 == 0
    words = Promise("a", "b", "c", "d")
    return model, Offer(np.ones(WIDTH), np.full(WIDTH, 2.0), 4.0, pictures, filed, "blur", words)


def session(held, run):
    """Hold both halves over a pair of sockets; return what the client has, what the server said,
    and the server's error."""
    ends = [
        Wire(end, name, 20) for end, name in zip(socketpair(), ("client", "server"), strict=True)
    ]
    said, errors = [], []

    def serve():
        try:
            answer_client(ends[0], *held, said.append)
        except SessionError as error:
            errors.append(str(error))
            ends[0].complain(str(error))
        finally:
            ends[0].close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        return run(ends[1]), said, errors
    finally:
        ends[1].close()
        thread.join()


def test_the_score_is_that_of_the_clear_and_every_case_is_sent(held, client):
    model, offer = held
    vectors = np.random.default_rng(1).normal(size=(2, WIDTH))
    found, said, errors = session(held, lambda wire: ask_server(wire, vectors, client))
    clear = cubic(offer.scale(vectors) @ model.weights + model.bias, model.reach)
    assert np.abs(found.probability - clear).max() < 1e-3
    assert np.array_equal(found.offer.cases, offer.cases)
    assert np.array_equal(found.offer.diseased, offer.diseased)
    assert found.offer.promise == offer.promise
    assert not errors
    assert said[0].startswith("answered 2 question(s); saw ")
    assert f"not which of the {CASES} cases" in said[0]
    assert found.received > offer.cases.nbytes + 1.9 * found.answer  # answers differ by some bytes


def test_two_questions_have_one_length_whatever_is_asked(client):
    lengths = {len(client.encrypt(np.full(WIDTH, value))) // 4096 for value in (0.0, 4.0)}
    assert max(lengths) - min(lengths) <= 1  # zlib leaves a few bytes of difference


def test_no_more_than_so_many_questions(held, client, monkeypatch):
    monkeypatch.setattr(consultation, "QUESTIONS", 0)

    def run(wire):
        with pytest.raises(SessionError):  # the server is gone, or said why
            ask_server(wire, np.zeros((1, WIDTH)), client)

    assert "0 questions were answered in this session" in session(held, run)[2][0]


@pytest.mark.parametrize(
    ("greeting", "keys", "message"),
    [
        ({"service": "pizza"}, b"", "this is a consultation; a 'pizza' was asked for"),
        ({"protocol": 99}, b"", "speaks version 99 of the protocol"),
        ({}, b"no keys", "the keys that came are none"),
        ({}, None, "announces 999999999 bytes of keys"),
    ],
)
def test_a_client_that_does_not_follow_is_told_why(held, greeting, keys, message):
    pytest.importorskip("tenseal")

    def run(wire):
        nonce = "0" * 32
        wire.tell({"protocol": PROTOCOL, "nonce": nonce, "service": SERVICE} | greeting, "greeting")
        theirs = wire.hear("greeting", {"nonce": str})
        wire.session = consultation.number_of(nonce, theirs["nonce"])
        if keys is None:
            wire.tell({"bytes": 999_999_999}, "size of the keys")
        else:
            consultation._send(wire, keys, "keys")
        wire.hear("nothing", {})

    with pytest.raises(SessionError, match=message):
        session(held, run)


def test_a_question_of_another_width(held, client):
    with pytest.raises(SessionError, match="has 4 features and the model 5"):
        held[1].scale(np.zeros((1, WIDTH - 1)))
    short = replace(held[1], mean=np.ones(4), spread=np.ones(4))
    with pytest.raises(SessionError, match="the vector has 4 numbers and the model 5 weights"):
        session((held[0], short), lambda wire: ask_server(wire, np.zeros((1, 4)), client))


def test_bad_offers_and_vectors_are_refused(held):
    offer = held[1]
    for wrong in ({"spread": np.zeros(WIDTH)}, {"mean": np.full(WIDTH, np.nan)}, {"cut": 0.0}):
        with pytest.raises(SessionError, match="no valid scale or gallery"):
            replace(offer, **wrong)
    with pytest.raises(ValueError, match="answers 1 to 20 images"):
        require_vectors(np.zeros((21, WIDTH)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        require_vectors(np.full((1, WIDTH), np.nan))


def test_the_case_is_the_nearest_that_was_filed_as_the_decision(held, monkeypatch):
    offer = held[1]
    there = np.zeros((CASES, WIDTH))
    there[:, 0] = np.arange(CASES)
    monkeypatch.setattr(verb, "describe", lambda images, how: 1 + 2 * there)  # unscaled
    asked = np.tile(1 + 2 * there[2], (2, 1))  # case 2 itself, which was filed as diseased
    consulted = Consulted(offer, np.array([0.9, 0.1]), 0, 0, 0, 0, (0.0, 0.0))
    found = choose(asked, consulted)
    assert found[0] == 2
    assert found[1] in (1, 3)
    healthy = replace(offer, diseased=np.zeros(CASES, bool))
    assert choose(asked, replace(consulted, offer=healthy))[0] == 2  # nobody was filed so


def test_the_gallery_has_both_labels_and_as_many_patients_as_it_can():
    patient = np.repeat(np.arange(10), 4)
    cohort = cohort_of(np.zeros((40, 4, 4)), patient, patient < 5)
    rows = gallery_rows(cohort, np.arange(40), 10)
    assert len(set(patient[rows])) == 10
    assert cohort.diseased[rows].sum() == 5
    assert any(not np.array_equal(gallery_rows(cohort, np.arange(40), 10), rows) for _ in range(5))
    with pytest.raises(ValueError, match="has 20 training images .* 30 are to become cases"):
        gallery_rows(cohort, np.arange(40), 60)


@pytest.fixture
def eye(tmp_path):
    """An eye of another cohort than the archive's, cut already, as a file."""
    cohort = packaged_cohort("crossed")
    row = np.flatnonzero((cohort.split == "test") & cohort.diseased)[0]
    Image.fromarray(cohort.images[row]).save(tmp_path / "eye.png")
    return tmp_path / "eye.png"


def small_archive():
    cohort = default_cohort()
    train = np.flatnonzero(cohort.split == "train")
    return cohort.take(train[:: len(train) // 120])


def test_what_an_archive_offers():
    archive = small_archive()
    model, offer, rows = prepare_offer(archive, "blur", 6)
    assert model.weights.shape == offer.mean.shape == (107,)
    assert np.array_equal(offer.diseased, archive.diseased[rows])
    away = np.abs(offer.cases.astype(int) - archive.images[rows]).mean(axis=(1, 2))
    assert (away > 1).all()
    logits = offer.scale(require_askable(archive.images[:20])) @ model.weights + model.bias
    assert ((logits > 0) == archive.diseased[:20]).mean() > 0.7
    with pytest.raises(ValueError, match="a gallery of 4 says nearly what was asked"):
        prepare_offer(archive, "blur", 4)
    with pytest.raises(ValueError, match="cases are shown by blur, k-same, .* not 'original'"):
        prepare_offer(archive, "original", 6)
    with pytest.raises(ValueError, match="the archive's images are 4x4"):
        prepare_offer(cohort_of(np.zeros((8, 4, 4))), "blur", 6)


REFUSED = {
    "no case": (["eye.png"], "where its case is written"),
    "no eye": (["--case", "c.png"], "name an image file"),
    "no such eye": (["none.png", "--case", "c.png"], "none.png"),
    "no picture": (["list.csv", "--case", "c.png", "--no-localize"], "list.csv"),
    "one grey level": (["flat.png", "--case", "c.png", "--no-localize"], "one grey level only"),
    "another form": (["eye.png", "--case", "c.html"], "name it c.png"),
    "there already": (["eye.png", "--case", "eye.png"], "is there already"),
    "half of two": (["eye.png", "--case", "c.png", "--at", "a:1"], "belong together"),
    "the server's": (
        ["eye.png", "--case", "c.png", "--at", "a:1", "--certificates", ".", "--cases", "9"],
        "--cases is the server's to say",
    ),
    "a server with an eye": (["eye.png", "--serve", "a:1"], "a server reads no eye"),
    "a server without keys": (["--serve", "127.0.0.1:0"], "--serve needs --certificates"),
    "once": (["eye.png", "--case", "c.png", "--once"], "--once needs --serve"),
    "a small archive": (
        ["eye.png", "--case", "c.png", "--no-localize", "--archive", "c.npz"],
        "the archive's images are 16x16",
    ),
    "no archive": (
        ["eye.png", "--case", "c.png", "--no-localize", "--archive", "none.npz"],
        "none.npz",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_one_line(eye, monkeypatch, capsys, what):
    monkeypatch.chdir(eye.parent)
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save("flat.png")
    (eye.parent / "list.csv").write_text("no picture")
    cohort_of(np.zeros((4, 16, 16))).save("c.npz")
    options, message = REFUSED[what]
    assert main(["consult", *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (eye.parent / "c.png").exists()


@pytest.mark.slow
def test_from_an_eye_to_a_decision_and_a_case_between_two_processes(eye):
    pytest.importorskip("tenseal")
    archive = small_archive()
    archive.save(eye.with_name("archive.npz"))
    case = eye.with_name("case.png")
    command = ["consult", str(eye), "--no-localize", "--case", str(case), "--cases", "12"]
    command += ["--archive", str(eye.with_name("archive.npz"))]
    found = subprocess.run(
        [sys.executable, "-m", "medpriv_lib", *command],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("disease (score ")
    for said in ("one of 12, filed as disease", "not which case is shown", "sign transfer"):
        assert said in found.stdout
    shown = np.array(Image.open(case))
    assert np.abs(shown.astype(int) - archive.images).mean(axis=(1, 2)).min() > 1
