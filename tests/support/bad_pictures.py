"""Files that are not pictures, or too large when decoded, as libraries hold them."""

import io
import struct
import zlib

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def zeros(size_bytes: int) -> bytes:
    """Return so many zero bytes, compressed to about a thousandth of the size."""
    packer, block = zlib.compressobj(1), bytes(1 << 20)
    packed = b"".join(packer.compress(block) for _ in range(size_bytes >> 20))
    return packed + packer.compress(bytes(size_bytes & 0xFFFFF)) + packer.flush()


def black_png(width: int, height: int, *more: bytes) -> bytes:
    """A whole, valid PNG of one bit a pixel; a small file however large the picture."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IDAT", zeros((1 + (width + 7) // 8) * height))
    return PNG + chunk(b"IHDR", header) + b"".join(more) + body + chunk(b"IEND", b"")


def exploding_png() -> bytes:
    """A picture of a few pixels with a text of 256 megabytes."""
    return black_png(8, 8, chunk(b"zTXt", b"Comment\0\0" + zeros(256 << 20)))


def with_broken_pixels(picture: bytes) -> bytes:
    """The picture as a PNG whose pixels are garbled: the header is fine."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.save(stream, "PNG")
    data = bytearray(stream.getvalue())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    return bytes(data)
