"""
The size in the header of a JPEG XL file (ISO/IEC 18181-1, SizeHeader; 18181-2 for the boxes).

The decoder decodes all pixels before it returns the size, and a picture too large must be refused before that.
"""

import struct

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_LENGTH_BITS = (9, 13, 18, 30)


def is_jxl(data: bytes) -> bool:
    return data.startswith((CODESTREAM, CONTAINER))


def jxl_size(data: bytes) -> tuple[int, int]:
    """Width and height; ``ValueError`` when the header is not one."""
    start = 0 if data.startswith(CODESTREAM) else _codestream_start(data)
    if not data.startswith(CODESTREAM, start):
        raise ValueError("no JPEG XL codestream")
    bits = _Bits(data[start + 2 : start + 16])
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


def _codestream_start(data: bytes) -> int:
    """Where the codestream starts within the boxes."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        if kind == b"jxlc":
            return position + header
        if kind == b"jxlp":
            return position + header + 4
        if size < header:
            break
        position += size
    raise ValueError("no JPEG XL codestream")
