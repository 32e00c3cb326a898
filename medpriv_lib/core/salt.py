"""The salt of neutral names: drawn from the operating system, kept where only the owner reads."""

import os
import re
import secrets
from pathlib import Path

from medpriv_lib.core.files import atomic_write

FILE, README = "salt.txt", "README.txt"
WARNING = """salt.txt turns PatientIDs into the neutral names of the cohort beside this folder.
Whoever has it can try all PatientIDs of a hospital and so name the patients. Never share it.
With it the next folder of the same hospital gets the same names; without it nobody can tell.
"""


def read_salt(folder: str | os.PathLike) -> bytes | None:
    """Return the salt that a folder keeps, or None where it keeps none.

    Raises `ValueError` where the file is no salt of ours.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"{path}: no salt (64 hexadecimal digits); name another folder by --keep")
    return bytes.fromhex(text)


def fresh_salt() -> bytes:
    """Return 32 bytes of the operating system's entropy."""
    return secrets.token_bytes(32)


def write_salt(folder: str | os.PathLike, salt: bytes) -> None:
    """Write a salt, readable by its owner only, with a warning beside it.

    Raises `ValueError` where the folder keeps another salt already: names depend on it.
    """
    folder = Path(folder)
    if read_salt(folder) not in (None, salt):
        raise ValueError(f"{folder} keeps another salt already; name another folder by --keep")
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for name, text in ((FILE, salt.hex() + "\n"), (README, WARNING)):
        with atomic_write(folder / name, private=True) as temporary:
            temporary.write_text(text, encoding="ascii")
