"""Products of grey levels in eight bits: exact, or not used."""

import numpy as np
import pytest

from medpriv_lib.core import products as module
from medpriv_lib.core.distances import centred, products
from medpriv_lib.core.products import MOST_PIXELS, are_exact, signed, whole_products


def images(n, shape, levels, seed=0):
    rng = np.random.default_rng(seed)
    return rng.choice(np.array(levels, np.uint8), (n, *shape))


@pytest.mark.parametrize("levels", [range(256), [0, 255], [255], [0, 1, 127, 128, 129]])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 3), (33, 31), (64, 64), (16, 16, 3)])
@pytest.mark.parametrize(("m", "n"), [(9, 14), (1, 14), (9, 1), (1, 1)])
def test_products_are_those_of_whole_numbers(levels, shape, m, n):
    a, b = images(m, shape, levels), images(n, shape, levels, 1)
    plain = (a.reshape(m, -1).astype(int) - 128) @ (b.reshape(n, -1).astype(int) - 128).T
    np.testing.assert_array_equal(signed(a), a.reshape(m, -1).astype(int) - 128)
    np.testing.assert_array_equal(products(centred(a), centred(b)), plain)
    if are_exact(a[0].size):
        np.testing.assert_array_equal(whole_products(signed(a), signed(b)), plain)


def test_no_product_of_so_many_pixels_exceeds_32_bits_and_one_pixel_is_not_trusted():
    assert not are_exact(1)
    assert MOST_PIXELS * 128**2 < 2**31
    assert not are_exact(MOST_PIXELS + 1)


def lossy(a, b):
    """Pairs of products added up in 16 bits, as processors without VNNI do."""
    a = a.astype(int) + 128  # they multiply numbers without a sign by some with one
    pairs = (a[:, None, : a.shape[1] // 2 * 2] * b[:, : a.shape[1] // 2 * 2].astype(int)).reshape(
        len(a), len(b), -1, 2
    )
    whole = pairs.sum(axis=3).clip(-(2**15), 2**15 - 1).sum(axis=2)
    return (whole - 128 * b.astype(int).sum(axis=1)).astype(np.int32)


def missing(a, b):
    raise RuntimeError("not implemented on this machine")


@pytest.mark.parametrize("instead", [lossy, missing])
def test_a_machine_that_loses_digits_or_has_no_such_product_is_noticed(monkeypatch, instead):
    monkeypatch.setattr(module, "whole_products", instead)
    assert not module._tried.__wrapped__()


def test_a_machine_that_multiplies_exactly_is_trusted(monkeypatch):
    monkeypatch.setattr(module, "whole_products", lambda a, b: a.astype(int) @ b.astype(int).T)
    assert module._tried.__wrapped__()
