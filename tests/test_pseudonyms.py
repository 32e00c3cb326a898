"""Keyed pseudonyms: one form of an identifier, one name within a project, and who can undo that."""

import base64
import hashlib
import hmac
import secrets
import unicodedata

import numpy as np
import pytest

from medpriv_lib.collection import roster
from medpriv_lib.collection.identifiers import canonical, first_rows
from medpriv_lib.collection.pseudonyms import DIGITS, Pseudonyms
from medpriv_lib.collection.register import numbers, register
from medpriv_lib.core.salt import fresh_salt, read_salt, write_salt

KEY = secrets.token_bytes(32)


def slow_hmac(key: bytes, text: bytes) -> bytes:
    """RFC 2104, written out: two nested hashes of the padded key."""
    padded = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + text).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()


@pytest.mark.parametrize(
    "written",
    [
        "00123-AB",
        "00123 ab",
        " 00123ab",
        "00123/AB.",
        "００１２３ＡＢ",
        "٠٠١٢٣ab",
        "00\u200b123\u00adab",
    ],
)
def test_ways_of_writing_are_one_patient(written):
    assert canonical(written) == b"\x0000123ab"
    names = Pseudonyms(KEY, "a study")
    assert names.of(written) == names.of("00123AB")


def test_accents_are_one_form_and_not_lost():
    composed = unicodedata.normalize("NFC", "Müller")
    decomposed = unicodedata.normalize("NFD", "Müller")
    assert composed != decomposed
    assert canonical(composed) == canonical(decomposed)
    assert canonical("Müller") != canonical("Muller")
    assert canonical("Straße") == canonical("STRASSE")


def test_zeros_and_issuers_tell_patients_apart():
    assert canonical("0123") != canonical("123")
    assert canonical("123", "clinic A") != canonical("123", "clinic B")
    assert canonical("123", "a") != canonical("a123")  # no way to shift the border
    assert canonical("12-3") == canonical("1-23")  # the known loss, as the docstring says


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (123, TypeError, "leading zeros are lost"),
        (None, TypeError, "not NoneType"),
        ("", ValueError, "no letter and no digit"),
        (" -/. ", ValueError, "no letter and no digit"),
    ],
)
def test_what_is_no_identifier_is_refused(wrong, error, says):
    with pytest.raises(error, match=says):
        canonical(wrong)
    names = Pseudonyms(KEY, "a study")
    with pytest.raises(error, match=f"row 1: .*{says}"):
        names.column(["123", wrong])
    with pytest.raises(error, match=f"row 1: .*{says}"):
        first_rows(["123", wrong])


def test_an_empty_column_is_refused():
    with pytest.raises(ValueError, match="column of identifiers is empty"):
        Pseudonyms(KEY, "a study").column([])
    with pytest.raises(ValueError, match="list of identifiers is empty"):
        first_rows([])


def test_a_pseudonym_is_the_hmac_written_out():
    project = slow_hmac(KEY, b"project\0a study")
    for identifier in ("1", "0000-12", "x" * 500):
        expected = slow_hmac(project, canonical(identifier)).hex()[:DIGITS]
        letters = "".join(chr(ord("a") + int(digit, 16)) for digit in expected)
        assert Pseudonyms(KEY, "a study").of(identifier) == letters
        assert hmac.digest(KEY, b"x", "sha256") == slow_hmac(KEY, b"x")


def test_projects_and_keys_give_other_names():
    of = [Pseudonyms(KEY, "a"), Pseudonyms(KEY, "b"), Pseudonyms(secrets.token_bytes(32), "a")]
    people, _ = numbers(np.random.default_rng(0), 300, 0)
    columns = [set(one.column(people)) for one in of]
    assert all(len(column) == 300 for column in columns)
    assert len(set.union(*columns)) == 900
    assert set(Pseudonyms(KEY, "a").column(people[::-1])) == columns[0]


@pytest.mark.parametrize("length", [0, 16, 31])
def test_a_short_key_and_a_nameless_project_are_refused(length):
    with pytest.raises(ValueError, match=f"32 bytes or more, not {length}"):
        Pseudonyms(bytes(length), "a")
    with pytest.raises(ValueError, match="name the project"):
        Pseudonyms(KEY, "  ")


def test_a_key_is_kept_as_a_salt_and_never_shown(tmp_path):
    key = fresh_salt()
    write_salt(tmp_path / "keep", key)
    kept = read_salt(tmp_path / "keep")
    assert Pseudonyms(kept, "a").of("1") == Pseudonyms(key, "a").of("1")
    shown = repr(Pseudonyms(key, "a"))
    assert key.hex() not in shown
    assert repr(key) not in shown
    assert base64.b64encode(key).decode() not in shown


def test_a_roster_names_all_without_a_key_or_with_the_key_and_nobody_else():
    people, others = numbers(np.random.default_rng(1), 400, 0)
    everybody = people + others
    hashed = [roster.unkeyed(one) for one in people]
    assert set(roster.dictionary(hashed, everybody, roster.unkeyed).values()) == set(people)
    names = Pseudonyms(KEY, "a")
    seen = names.column(people)
    assert set(roster.dictionary(seen, everybody, names.of).values()) == set(people)  # the control
    assert roster.dictionary(seen, others, names.of) == {}
    for guess in (roster.unkeyed, Pseudonyms(fresh_salt(), "a").of, Pseudonyms(KEY, "b").of):
        assert roster.dictionary(seen, everybody, guess) == {}


def test_two_days_name_a_pseudonym_without_any_key():
    table = register(np.random.default_rng(2), 300, visits=3)
    names, rows = Pseudonyms(KEY, "a"), {}
    for number, visit in zip(table["number"], table["visit"], strict=True):
        rows.setdefault(number, set()).add(visit)
    seen = {names.of(number): days for number, days in rows.items()}
    known = {number: sorted(days)[:2] for number, days in rows.items() if len(days) > 1}
    named = roster.by_facts(seen, known)
    right = sum(names.of(number) == pseudonym for number, pseudonym in named.items())
    slow = 0
    for number, days in known.items():
        fitting = [one for one, held in seen.items() if set(days) <= held]
        slow += fitting == [names.of(number)]
    assert right == slow == len(named)
    assert right > 0.95 * len(known)  # two of 365 days, 300 patients: few pairs meet by chance
    by_visit = {f"{names.of(number)}{day}": {day} for number, days in rows.items() for day in days}
    fewer = roster.by_facts(by_visit, known)  # a pseudonym for each visit does not add up
    assert fewer == {}
    assert roster.by_facts(seen, {"nobody": [], "stranger": ["1999-01-01"]}) == {}


def test_the_register_is_drawn_anew_by_its_generator_and_says_what_it_cannot():
    one, other = (register(np.random.default_rng(3), 50) for _ in range(2))
    assert one == other
    assert {len(column) for column in one.values()} == {len(one["number"])}
    with pytest.raises(ValueError, match="0 patients"):
        register(np.random.default_rng(3), 0)
    with pytest.raises(ValueError, match="5 shared of 4"):
        numbers(np.random.default_rng(3), 4, 5)
    mine, theirs = numbers(np.random.default_rng(3), 40, 15)
    assert len(set(mine)) == len(set(theirs)) == 40
    assert len(set(mine) & set(theirs)) == 15
