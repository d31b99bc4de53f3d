"""JSON from others, before it is decoded."""

import re

_NULL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def has_null_character(text: bytes) -> bool:
    """Return whether a text in this JSON has the character 0, which PostgreSQL stores in no text; it is escaped always."""
    return _NULL.search(text) is not None
