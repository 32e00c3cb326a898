"""Private set intersection: the curve beside a slow twin, what each side sees, and who cheats."""

import hashlib
import random
import secrets

import numpy as np
import pytest

from medpriv_lib.collection import curve, probing
from medpriv_lib.collection.curve import Blinding, point_at, point_of
from medpriv_lib.collection.identifiers import canonical
from medpriv_lib.collection.intersection import (
    Answerer,
    Asker,
    Message,
    agreement,
    intersect,
)
from medpriv_lib.collection.register import numbers

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
WHY = "which patients do we share?"


def slow_sum(p, q):
    """Add two points of P-256 by the chord and the tangent; None is the zero."""
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def slow_multiple(k, p):
    found = None
    while k:
        found, p, k = slow_sum(found, p) if k & 1 else found, slow_sum(p, p), k >> 1
    return found


def slow_point(text, purpose):
    """Try counters, with Euler's criterion for a root."""
    start = b"medpriv set intersection P-256 SHA-256 try-and-increment\0"
    start += len(purpose).to_bytes(4, "big") + purpose
    for counter in range(1000):
        x = int.from_bytes(
            hashlib.sha256(start + counter.to_bytes(4, "big") + text).digest(), "big"
        )
        right = (x**3 - 3 * x + B) % P
        y = pow(right, (P + 1) // 4, P)
        if x < P and y * y % P == right:
            return x, y
    raise AssertionError


def number_of(blinding):
    return blinding._secret.private_numbers().private_value


def asked_by(mine, **how):
    asker = Asker(mine, WHY, **how)
    return asker, asker.ask()


def test_a_text_becomes_the_point_of_the_slow_twin():
    for text in (b"a", b"", b"patient\0\x00123", b"x" * 300):
        point = point_of(text, b"why").public_numbers()
        x, y = slow_point(text, b"why")
        assert point.x == x
        assert point.y in (y, P - y)
        assert slow_multiple(curve.ORDER, (x, y)) is None  # of full, prime order
    assert slow_point(b"a", b"why") != slow_point(b"a", b"another")


def test_blinding_is_the_multiple_of_the_slow_twin_and_commutes():
    a, b = Blinding(), Blinding()
    for text in (b"1", b"2"):
        p = slow_point(text, b"")
        product = slow_multiple(number_of(a), p)
        negative = slow_multiple(number_of(a), (p[0], P - p[1]))
        assert a.of(point_of(text, b"")) == product[0].to_bytes(32, "big")
        assert negative[0] == product[0]  # either root of an x will do
        both = slow_multiple(number_of(b), product)[0].to_bytes(32, "big")
        assert b.of(point_at(a.of(point_of(text, b"")))) == both
        assert a.of(point_at(b.of(point_of(text, b"")))) == both


def test_the_order_is_that_of_the_curve():
    assert slow_multiple(curve.ORDER, BASE) is None
    assert all(curve.ORDER % small for small in (2, 3, 5, 7, 11, 13))
    assert pow(2, curve.ORDER - 1, curve.ORDER) == 1


def test_no_seed_reaches_a_secret():
    found = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        found.append((number_of(Blinding()), asked_by(["1", "2", "3"])[1]))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_an_x_of_no_point_is_refused():
    off = next(
        x.to_bytes(32, "big")
        for x in range(2, 100)
        if pow((x**3 - 3 * x + B) % P, (P - 1) // 2, P) == P - 1
    )
    for wrong, says in ((off, "no point"), (b"\xff" * 32, "no point"), (b"12", "32 bytes, not 2")):
        with pytest.raises(ValueError, match=says):
            point_at(wrong)
    answerer = Answerer(["1"], WHY, 10)
    question = Message(answerer.agreed, ((off,),)).encode()
    with pytest.raises(ValueError, match="no point of P-256"):
        answerer.answer(question)
    assert answerer.left == 10


@pytest.mark.parametrize("shared", [0, 1, 17, 60])
def test_the_intersection_is_the_plain_one(shared):
    mine, theirs = numbers(np.random.default_rng(shared), 60, shared)
    found, sent = intersect(mine, theirs, WHY)
    plain = set(mine) & set(theirs)
    assert found == [one for one in mine if one in plain]
    assert sent == 2 * (16 + 32 + 32 + 8) + 8 + 16 + 32 * 3 * 60  # heads, digests, counts, points
    assert intersect(mine, theirs, WHY, only_size=True)[0] == shared


def test_ways_of_writing_and_repeated_rows_are_one_patient():
    mine = ["A-001", "a 001", "7", "A-001", "9"]
    theirs = ["a001", "A/001", "９"]
    assert intersect(mine, theirs, WHY)[0] == ["A-001", "9"]
    assert intersect(theirs, mine, WHY)[0] == ["a001", "９"]
    _, question = asked_by(mine)
    assert len(Message.decode(question, agreement(WHY, False), 1).lists[0]) == 3


def test_padding_hides_the_number_and_changes_no_result():
    mine, theirs = numbers(np.random.default_rng(5), 20, 4)
    asker, question = asked_by(mine, pad_to=30)
    other, longer = asked_by(mine[:3], pad_to=30)
    assert len(question) == len(longer)
    answerer = Answerer(theirs, WHY, 60, pad_to=40)
    answer = answerer.answer(question)
    assert len(Message.decode(answer, asker.agreed, 2).lists[1]) == 40
    assert asker.read(answer) == [one for one in mine if one in set(theirs)]
    other.read(answerer.answer(longer))
    with pytest.raises(ValueError, match="do not fit a list padded to 10"):
        Asker(mine, WHY, pad_to=10)


def test_what_an_answerer_sees_is_new_points_in_another_order():
    """The same list gives other points each time, and their order tells no row: over 100 runs the
    place of the first of 4 rows is even (chi-square of 3 degrees, below 20 with p > 0.9998)."""
    places = np.zeros(4)
    seen = set()
    for _ in range(100):
        asker, question = asked_by(["1", "2", "3", "4"])
        points = Message.decode(question, asker.agreed, 1).lists[0]
        own = asker._blinding.of(point_of(b"patient\0" + canonical("1"), asker.agreed))
        places[points.index(own)] += 1
        seen.update(points)
    assert len(seen) == 400
    assert ((places - 25) ** 2 / 25).sum() < 20


def test_with_only_the_size_the_order_of_the_answer_is_lost():
    """Names could be read if the answer kept the order; here the positions of a match differ."""
    mine, theirs = [str(i) for i in range(8)], ["3"]
    places = set()
    for _ in range(30):
        asker, question = asked_by(mine, only_size=True)
        twice, own = Message.decode(
            Answerer(theirs, WHY, 8, only_size=True).answer(question), asker.agreed, 2
        ).lists
        met = asker._blinding.of(point_at(own[0]))
        places.add([row for _, row in asker._asked].index(3) == twice.index(met))
    assert False in places


def test_a_question_over_the_limit_is_refused_before_anything_is_computed(monkeypatch):
    answerer = Answerer(["1", "2"], WHY, most=5)
    _, three = asked_by(["1", "8", "9"])
    answerer.answer(three)
    assert answerer.left == 2
    _, again = asked_by(["1", "8", "7"])
    monkeypatch.setattr(
        "medpriv_lib.collection.intersection.Blinding", lambda: pytest.fail("computed")
    )
    with pytest.raises(ValueError, match="3 points, and 2 are left.*learns the whole list"):
        answerer.answer(again)
    assert answerer.left == 2


def test_a_roster_finds_the_whole_list_without_a_limit_and_a_part_with_one():
    people, others = numbers(np.random.default_rng(6), 40, 0)
    roster = [one for pair in zip(people, others, strict=True) for one in pair]
    found, asked = probing.whole_list(Answerer(people, WHY, most=10**6), roster, WHY, 20)
    assert (set(found), asked) == (set(people), 80)  # the positive control
    found, asked = probing.whole_list(Answerer(people, WHY, most=40), roster, WHY, 20)
    assert (found, asked) == (people[:20], 40)


@pytest.mark.parametrize(("target", "expected"), [("17", True), ("99", False)])
def test_a_size_alone_singles_a_person_out(target, expected):
    """The known hole: names that nobody has fill the list, and no rule about its length helps."""
    answerer = Answerer([str(i) for i in range(20)], WHY, 10, only_size=True)
    assert probing.single_out(answerer, target, WHY, 10) is expected


def test_an_overheard_question_names_nobody_without_the_secret():
    people, others = numbers(np.random.default_rng(7), 30, 0)
    asker, question = asked_by(people)
    stolen = probing.overheard(question, people + others, WHY, stolen=asker._blinding)
    assert sorted(stolen) == sorted(people)  # the control
    assert probing.overheard(question, people + others, WHY) == []


def test_a_hash_as_an_exponent_is_a_dictionary():
    """The trap: with H(i) = h(i) G everybody knows logarithms. One known patient of the asker's own
    gives the answerer's secret multiple of G, and with that a roster names the whole list."""
    q = 2**127 - 1  # logarithms in a group of this order; G has the logarithm 1

    def h(name):
        return int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % q

    b, a = 1 + secrets.randbelow(q - 1), 1 + secrets.randbelow(q - 1)
    theirs, roster = ["3", "5", "9"], [str(i) for i in range(50)]
    answer = {h(name) * b % q for name in theirs}  # stands for the points b h(j) G
    own = a * h("me") * b % q  # the point a b h(me) G, which the asker gets back
    base = own * pow(a * h("me"), -1, q) % q  # b G: the asker can multiply points by known numbers
    assert [name for name in roster if h(name) * base % q in answer] == theirs


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m[:-1], "damaged"),
        (lambda m: m + b"\0", "damaged"),
        (lambda m: m[:100] + bytes([m[100] ^ 1]) + m[101:], "damaged"),
        (lambda m: b"x" + m[1:], "no message"),
        (lambda m: b"", "no message"),
        (lambda m: m[:60], "no message"),
    ],
)
def test_a_changed_message_is_refused(change, says):
    asker, question = asked_by(["1", "2", "3"])
    answerer = Answerer(["2"], WHY, 10)
    with pytest.raises(ValueError, match=says):
        answerer.answer(change(question))
    answer = answerer.answer(question)
    with pytest.raises(ValueError, match=says):
        asker.read(change(answer))
    assert asker.read(answer) == ["2"]


