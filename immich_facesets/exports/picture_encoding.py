"""
The formats that exported pictures may have, each with the texts that say where a picture came from.

Readers for swapping get PNG, which loses nothing. JPEG and WebP are a quarter of the size or less, for readers that take
them. None holds anything of the photo's own metadata.
"""

import struct
from collections.abc import Mapping
from enum import StrEnum
from xml.sax.saxutils import quoteattr

import cv2

from immich_facesets.exports.crops import Picture, png
from immich_facesets.exports.origin_marks import CREATOR, marked_jpeg


class PictureFormat(StrEnum):
    """A format of exported pictures, which is also the ending of their names."""

    PNG = "png"
    JPG = "jpg"
    WEBP = "webp"

    @property
    def has_transparency(self) -> bool:
        return self is not PictureFormat.JPG


EVERY_FORMAT = tuple(PictureFormat)

_QUALITY = 95
_JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, _QUALITY),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
_WEBP = (cv2.IMWRITE_WEBP_QUALITY, _QUALITY)
_HAS_XMP, _HAS_ALPHA = 0x04, 0x10  # of the flags in the chunk VP8X (WebP container specification)
_EXTENDED = slice(12, 30)  # of a WebP: its chunk VP8X, which OpenCV writes for a transparent picture
_MOST_COMMENT = 0xFFFF - 2


def encoded(picture: Picture, texts: Mapping[str, str], picture_format: PictureFormat) -> bytes:
    """
    Return a picture as a file with ``texts``, as ``crops.provenance`` makes them.

    A fourth channel of ``picture`` is its transparency, for a format that has one.
    """
    if picture_format is PictureFormat.PNG:
        return png(picture, texts)
    is_jpeg = picture_format is PictureFormat.JPG
    is_encoded, body = cv2.imencode(f".{picture_format}", picture, _JPEG if is_jpeg else _WEBP)
    if not is_encoded:
        raise ValueError(f"OpenCV could not encode a picture as {picture_format}")
    return _jpeg(body.tobytes(), texts) if is_jpeg else _webp(body.tobytes(), picture, texts)


def _jpeg(body: bytes, texts: Mapping[str, str]) -> bytes:
    """Return a JPEG with the texts as a comment, after the comment that marks our pictures."""
    text = "\n".join(f"{keyword}: {' '.join(value.split())}" for keyword, value in texts.items())
    comment = text.encode(errors="replace")[:_MOST_COMMENT]
    return marked_jpeg(body[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + body[2:])


def _webp(body: bytes, picture: Picture, texts: Mapping[str, str]) -> bytes:
    """Return a WebP with the texts as XMP, the last chunk of its extended form."""
    height, width, channels = picture.shape
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    flags = _HAS_XMP | (_HAS_ALPHA if channels == 4 else 0)
    is_extended = body[_EXTENDED].startswith(b"VP8X")
    chunks = body[_EXTENDED.stop if is_extended else _EXTENDED.start :]
    parts = _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes) + chunks + _chunk(b"XMP ", _xmp(texts))
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _xmp(texts: Mapping[str, str]) -> bytes:
    asset, identity = (quoteattr(_plain(texts[keyword])) for keyword in ("Asset", "Identity"))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source={asset} dc:identifier={identity} '
        f'{CREATOR}{_plain(texts["Software"])}"/></rdf:RDF></x:xmpmeta>'
    ).encode(errors="replace")


def _plain(text: str) -> str:
    """Return a text without what XML does not allow."""
    return "".join(character for character in text if character.isprintable()).encode(errors="replace").decode()
