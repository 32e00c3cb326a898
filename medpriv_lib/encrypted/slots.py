"""All that a secret key of CKKS opens: every slot of a ciphertext, not only those asked for."""

from typing import Any

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.extra import ENCRYPTED


def all_slots(context: Any, ciphertext: bytes) -> Float[np.ndarray, " slots"]:
    """Return the numbers of a serialised vector that is one ciphertext, beyond its size, too.

    `context` is TenSEAL's, with the secret key. TenSEAL's `decrypt` shows as many as the vector
    says that it has; whoever holds the key reads them all.
    """
    vector = ENCRYPTED.need("tenseal").ckks_vector_from(context, ciphertext)
    seal, native = ENCRYPTED.need("tenseal.sealapi"), context.seal_context().data
    opened = seal.Plaintext()
    seal.Decryptor(native, context.secret_key().data).decrypt(vector.ciphertext()[0], opened)
    return np.array(seal.CKKSEncoder(native).decode_double(opened))
