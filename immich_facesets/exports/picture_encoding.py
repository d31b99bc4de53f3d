"""
The formats that exported pictures may have, each with the texts that say where a picture came from.

Readers for swapping get PNG, which loses nothing. JPEG and WebP are a quarter of the size or less, for readers that take
them. None holds anything of the photo's own metadata.
"""

import struct
from collections.abc import Mapping, Sequence
from enum import StrEnum
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np

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
_HEADER_BYTES, _CHUNK_HEADER_BYTES = 12, 8  # of a WebP, and of each of its chunks
_MOST_COMMENT = 0xFFFF - 2


def encoded(picture: Picture, texts: Mapping[str, str], picture_format: PictureFormat) -> bytes:
    """
    Return a picture as a file with ``texts``, as ``crops.provenance`` makes them.

    A fourth channel of ``picture`` is its transparency, for a format that has one.
    """
    if picture_format is PictureFormat.PNG:
        return png(picture, texts)
    return _jpeg(picture, texts) if picture_format is PictureFormat.JPG else _webp(picture, texts)


def _by_opencv(picture: Picture, suffix: str, options: Sequence[int]) -> bytes:
    is_encoded, body = cv2.imencode(suffix, picture, options)
    if not is_encoded:
        raise ValueError(f"OpenCV could not encode a picture as {suffix}")
    return body.tobytes()


def _jpeg(picture: Picture, texts: Mapping[str, str]) -> bytes:
    """Return a JPEG with the texts as a comment, after the comment that marks our pictures."""
    body = _by_opencv(picture, ".jpg", _JPEG)
    text = "\n".join(f"{keyword}: {' '.join(value.split())}" for keyword, value in texts.items())
    comment = text.encode(errors="replace")[:_MOST_COMMENT]
    return marked_jpeg(body[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + body[2:])


def _webp(picture: Picture, texts: Mapping[str, str]) -> bytes:
    """
    Return a WebP with the texts as XMP, the last chunk of its extended form.

    Colours and transparency are encoded apart: together, the encoder replaces the colours of what is transparent.
    """
    height, width, channels = picture.shape
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    alpha = _chunk_in(_by_opencv(picture, ".webp", _WEBP), b"ALPH") if channels == 4 else b""
    colours = _by_opencv(np.ascontiguousarray(picture[:, :, :3]), ".webp", _WEBP)[_HEADER_BYTES:]
    flags = _HAS_XMP | (_HAS_ALPHA if alpha else 0)
    parts = _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes) + alpha + colours + _chunk(b"XMP ", _xmp(texts))
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def _chunk_in(webp: bytes, wanted: bytes) -> bytes:
    """Return a chunk of a WebP with its header, empty where there is none."""
    at = _HEADER_BYTES
    while at < len(webp):
        kind, size = struct.unpack_from("<4sI", webp, at)
        end = at + _CHUNK_HEADER_BYTES + size + size % 2
        if kind == wanted:
            return webp[at:end]
        at = end
    return b""


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
