"""Memory that a training frees stays with its process, to be used again by the next step.

The C library gives large blocks back to the system as soon as they are freed, and each step of a
training then waits until the system has cleared the same pages anew: at 256 pixels two fifths of a
recogniser's step, at 128 a fifth of an attacker's. No number that is computed changes.
"""

import ctypes
import platform

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**30  # bytes of a block that is kept; an integer of C, as the next one
KEPT = 2**31 - 1  # bytes that are kept at most


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, up to 2 GiB; say whether that was possible.

    For a process that is one's own, such as that of a command: it cannot be undone. Only glibc
    listens; with another C library nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, KEPT))
