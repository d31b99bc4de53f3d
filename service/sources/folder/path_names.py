r"""
Conversion of file names to text that can be stored and shown, and back.

On a POSIX system a name is bytes. Bytes that are not UTF-8, control characters and the backslash itself become
``\xNN``, so that two names never map to the same text.
"""

import os
import re

_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_UNSAFE = re.compile(rb"[\x00-\x1f\x7f\\]")


def shown(name: str) -> str:
    """Return the text of a path given by the system (``surrogateescape``), with slashes between its parts."""
    raw = os.fsencode(name)
    if os.sep != "/":
        raw = raw.replace(os.fsencode(os.sep), b"/")
    safe = _UNSAFE.sub(lambda match: b"\\x%02x" % match[0][0], raw)
    return safe.decode("utf-8", "backslashreplace")


def system_name(text: str) -> str:
    """Return the system path for a text made by ``shown``."""
    raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text.encode())
    return os.fsdecode(raw)
