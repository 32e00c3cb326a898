"""Comparison keys against comparison by definition, shares against Python's own integers."""

import numpy as np
import pytest

pytest.importorskip("cryptography")

from medpriv_lib.encrypted import function_secret_sharing as fss
from medpriv_lib.encrypted import gates, shares
from medpriv_lib.encrypted.in_process import Ledger, converse

U, MODULUS = np.uint64, 2**64


def pairs(bits):
    """Return alpha and x of all pairs of numbers of so many bits."""
    numbers = np.arange(2**bits, dtype=U)
    alpha, x = np.meshgrid(numbers, numbers)
    return alpha.ravel(), x.ravel()


def below(alpha, beta, x):
    """Return beta where x < alpha, else 0, by definition and one at a time."""
    rows = zip(alpha.tolist(), beta.tolist(), x.tolist(), strict=True)
    return np.array([b if number < a else [0, 0] for a, b, number in rows], dtype=U)


def signed(values):
    return [value - MODULUS if value >= MODULUS // 2 else value for value in values]


def both(talk, *parts):
    """Run a gate with both parties' parts in one process and return the sum of their shares."""
    x, *rest = parts
    first, second = shares.share(x)
    talks = talk(0, first, *(part[0] for part in rest)), talk(1, second, *(p[1] for p in rest))
    ledger = Ledger()
    mine, theirs = converse(talks, ledger)
    return mine + theirs, ledger


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
def test_all_pairs_of_a_small_domain(bits):
    alpha, x = pairs(bits)
    beta = shares.random_ring(len(alpha), 2)
    keys = fss.deal(alpha, beta, bits)
    total = fss.evaluate(0, keys[0], x) + fss.evaluate(1, keys[1], x)
    assert (total == below(alpha, beta, x)).all()


@pytest.mark.parametrize("bits", [gates.BITS, 63])
def test_edges_of_a_large_domain(bits):
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 2**bits, 300, dtype=U)
    alpha[:3] = 0, 1, 2**bits - 1
    for x in (alpha, alpha ^ U(1), np.roll(alpha, 1), np.zeros_like(alpha)):
        beta = shares.random_ring(len(alpha), 2)
        keys = fss.deal(alpha, beta, bits)
        total = fss.evaluate(0, keys[0], x) + fss.evaluate(1, keys[1], x)
        assert (total == below(alpha, beta, x)).all()


def test_a_batch_of_more_than_one_part_equals_its_parts():
    alpha, x = pairs(4)
    beta = shares.random_ring(len(alpha), 2)
    keys = fss.deal(alpha, beta, 4, batch=7)
    total = fss.evaluate(0, keys[0], x, batch=7) + fss.evaluate(1, keys[1], x, batch=7)
    assert (total == below(alpha, beta, x)).all()


def test_one_key_tells_nothing_that_differs_between_alphas():
    # each party's share is uniform whatever alpha is: mean of 4,000 shares within five standard
    # errors of one half, for a party's value and for the correction words it holds
    for alpha in (0, 15):
        key = fss.deal(np.full(4000, alpha, U), np.ones((4000, 2), U), 4)[0]
        share = fss.evaluate(0, key, np.full(4000, 7, U))
        for values in (share[:, 0], key.values[2, :, 0], key.seeds[1, :, 1], key.last[:, 1]):
            assert abs((values / 2.0**64).mean() - 0.5) < 5 * np.sqrt(1 / 12 / 4000)


def test_keys_of_two_deals_differ():
    one = fss.deal(np.zeros(1, U), np.ones((1, 2), U), 4)[0]
    other = fss.deal(np.zeros(1, U), np.ones((1, 2), U), 4)[0]
    assert (one.root != other.root).any()


@pytest.mark.parametrize(
    ("alpha", "x", "bits", "message"),
    [
        (np.array([16], U), np.array([0], U), 4, "4 bits end at 15"),
        (np.array([1], U), np.array([16], U), 4, "x holds 16"),
        (np.array([1], U), np.array([1, 2], U), 4, "the key holds 1 comparisons"),
        (np.array([1], np.int64), np.array([1], U), 4, "uint64"),
        (np.array([1], U), np.array([1], U), 64, "1 to 63 bits"),
    ],
)
def test_numbers_outside_of_the_domain_are_refused(alpha, x, bits, message):
    with pytest.raises(ValueError, match=message):
        fss.evaluate(0, fss.deal(alpha, np.ones((1, 2), U), bits)[0], x)


