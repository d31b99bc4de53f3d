"""Cursors: where a page ended, in a form that callers pass back and need not understand."""

import base64
import binascii

import msgspec

from immich_facesets.errors import RequestError

Key = tuple[float | str, int]
"""The value that a list is sorted by, and a unique number."""

_MOST = 2**63


def encode_cursor(order: str, key: Key | None) -> str | None:
    """Return the cursor behind an entry of a list in this order; None at the end."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode((order, *key))).decode("ascii").rstrip("=")


def decode_cursor(text: str, order: str, kind: type[float] | type[str] = float) -> Key | None:
    """
    Return where a page begins, None for the first page; ``RequestError`` (400) for a cursor of another list.

    ``kind``: that of the values by which the list is sorted.
    """
    if not text:
        return None
    try:
        body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found, value, number = msgspec.json.decode(body, type=tuple[str, float | str, int])
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise RequestError(
            "this is no valid cursor: send `next` as it was answered, or begin without a cursor", status=400
        ) from error
    if found != order or not isinstance(value, kind) or "\0" in str(value) or not 0 <= number < _MOST:
        raise RequestError("this cursor belongs to another list or order: begin without a cursor", status=400)
    return (value, number)
