"""What secure aggregation stands on: fixed point, shares, keys, masks; each beside a slow twin."""

import hmac
import itertools
import random
import secrets
from fractions import Fraction

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as some

from medpriv_lib.federation.secure_aggregation import fixed_point, keys, masks, shamir

NINE = secrets.token_bytes(32)


def slow_mask(key: bytes, count: int) -> list[int]:
    """Encrypt the counters one at a time, and read the blocks as numbers."""
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    blocks = [cipher.update(i.to_bytes(16, "big")) for i in range((count + 1) // 2)]
    raw = b"".join(blocks)
    return [int.from_bytes(raw[8 * i : 8 * i + 8], "little") for i in range(count)]


def slow_shares(coefficients: list[int], holders) -> dict[int, int]:
    """The polynomial by its powers."""
    return {x: sum(c * x**k for k, c in enumerate(coefficients)) % shamir.PRIME for x in holders}


def slow_secret(shares: dict[int, bytes]) -> int:
    """Solve for the polynomial's coefficients by elimination, modulo the prime."""
    p, rows = shamir.PRIME, []
    for x, raw in shares.items():
        rows.append([pow(x, k, p) for k in range(len(shares))] + [int.from_bytes(raw, "big")])
    for i in range(len(rows)):
        inverse = pow(rows[i][i], -1, p)
        rows[i] = [value * inverse % p for value in rows[i]]
        for j in range(len(rows)):
            if j != i:
                factor = rows[j][i]
                rows[j] = [(a - factor * b) % p for a, b in zip(rows[j], rows[i], strict=True)]
    return rows[0][-1]


@pytest.mark.parametrize("count", [1, 2, 7, 1000, masks.CHUNK, masks.CHUNK + 3])
def test_a_mask_is_aes_of_the_counter(count):
    numbers = np.zeros(count, np.uint64)
    masks.apply(numbers, NINE, 1)
    checked = min(count, 1001)
    assert numbers[:checked].tolist() == slow_mask(NINE, checked)
    if count > masks.CHUNK:  # the counter goes on where a chunk ends
        assert numbers[-3:].tolist() == slow_mask(NINE, count)[-3:]


def test_a_mask_that_is_added_and_subtracted_is_gone():
    before = np.random.default_rng(0).integers(0, 2**64, 5000, dtype=np.uint64)
    numbers = before.copy()
    masks.apply(numbers, NINE, 1)
    assert (numbers != before).all()
    masks.apply(numbers, NINE, -1)
    assert (numbers == before).all()
    with pytest.raises(ValueError, match="added"):
        masks.apply(numbers, NINE, 0)


def test_of_two_sites_one_adds_and_one_subtracts():
    for one, other in itertools.permutations(range(1, 6), 2):
        assert masks.sign_between(one, other) == -masks.sign_between(other, one)


def test_shares_lie_on_the_polynomial(monkeypatch):
    drawn = iter([11, 2**500, 5])
    monkeypatch.setattr(shamir.secrets, "randbelow", lambda most: next(drawn))
    shares = shamir.split(NINE, 4, [1, 2, 3, 50])
    # Horner begins with the highest power
    expected = slow_shares([int.from_bytes(NINE, "big"), 5, 2**500, 11], [1, 2, 3, 50])
    assert {x: int.from_bytes(raw, "big") for x, raw in shares.items()} == expected


def test_any_t_shares_give_the_secret_and_fewer_do_not():
    shares = shamir.split(NINE, 3, range(1, 7))
    for count in range(1, 7):
        for chosen in itertools.combinations(shares, count):
            part = {x: shares[x] for x in chosen}
            found = shamir.combine(part, shamir.weights(chosen))
            assert (found == NINE) == (count >= 3)
            if count >= 3:
                assert slow_secret(part) == int.from_bytes(NINE, "big")


def test_two_shares_of_three_fit_every_secret():
    """For each other secret there is a polynomial through the same two shares."""
    shares = shamir.split(NINE, 3, [1, 2, 3])
    for other in (bytes(32), b"\xff" * 32, secrets.token_bytes(32)):
        weights = shamir.weights([1, 2, 3])
        known = sum(weights[x] * int.from_bytes(shares[x], "big") for x in (1, 2))
        third = (int.from_bytes(other, "big") - known) * pow(weights[3], -1, shamir.PRIME)
        forged = {**shares, 3: (third % shamir.PRIME).to_bytes(shamir.SHARE, "big")}
        assert shamir.combine(forged, weights) == other


def test_a_share_of_the_top_bit_is_kept():
    for secret in (bytes(32), b"\xff" * 32, b"\x80" + bytes(31)):
        shares = shamir.split(secret, 2, [1, 2])
        assert shamir.combine(shares, shamir.weights([1, 2])) == secret


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((b"short", 2, [1, 2]), "32 bytes"),
        ((bytes(32), 3, [1, 2]), "threshold of 3"),
        ((bytes(32), 0, [1, 2]), "threshold of 0"),
        ((bytes(32), 2, [1, 1]), "different numbers"),
        ((bytes(32), 2, [0, 1]), "from 1 on"),
    ],
)
def test_a_split_that_cannot_be_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        shamir.split(*arguments)
    if says in ("different numbers", "from 1 on"):
        with pytest.raises(ValueError, match=says):
            shamir.weights(arguments[2])


