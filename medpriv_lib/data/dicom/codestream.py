"""How large a compressed frame says it is, before a decoder takes its word for it.

A decoder asks for memory by the size in the codestream, not by the one in the DICOM header: 200
bytes can claim 65,535 x 65,535 pixels.
"""

import struct

SOI, JP2, J2K = b"\xff\xd8", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51"
NO_FRAME = {0xC4, 0xC8, 0xCC}  # Huffman tables and such, among the markers of frames
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
JPEG_LS = 0xF7
LATEST = 65536  # bytes: a JPEG 2000 codestream in a JP2 box begins before


def claimed_size(frame: bytes) -> tuple[int, int, int] | None:
    """Return rows, columns and components that a JPEG, JPEG-LS or JPEG 2000 frame claims.

    None where the bytes are none of these, or end before they say so.
    """
    try:
        if frame.startswith(SOI):
            return _jpeg(frame)
        start = frame.find(J2K, 0, LATEST) if frame.startswith((JP2, J2K)) else -1
        return None if start < 0 else _jpeg_2000(frame[start:])
    except (struct.error, IndexError):
        return None


def _jpeg(frame: bytes) -> tuple[int, int, int] | None:
    at = 2
    while at < len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in ALONE:
            at += 2
        elif (0xC0 <= marker <= 0xCF and marker not in NO_FRAME) or marker == JPEG_LS:
            _, rows, columns, components = struct.unpack_from(">BHHB", frame, at + 4)
            return rows, columns, components
        else:
            at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None


def _jpeg_2000(stream: bytes) -> tuple[int, int, int]:
    """Read the SIZ marker (ISO/IEC 15444-1, A.5.1)."""
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    components = struct.unpack_from(">H", stream, 40)[0]
    return bottom - top, right - left, components
