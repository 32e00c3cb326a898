"""Updates are added under CKKS."""

import numpy as np
import pytest

pytest.importorskip("tenseal")

from medpriv_lib.encrypted.averaging import Adder, KeyHolder


def test_sums_of_long_and_short_updates():
    holder = KeyHolder()
    adder = Adder(holder.public())
    updates = np.random.default_rng(0).normal(size=(3, 2050))
    encrypted = [holder.encrypt(one) for one in updates]
    assert [len(one) for one in encrypted] == [2, 2, 2]
    assert np.abs(holder.decrypt(adder.add(encrypted)) - updates.sum(0)).max() < 1e-3
    with pytest.raises(ValueError, match="one length"):
        adder.add([encrypted[0], encrypted[1][:1]])
    with pytest.raises(ValueError, match="at least one"):
        adder.add([])
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        holder.encrypt(np.array([np.inf, 0.0]))
    with pytest.raises(ValueError, match="secret key"):
        Adder(holder._context.serialize(save_secret_key=True))
