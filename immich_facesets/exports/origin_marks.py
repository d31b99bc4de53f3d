"""
Marks in the pictures that this program writes, so that it never takes them in again as new pictures of a person.

A crop of a crop would count as another picture of the same face, and its face set would grow by its own exports.
"""

PROGRAM = "immich-facesets"

HEAD_BYTES = 1024
"""The mark lies within so many bytes from a file's beginning, or from the end of a WebP."""

CREATOR = 'xmp:CreatorTool="'
"""Stands before the program's name in XMP."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_MARK = f"tEXtSoftware\0{PROGRAM} ".encode()
_WEBP_MARK = f"{CREATOR}{PROGRAM} ".encode()
_COMMENT = f"Software: {PROGRAM}".encode()
_JPEG_MARK = b"\xff\xfe" + (len(_COMMENT) + 2).to_bytes(2, "big") + _COMMENT


def software(version: str) -> str:
    """Return the value of the text ``Software``."""
    return f"{PROGRAM} {version}"


def marked_jpeg(jpeg: bytes) -> bytes:
    """Return a JPEG with the mark as its first segment, a comment."""
    return _JPEG + _JPEG_MARK + jpeg.removeprefix(_JPEG)


def is_own_picture(head: bytes, tail: bytes) -> bool:
    """Return whether a file that begins and ends with these bytes was written by this program."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _WEBP_MARK in tail[-HEAD_BYTES:]
    return (head.startswith(_PNG) and _PNG_MARK in head[:HEAD_BYTES]) or head.startswith(_JPEG + _JPEG_MARK)
