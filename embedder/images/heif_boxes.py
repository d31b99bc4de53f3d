"""
The properties of the picture in a HEIF or AVIF file: how its container turns it, and in which colours it is coded.

The decoders apply the first and lose the second (ISO/IEC 14496-12 for the boxes, 23008-12 for items and properties).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from embedder.images.hdr import Cicp

_TURNS = (b"irot", b"imir")
_MOST_PROPERTIES = 4096


@dataclass(frozen=True, slots=True)
class HeifProperties:
    """``is_turned``: whether the container states how to turn the picture, which its decoder then does."""

    is_turned: bool
    cicp: Cicp | None = None


UNREADABLE = HeifProperties(is_turned=True)
"""Of a container that is not understood here: its decoder is trusted, as a second turn would be worse than none."""


def heif_properties(data: bytes) -> HeifProperties:
    """Return the properties of the primary picture."""
    try:
        properties = _primary_properties(memoryview(data))
        points = [
            Cicp(*struct.unpack_from(">HH", body, 4))
            for kind, body in properties
            if kind == b"colr" and bytes(body[:4]) == b"nclx"
        ]
    except (struct.error, ValueError, IndexError):
        return UNREADABLE
    if not properties:
        return UNREADABLE
    return HeifProperties(any(kind in _TURNS for kind, _ in properties), points[-1] if points else None)


def _primary_properties(data: memoryview) -> list[tuple[bytes, memoryview]]:
    meta = _child(data, b"meta")[4:]
    pitm = _child(meta, b"pitm")
    (primary,) = struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)
    iprp = _child(meta, b"iprp")
    known = [box for box, _ in zip(_boxes(_child(iprp, b"ipco")), range(_MOST_PROPERTIES), strict=False)]
    numbers = [number for kind, body in _boxes(iprp) if kind == b"ipma" for number in _associated(body, primary)]
    return [known[number - 1] for number in numbers if 0 < number <= len(known)]


def _associated(ipma: memoryview, item: int) -> list[int]:
    """The numbers of an item's properties, counted from 1."""
    has_long_ids, has_long_numbers = ipma[0] > 0, ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    at, found = 8, list[int]()
    for _ in range(count):
        (known,) = struct.unpack_from(">I" if has_long_ids else ">H", ipma, at)
        at += 4 if has_long_ids else 2
        numbers = ipma[at]
        form = f">{numbers}{'H' if has_long_numbers else 'B'}"
        if known == item:
            found += [
                number & (0x7FFF if has_long_numbers else 0x7F) for number in struct.unpack_from(form, ipma, at + 1)
            ]
        at += 1 + struct.calcsize(form)
    return found


def _child(parent: memoryview, kind: bytes) -> memoryview:
    return next((body for found, body in _boxes(parent) if found == kind), memoryview(b""))


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and body of each box."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        end = at + size if size else len(data)
        if end < at + header:
            raise ValueError("a box without a size")
        yield kind, data[at + header : end]
        at = end
