"""Generators of hostile pictures: small files that take much time or memory to decode."""

import io

from PIL import Image

_START_OF_SCAN = b"\xff\xda"


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG of one shade, whose last scan is repeated until there are so many."""
    stream = io.BytesIO()
    Image.new("L", (width, height), 90).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last, end = data.rindex(_START_OF_SCAN), data.rindex(b"\xff\xd9")
    more = scans - data.count(_START_OF_SCAN)
    return data[:end] + data[last:end] * more + data[end:]
