"""Parameters of requests: those in the path, those behind it, and texts in headers."""

from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.library.addresses import THUMBNAIL_SIDES
from service.web.routes import Header

QueryT = TypeVar("QueryT", bound=msgspec.Struct)

MOST_NUMBER = 2**31 - 1
MOST_ID = 2**53 - 1
"""The highest id of a face: larger numbers are not exact in JavaScript."""

_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MOST_NUMBER}

PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "number": _NUMBER | {"description": "the number of an identity", "examples": [3]},
    "face": _NUMBER | {"maximum": MOST_ID, "description": "the id of a face", "examples": [512]},
    "job": _NUMBER | {"description": "the number of a job", "examples": [41]},
    "decision": _NUMBER | {"description": "the id of a decision", "examples": [17]},
    "reference": _NUMBER | {"description": "the id of a reference picture", "examples": [5]},
    "page": {"type": "string", "description": "the name of a document", "examples": ["review"]},
    "sha256": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "the SHA-256 of a picture's bytes",
        "examples": ["3a" * 32],
    },
    "side": {"type": "integer", "enum": list(THUMBNAIL_SIDES), "description": "the pixels of a side", "examples": [64]},
    "crop": {
        "type": "string",
        "description": "a crop, as other answers name it",
        "examples": [f"{'3a' * 32}.{'c4' * 32}.jpg"],
    },
    "directory": {
        "type": "string",
        "description": "a directory of the export folder, with `:` for each slash",
        "examples": ["faceset_003"],
    },
    "file": {
        "type": "string",
        "description": "a file in it, with `:` for each slash",
        "examples": ["faces:0001.png"],
    },
}
"""The schemas of path parameters; all others are texts."""


def read_query(request: web.Request, kind: type[QueryT]) -> QueryT:
    """Return the parameters behind the path; ``RequestError`` (400) for unknown, repeated or impossible ones."""
    given = request.query
    if len(given) != len(set(given)):
        raise RequestError("a parameter is there twice: name each once", status=400)
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise RequestError(f"these parameters are wrong: {error}", status=400) from error


def header_text(request: web.Request, header: Header, kind: Any) -> str:
    """
    Return the text of a header, which is percent-encoded UTF-8; empty without one. Proxies log addresses, and no headers.

    ``kind``: the type that limits it. ``RequestError`` (400) for one that is missing, repeated or impossible.
    """
    given = request.headers.getall(header.name, [])
    if len(given) > 1 or (header.is_required and not given):
        raise RequestError(f"name {header.name} once: {header.meaning}", status=400)
    try:
        text = unquote_to_bytes("".join(given).encode("utf-8", "surrogateescape")).decode("utf-8")
        return str(msgspec.convert(text, kind))
    except (UnicodeDecodeError, msgspec.ValidationError) as error:
        raise RequestError(f"{header.name} is wrong: {error}", status=400) from error


def number_in(request: web.Request, name: str) -> int:
    """Return a number of the path; ``RequestError`` (404) for anything else, as nothing is there."""
    text = request.match_info[name]
    most = PATH_PARAMETERS[name]["maximum"]
    if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most:
        return int(text)
    raise RequestError(f"there is nothing of this {name}: it is a whole number from 1 on", status=404)