def test_shares_add_up_and_alone_are_uniform():
    x = np.zeros(10_000, U)
    first, second = shares.share(x)
    assert (first + second == x).all()
    for values in (first, second):  # mean of 10,000 uniform numbers: five standard errors
        assert abs((values / 2.0**64).mean() - 0.5) < 5 * np.sqrt(1 / 12 / 10_000)


def test_fixed_point_rounds_and_comes_back():
    x = np.array([0.0, 1.0, -1.0, 0.1, -17.25, 1e-9])
    assert np.abs(shares.decode(shares.encode(x)) - x).max() <= 2.0 ** -(shares.FRACTION + 1)
    for wrong in (np.nan, np.inf, 2.0**43):
        with pytest.raises(ValueError, match="no fixed point"):
            shares.encode(np.array([wrong]))


def test_matrix_products_equal_those_of_python():
    a, b = shares.random_ring(3, 5), shares.random_ring(5, 4)
    a[0], b[:, 0] = MODULUS - 1, MODULUS - 1  # the largest sums
    exact = [
        [sum(int(p) * int(q) for p, q in zip(row, col, strict=True)) % MODULUS for col in b.T]
        for row in a
    ]
    assert shares.matmul(a, b).tolist() == exact
    small = np.random.default_rng(0).integers(-(2**27) + 1, 2**27, (shares.INNER, 3)).view(U)
    small[:, 0] = 2**27 - 1
    left = shares.random_ring(2, shares.INNER)
    left[0] = MODULUS - 1
    shares.refuse_large(small)
    assert (shares.matmul_small(left, small) == shares.matmul(left, small)).all()
    with pytest.raises(ValueError, match="exact sums allow"):
        shares.refuse_large(np.array([[2**27]], U))


def test_windows_are_a_convolution():
    rng = np.random.default_rng(0)
    x, weight = rng.integers(0, 9, (2, 6, 6)).astype(U), rng.integers(0, 9, (3, 2, 3, 3)).astype(U)
    ours = shares.matmul(shares.windows(x, 3), weight.reshape(3, -1).T)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    for f in range(3):
        for i in range(6):
            for j in range(6):
                assert ours[i * 6 + j, f] == (padded[:, i : i + 3, j : j + 3] * weight[f]).sum()


def test_positive_part_on_shares():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 20, 500), [0, 1e-3, -1e-3, 1023.9, -1023.9]])
    x = shares.encode(real, gates.PRODUCT)
    found, ledger = both(
        lambda b, s, part: gates.positive(b, s, part, "test"), x, gates.deal_comparisons(len(x))
    )
    want = [max(0, value) for value in signed(x.tolist())]
    off = np.array(signed(found.tolist()), dtype=float) - np.array(want, dtype=float)
    assert np.abs(off).max() <= 2.0**gates.IGNORED
    assert (off[np.abs(real) > 2.0**-gates.RESOLUTION] == 0).all()
    assert ledger.rounds == 1
    assert ledger.sent == [8 * len(x)] * 2


def test_truncation_is_off_by_one_unit_at_most_and_never_wraps():
    # values near the limits, where cutting each share alone goes wrong often
    edge = 2**62 - 1
    values = [0, 1, -1, 2**20, -(2**20), edge, -edge] * 300
    x = np.array([value % MODULUS for value in values], dtype=U)
    found, _ = both(
        lambda b, s, part: gates.truncate(b, s, part, "test"), x, gates.deal_truncations(len(x))
    )
    for value, cut in zip(values, signed(found.tolist()), strict=True):
        assert cut - (value >> shares.FRACTION) in (0, 1)


def test_linear_layer_on_shares():
    rng = np.random.default_rng(0)
    x = shares.encode(rng.normal(size=(2, 8, 8)))
    weight = shares.encode(rng.normal(size=(18, 5)))
    mask = shares.random_ring(18, 5)

    def unrolled(values):
        return shares.windows(values, 3)

    for first in (False, True):
        parts = gates.deal_linear(x.shape, unrolled, mask, first)
        ready = [gates.prepared(part, unrolled, weight - mask) for part in parts]
        held = (np.zeros_like(x), x) if first else shares.share(x)
        talks = (
            gates.linear_of_model_owner(held[0], parts[0], ready[0], weight, unrolled, "test"),
            gates.linear_of_data_owner(held[1], parts[1], ready[1], "test"),
        )
        ledger = Ledger()
        mine, theirs = converse(talks, ledger)
        assert (mine + theirs == shares.matmul(unrolled(x), weight)).all()
        assert ledger.sent == [0, x.nbytes]
