"""The name or address of a machine, as somebody types it."""

import ipaddress
import re

LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
LONGEST = 253  # characters of a name (RFC 1035)


def host_of(text: str) -> str:
    """Return a machine's name or IP address, an IPv6 address without brackets.

    A name is letters, digits and hyphens between dots, 63 at most between two, and does not end in
    a number. Raises `ValueError` for anything else: the libraries below say of such a name that a
    codec failed, or that nobody answers.
    """
    bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        labels = text.removesuffix(".").split(".")
    fits = len(text) <= LONGEST and all(LABEL.fullmatch(label) for label in labels)
    if not fits or labels[-1].isdigit():
        raise ValueError(
            f"{text!r} is neither a name nor an address of a machine; write a name of letters, "
            "digits, hyphens and dots such as lead.example, or an IP address, without https:// "
            "(a name with other letters in its form xn--…)"
        )
    return text
