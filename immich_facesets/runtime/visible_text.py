"""
Text for a terminal, without any character that a terminal obeys or that reorders what is read.

Names, paths and messages of other programs may hold escape sequences, which a terminal obeys. Marks of direction show text
in another order than it has. Every such character is shown by its number.
"""

import re
from typing import Final

_UNSEEN: Final = (
    "\x00-\x1f\x7f-\x9f"  # control characters, with those of eight bits that begin a sequence
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction
    "\u2028\u2029\ufeff\ufff9-\ufffb"  # ends of lines and paragraphs, byte order marks, annotations
    "\ud800-\udfff"  # halves of characters, as in names that are not UTF-8
)
_ANY: Final = re.compile(f"[{_UNSEEN}]")
_ANY_IN_LINES: Final = re.compile(f"(?!\n)[{_UNSEEN}]")


def visible(text: str, *, keep_lines: bool = False) -> str:
    r"""Return the text with each such character as ``\x1b`` or ``\u202e``; ``keep_lines``: but for ends of lines."""
    return (_ANY_IN_LINES if keep_lines else _ANY).sub(_number, text)


def visible_json(text: str) -> str:
    """Return JSON in several lines with each such character of its strings as JSON escapes it: the value is the same."""
    return _ANY_IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _number(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
