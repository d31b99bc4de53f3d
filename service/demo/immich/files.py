"""File responses with ranges, ETags and file names, as real servers send them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

CACHE = "private, max-age=86400, no-transform, stale-while-revalidate=2592000, stale-if-error=2592000"
ONE_RANGE = re.compile(r"(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a file: the status to answer with, and its bounds (``stop`` exclusive)."""

    status: int
    start: int
    stop: int


class UnsatisfiableError(Exception):
    """A range outside the file; real servers answer it with a 500."""


def etag(size: int, modified: datetime) -> str:
    return f'W/"{size:x}-{int(modified.timestamp() * 1000):x}"'


def file_headers(content_type: str, name: str, size: int, modified: datetime) -> dict[str, str]:
    return {
        "Cache-Control": CACHE,
        "Content-Type": content_type,
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}",
        "Accept-Ranges": "bytes",
        "Last-Modified": format_datetime(modified.astimezone(UTC), usegmt=True),
        "ETag": etag(size, modified),
    }


def cut(asked: Mapping[str, str], size: int, tag: str) -> Slice:
    """
    Return the part of the file that the request headers select; raise `UnsatisfiableError` if there is none.

    For several ranges, or a unit other than bytes, this is the whole file.
    """
    whole = Slice(200, 0, size)
    if tag in asked.get("If-None-Match", ""):
        return Slice(304, 0, 0)
    unit, _, spec = asked.get("Range", "").partition("=")
    if unit.strip() != "bytes" or "," in spec or tag not in asked.get("If-Range", tag):
        return whole
    match = ONE_RANGE.fullmatch(spec.strip())
    if match is None:
        raise UnsatisfiableError
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    elif last:
        start, stop = max(size - int(last), 0), size
    else:
        raise UnsatisfiableError
    if start >= stop:
        raise UnsatisfiableError
    return Slice(206, start, stop)
