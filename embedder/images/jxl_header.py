"""
The size in the header of a JPEG XL file (ISO/IEC 18181-1, SizeHeader; 18181-2 for the boxes).

The decoder decodes all pixels before it returns the size, and a picture too large must be refused before that.
"""

import struct
from collections.abc import Iterator

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_LENGTH_BITS = (9, 13, 18, 30)
_HEAD_BYTES = 16
"""The marker of a codestream and its longest size, of 68 bits."""

_NUMBER_BYTES = 4
"""The number of a part of the codestream, which its box begins with."""


def is_jxl(data: bytes) -> bool:
    return data.startswith((CODESTREAM, CONTAINER))


def jxl_size(data: bytes) -> tuple[int, int]:
    """Width and height; ``ValueError`` when the header is not one."""
    head = data[:_HEAD_BYTES] if data.startswith(CODESTREAM) else _codestream_head(data)
    if not head.startswith(CODESTREAM):
        raise ValueError("no JPEG XL codestream")
    bits = _Bits(head[len(CODESTREAM) :])
    small = bool(bits.take(1))
    height = bits.length(small=small)
    ratio = bits.take(3)
    if ratio == 0:
        return bits.length(small=small), height
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height


class _Bits:
    """Bits, least significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the JPEG XL header is cut off")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    def length(self, *, small: bool) -> int:
        if small:
            return (self.take(5) + 1) * 8
        return self.take(_LENGTH_BITS[self.take(2)]) + 1


def _codestream_head(data: bytes) -> bytes:
    """Return the first bytes of the codestream, which may begin in one box and go on in others."""
    head = bytearray()
    for kind, start, end in _boxes(data):
        if kind == b"jxlp" and end - start < _NUMBER_BYTES:
            raise ValueError("a box of the JPEG XL file is too short")
        if kind in {b"jxlc", b"jxlp"}:
            first = start + (_NUMBER_BYTES if kind == b"jxlp" else 0)
            head += data[first : min(end, first + _HEAD_BYTES - len(head))]
        if len(head) == _HEAD_BYTES:
            break
    return bytes(head)


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each box, and where its content starts and ends. A box of size 0 reaches to the end."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            if at + 16 > len(data):
                return
            (size,) = struct.unpack_from(">Q", data, start)
            start = at + 16
        end = at + size if size else len(data)
        if end < start:
            raise ValueError("a box of the JPEG XL file ends before it begins")
        yield kind, start, min(end, len(data))
        at = end
