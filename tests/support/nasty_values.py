"""Values that no honest file holds, for every field of every file that a user may give."""

import json
from typing import Any, Final

DEEP: Final = 100_000
"""Levels of nested lists: beyond what any reader follows."""

NASTY_JSON: Final[tuple[str, ...]] = (
    "null", "true", "0", "-1", "1e308", "1e400", "-1e400", "NaN", "Infinity", "9" * 400, "9" * 5000, '""', '"\\u0000"',
    '"a\\u0000b"', '"\\ud800"', '"\\udcff.jpg"', '"\\u202e\\u001b[2J"', '"../../etc/passwd"', json.dumps("x" * 100_000),
    "[]", "{}", "[null]", "[[]]", '{"path": null}', '["\\ud800"]', "[0, 0, 1e400, 1e400]", f"[0, 0, {'9' * 400}, {'9' * 400}]",
    '[0, 0, "a", null]', "[true, false, true, true]", '{"x1": 0, "y1": 0, "x2": 1e999, "y2": 1}', '{"from": 1e400, "to": "a"}',
    "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP,
)  # fmt: skip
"""JSON texts."""

NASTY_TOML: Final[tuple[str, ...]] = (
    "true", "0", "-1", "1e400", "nan", "inf", "9" * 400, "9" * 5000, '""', '"a\\u0000b"', '"\\u202E\\u001B[2J"', "[]", "{}",
    "[[1]]", "{a = {b = 1}}", "1979-05-27T07:32:00Z", "07:32:00", "0x" + "f" * 400, '"""\n\n"""', '"x"' + "\n" + 'y = "',
    "2024-99-99", "[" * DEEP + "]" * DEEP, "{a=" * 5000 + "1" + "}" * 5000,
)  # fmt: skip
"""TOML texts; some are none."""


def with_value(fields: dict[str, Any], name: str, text: str) -> str:
    """Return a JSON object with one field replaced by a JSON text, which Python's own values could not express."""
    rest = {key: value for key, value in fields.items() if key != name}
    start = json.dumps(rest)[:-1]
    return f"{start}{', ' if rest else ''}{json.dumps(name)}: {text}}}"
