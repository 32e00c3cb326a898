"""Neutral names of patients: what only somebody with the salt can lead back to a PatientID."""

import hashlib
import hmac

LETTERS = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")
SALT_BYTES = 32


def neutral_name(patient_id: str, issuer: str, salt: bytes) -> str:
    """Return the neutral name of a patient: 16 letters of a keyed hash (HMAC-SHA256) of the ID.

    A hash without a key is no protection: hospitals number their patients, and all numbers can be
    tried in seconds. Letters only, so that no rule about zeros and blanks makes two names one.
    Raises `ValueError` for a salt shorter than 32 bytes.
    """
    if len(salt) < SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes or more, not {len(salt)}")
    text = f"{issuer}\0{patient_id}".encode("utf-8", "surrogatepass")
    digest = hmac.new(salt, text, hashlib.sha256).hexdigest()[:16]
    return "patient-" + digest.encode().translate(LETTERS).decode()
