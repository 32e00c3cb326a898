"""What whoever has the secret key reads: every slot of a ciphertext, not only those asked for."""

import numpy as np


def all_slots(context, ciphertext):
    """Return the numbers (slots,) of a serialised vector of one ciphertext."""
    import tenseal
    from tenseal import sealapi

    vector = tenseal.ckks_vector_from(context, ciphertext)
    (one,) = vector.ciphertext()
    seal = context.seal_context().data
    opened = sealapi.Plaintext()
    sealapi.Decryptor(seal, context.secret_key().data).decrypt(one, opened)
    return np.array(sealapi.CKKSEncoder(seal).decode_double(opened))