def test_both_sides_agree_and_another_use_or_party_does_not():
    mine, theirs, third = keys.draw(), keys.draw(), keys.draw()
    agreed = keys.agree(mine.private, theirs.public, b"masks")
    assert keys.agree(theirs.private, mine.public, b"masks") == agreed
    assert keys.agree(theirs.private, mine.public, b"shares") != agreed
    assert keys.agree(third.private, mine.public, b"masks") != agreed


def test_the_published_exchange_of_x25519():
    """RFC 7748, section 6.1; HKDF (RFC 5869) is written out with HMAC."""
    alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
    bob = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"  # public
    secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    extracted = hmac.digest(bytes(32), bytes.fromhex(secret), "sha256")
    expanded = hmac.digest(extracted, b"use" + bytes([1]), "sha256")
    assert keys.agree(bytes.fromhex(alice), bytes.fromhex(bob), b"use") == expanded
    assert keys.public_of(bytes.fromhex(alice)).hex() == public


def test_a_key_of_small_order_is_refused():
    with pytest.raises(ValueError, match="everybody knows"):
        keys.agree(keys.draw().private, bytes(32), b"masks")


def test_what_was_sealed_opens_once_as_it_was():
    key, sealed = NINE, keys.seal(NINE, b"a share", b"1>2")
    assert keys.unseal(key, sealed, b"1>2") == b"a share"
    assert keys.seal(NINE, b"a share", b"1>2") != sealed  # a fresh nonce
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert keys.unseal(key, bytes(changed), b"1>2") is None
    assert keys.unseal(key, sealed, b"2>1") is None
    assert keys.unseal(bytes(32), sealed, b"1>2") is None
    assert keys.unseal(key, sealed[:5], b"1>2") is None


def test_joined_parts_cannot_be_shifted():
    assert keys.joined("ab", "c") != keys.joined("a", "bc")
    assert keys.joined(1, 23) != keys.joined(12, 3)
    assert keys.joined("a", b"") != keys.joined("a")


def test_no_seed_reaches_what_hides():
    """Two draws after the same seeds differ: all generators a caller could seed are seeded."""
    found = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        shares = shamir.split(bytes(32), 2, [1, 2])
        found.append((keys.draw(), shares[1], keys.seal(NINE, b"", b"")))
    for one, other in zip(*found, strict=True):
        assert one != other


@settings(max_examples=40, deadline=None)
@given(
    some.lists(
        some.lists(some.floats(-1e3, 1e3, width=32), min_size=3, max_size=3),
        min_size=3,
        max_size=6,
    ),
    some.data(),
)
def test_the_sum_is_the_exact_sum_of_the_rounded_values(updates, data):
    """The slow twin computes with fractions."""
    n = len(updates)
    patients = data.draw(some.lists(some.integers(1, 500), min_size=n, max_size=n))
    total = np.zeros(4, np.uint64)
    for values, count in zip(updates, patients, strict=True):
        total += fixed_point.encode(np.array(values), count, n)
    mean, all_patients = fixed_point.decode(total, n)
    assert all_patients == sum(patients)
    for i in range(3):
        steps = [
            round(Fraction(values[i]) * count * 2**24)
            for values, count in zip(updates, patients, strict=True)
        ]
        assert mean[i] == float(sum(steps)) / float(all_patients * 2**24)
        exact = sum(Fraction(v[i]) * c for v, c in zip(updates, patients, strict=True))
        off = abs(float(Fraction(sum(steps), all_patients * 2**24) - exact / all_patients))
        assert off <= fixed_point.error(n, all_patients) * (1 + 1e-9)


@pytest.mark.parametrize("sites", [3, 10, 1000])
def test_the_bound_is_sharp(sites):
    """At the bound all sites' numbers add up without wrapping, one step above they would not."""
    most = fixed_point.most(sites)
    assert sites * most < 2**63 <= sites * (most + 1)
    whole = most // 2**24  # in whole units, so that float64 holds the value exactly
    largest = float(whole - 2 ** max(0, whole.bit_length() - 53))
    total = sum(fixed_point.encode(np.array([largest, -largest]), 1, sites) for _ in range(sites))
    mean, _ = fixed_point.decode(total, sites)
    assert mean[0] == pytest.approx(largest, rel=1e-12)
    assert mean[1] == -mean[0]
    with pytest.raises(ValueError, match=f"wrap a sum over {sites} sites.*nothing was sent"):
        fixed_point.encode(np.array([largest * 1.001]), 1, sites)


@pytest.mark.parametrize(
    ("values", "patients", "says"),
    [
        ([1.0, np.nan], 5, "1 of 2 values are NaN or infinite"),
        ([np.inf, np.nan], 5, "2 of 2 values"),
        ([1e30], 5, "could wrap"),
        ([1.0], 0, "0 patients"),
        ([1.0], 2**40, "could wrap"),
    ],
)
def test_values_that_would_spoil_the_sum_are_refused(values, patients, says):
    with pytest.raises(ValueError, match=says):
        fixed_point.encode(np.array(values), patients, 3)


def test_a_sum_under_masks_is_noticed():
    total = sum(fixed_point.encode(np.ones(5), 10, 3) for _ in range(3))
    assert fixed_point.decode(total.copy(), 3)[1] == 30
    masks.apply(total, bytes(range(32)), 1)  # a fixed key: its last number is no count
    with pytest.raises(ValueError, match="the masks did not cancel"):
        fixed_point.decode(total, 3)