def resealed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


def test_counts_that_lie_are_refused():
    _, question = asked_by(["1", "2", "3"])
    content = question[:-32]
    for start, number, says in ((56, 4, "lists of"), (56, 2, "lists of"), (48, 2, "lists of")):
        changed = content[:start] + number.to_bytes(8, "big") + content[start + 8 :]
        with pytest.raises(ValueError, match=says):
            Answerer(["1"], WHY, 10).answer(resealed(changed))
    big = content[:56] + (2**63).to_bytes(8, "big") + content[64:]
    with pytest.raises(ValueError, match="lists of"):
        Answerer(["1"], WHY, 10).answer(resealed(big))


def test_another_purpose_another_result_and_another_question_are_refused():
    asker, question = asked_by(["1", "2"])
    with pytest.raises(ValueError, match="agreed on another purpose"):
        Answerer(["1"], "something else", 10).answer(question)
    with pytest.raises(ValueError, match="another result"):
        Answerer(["1"], WHY, 10, only_size=True).answer(question)
    _, three = asked_by(["1", "2", "3"])
    with pytest.raises(ValueError, match="2 points were asked about and 3 came back"):
        asker.read(Answerer(["1"], WHY, 10).answer(three))
    point = Message.decode(question, asker.agreed, 1).lists[0][0]
    with pytest.raises(ValueError, match="says a point twice"):
        Answerer(["1"], WHY, 10).answer(Message(asker.agreed, ((point, point),)).encode())


def test_steps_out_of_order_and_empty_lists_are_refused():
    asker = Asker(["1"], WHY)
    with pytest.raises(RuntimeError, match="nothing was asked yet"):
        asker.read(b"")
    asker.ask()
    with pytest.raises(RuntimeError, match="asked about already"):
        asker.ask()
    for side in (lambda: Asker([], WHY), lambda: Answerer([], WHY, 1)):
        with pytest.raises(ValueError, match="list of identifiers is empty"):
            side()
    with pytest.raises(ValueError, match="say why"):
        Asker(["1"], " ")
    with pytest.raises(ValueError, match="limit of 0"):
        Answerer(["1"], WHY, 0)
