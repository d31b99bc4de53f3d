"""Picture files: the formats that are decoded, and the file names a folder is searched for."""

import re
from typing import Final

DECODED: Final[dict[str, tuple[str, ...]]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "HEIF": (".heic", ".heif", ".hif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "JXL": (".jxl",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
    "PSD": (".psd",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""Formats of Pillow and its plugins, by Pillow's names, with their file suffixes. The bytes alone decide."""

RAW_SUFFIXES: Final = (
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".rwl", ".pef",
    ".srw", ".x3f", ".3fr", ".fff", ".iiq", ".erf", ".kdc", ".dcr", ".mrw", ".mef", ".mos",
)  # fmt: skip
"""Camera RAW, which LibRaw reads."""

RAW_STARTS: Final = (
    b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"ARRI", b"\0\0\0\x18ftypcrx ",
)  # fmt: skip
"""The first bytes of camera RAW that is no TIFF."""

_STARTS: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8|RIFF....WEBP|BM|8BPS"
    rb"|II[*+]\0|MM\0[*+]|MM\*\0|II\0\*"  # TIFF, and two forms of it that some programs write
    rb"|....ftyp"  # HEIF, AVIF
    rb"|\xff\x0a|\0\0\0\x0cJXL |\xff\x4f\xff\x51|\0\0\0\x0cjP  "  # JPEG XL, JPEG 2000
    rb"|P[0-9fFy]",
    re.DOTALL,
)

_VIDEO_SUFFIXES: Final = frozenset({
    ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".3gp", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".insv",
})  # fmt: skip

_MIME_TYPES: Final = {
    **{suffix: f"image/{name.lower()}" for name, suffixes in DECODED.items() for suffix in suffixes},
    **dict.fromkeys(DECODED["PSD"], "image/vnd.adobe.photoshop"),
    **dict.fromkeys(DECODED["PPM"], "image/x-portable-anymap"),
    **dict.fromkeys(DECODED["JPEG2000"], "image/jp2"),
    **dict.fromkeys(RAW_SUFFIXES, "image/x-raw"),
}


def picture_type(file_name: str) -> str | None:
    """Return the MIME type of a file that is a picture by its name, None for any other."""
    return _MIME_TYPES.get(_suffix(file_name))


def begins_a_picture(head: bytes) -> bool:
    """Return whether these are the first bytes of any format that is decoded, whatever the file's name."""
    return _STARTS.match(head) is not None or head.startswith(RAW_STARTS)


def is_video(file_name: str) -> bool:
    """Return whether a file is a video by its name."""
    return _suffix(file_name) in _VIDEO_SUFFIXES


def holds_motion(file_name: str) -> bool:
    """Return whether a picture holds a short video, by the names that Android cameras give such pictures."""
    name = file_name.rpartition("/")[2].lower()
    return name.startswith("mvimg_") or ".mp." in name


def _suffix(file_name: str) -> str:
    stem, dot, suffix = file_name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""
