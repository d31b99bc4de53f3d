"""
JPEGs that end too early: how much of them is whole.

Their missing part cannot be told from the pixels: the decoder fills it with what came before. So the file is completed in
two ways, which differ in every bit. Rows that depend on the missing part differ between the two pictures. Those well above
the first difference are whole.
"""

import io
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image

END = b"\xff\xd9"

LEAST_WHOLE = 0.5
"""The share of a picture's rows below which what is left of it counts as damage."""

_START_OF_SCAN = 0xDA
_PROGRESSIVE = (0xC2, 0xCA)
"""Frames coded in scans of growing precision, by Huffman and by arithmetic codes."""

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""The start of a segment. The others stand inside coded data, tens of thousands of times in a photo."""

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
"""A marker between parts of a scan that are coded alone. They count from 0 to 7, and again from 0."""

_FILLERS = (b"\x55" * 64, b"\xaa" * 64)
_BLOCK = 16
"""
Rows of the largest block that is usual. The blocks with the first difference count as missing, and those above, too: the
difference in the last of these may be lost in rounding.
"""

_COLOUR_ROWS = 1
"""Rows above a block whose colours depend on it, as colours are coded at half the resolution."""


def ends(data: bytes) -> bool:
    """Return whether a scan is followed by an end marker; a thumbnail in the headers has one of its own."""
    first = next(_scans(data), None)
    return first is not None and data.find(END, first) >= 0


def count_scans(data: bytes) -> int:
    """Return the number of scans; those of pictures in the headers do not count."""
    return sum(1 for _ in _scans(data))


def whole_rows(data: bytes) -> int:
    """Return how many rows as stored, from the top, do not depend on what is missing at the end; 0 for too few."""
    if not _is_coded_fully(data):
        return 0
    head = data.rstrip(b"\xff")  # half a marker
    try:
        one, other = (_rows(head + tail + END) for tail in _tails(head))
    except (OSError, ValueError):
        return 0
    first = next((row for row, both in enumerate(zip(one, other, strict=True)) if both[0] != both[1]), None)
    rows = len(one) if first is None else ((first + _COLOUR_ROWS) // _BLOCK - 1) * _BLOCK - _COLOUR_ROWS
    return rows if rows >= LEAST_WHOLE * len(one) else 0


def _tails(head: bytes) -> Iterator[bytes]:
    """
    Yield two ends for a file, without the end marker.

    The decoder skips what follows a part until it meets the restart marker it expects. A file may end exactly there. So
    that marker stands in both ends, with a filler after it. Where none is expected, it does no harm.
    """
    last = max(_scans(head), default=0)
    markers = _RESTART.findall(head, last)
    expected = bytes([0xFF, 0xD0 + (markers[-1][1] + 1) % 8 if markers else 0xD0])
    return (filler + expected + filler for filler in _FILLERS)


def _rows(data: bytes) -> list[int]:
    """
    Return a hash of each row of a JPEG as stored, in all its colours. Two pictures at once would take much memory.

    Pillow, unlike OpenCV, writes no warning to the terminal.
    """
    with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as image:
        return [hash(row.tobytes()) for row in np.asarray(image)]


def completed(data: bytes) -> bytes:
    """Return the file with an end marker, for decoders that insist on one."""
    return data.rstrip(b"\xff") + END


def _is_coded_fully(data: bytes) -> bool:
    """
    Return whether the last scan completes the picture.

    Each colour may have a scan of its own. A progressive JPEG has further ones of growing precision: before the last one
    of each coefficient every row is coarse.
    """
    open_ = set[tuple[int, int]]()
    is_progressive = False
    for marker, body in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC} and len(body) >= 6:
            is_progressive = marker in _PROGRESSIVE
            components = [body[at] for at in range(6, len(body), 3)]
            open_ = {(component, place) for component in components for place in range(64)}
        elif marker == _START_OF_SCAN and body and len(body) >= 4 + 2 * body[0]:
            count = body[0]
            start, stop, precision = body[1 + 2 * count : 4 + 2 * count] if is_progressive else (0, 63, 0)
            if precision & 15 == 0:
                scanned = body[1 : 1 + 2 * count : 2]
                open_ -= {(component, place) for component in scanned for place in range(start, stop + 1)}
    return not open_


def _scans(data: bytes) -> Iterator[int]:
    """Yield the positions of the markers that start scans."""
    for position, marker, _ in _placed_segments(data):
        if marker == _START_OF_SCAN:
            yield position


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    return ((marker, body) for _, marker, body in _placed_segments(data))


def _placed_segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield position, marker and body of each segment; coded data between scans is skipped."""
    position = 2
    while position + 4 <= len(data):
        found = _MARKER.search(data, position)
        if found is None or found.start() + 4 > len(data):
            return
        position = found.start()
        marker = data[position + 1]
        if marker == END[1]:
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        yield position, marker, data[position + 4 : position + 2 + length]
        position += 2 + length
