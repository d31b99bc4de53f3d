"""Checks of single request values, with the error messages of each dialect."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.demo.immich.error_responses import UUID_PATTERN, Issue
from service.demo.immich.listing import micros

UUID = re.compile(UUID_PATTERN.strip("/").removeprefix("^").removesuffix("$"))
DATE_PATTERN = r"/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|([+-]\d{2}:\d{2}))$/"
DATE = re.compile(DATE_PATTERN.strip("/"))


class UnfitError(Exception):
    """A value that a field cannot take: ``issue`` for 3.x, ``message_2x`` (after the field's name) for 2.x."""

    def __init__(self, issue: Issue, message_2x: str, path: Sequence[str] = ()) -> None:
        super().__init__(message_2x)
        self.issue = issue
        self.message_2x = message_2x
        self.path = list(path)


Check = Callable[[Any], Any]
"""A function that converts a JSON value to an internal one, or raises `UnfitError`."""


def kind_of(value: object) -> str:
    """Return the JavaScript name for the type of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def wrong_type(expected: str, value: object, message_2x: str, path: Sequence[str] = ()) -> UnfitError:
    message = f"Invalid input: expected {expected}, received {kind_of(value)}"
    return UnfitError({"expected": expected, "code": "invalid_type", "message": message}, message_2x, path)


def text(value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type("string", value, "must be a string")
    return value


def truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise wrong_type("boolean", value, "must be a boolean value")
    return value


def identifier(value: object) -> str:
    if not UUID.fullmatch(text(value)):
        issue = {"origin": "string", "code": "invalid_format", "format": "uuid", "pattern": UUID_PATTERN}
        raise UnfitError(issue | {"message": "Invalid UUID"}, "must be a UUID")
    return text(value).lower()


def instant_micros(value: object) -> int:
    """Return microseconds since 1970, truncated to whole milliseconds as in JavaScript."""
    if not isinstance(value, str) or not DATE.fullmatch(value):
        issue = {"origin": "string", "code": "invalid_format", "format": "datetime", "pattern": DATE_PATTERN}
        message = f"Invalid input: expected ISO 8601 datetime string, received {kind_of(value)}"
        raise UnfitError(issue | {"message": message}, "must be a date string")
    return micros(datetime.fromisoformat(value)) // 1000 * 1000


def loose_instant_micros(value: object) -> int:
    """Return microseconds since 1970 as 2.x does: a plain date is accepted as midnight in UTC."""
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return instant_micros(value)
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) // 1000 * 1000


@dataclass(frozen=True, slots=True)
class Number:
    """The check of a number within limits; ``loose`` also accepts text, as 2.x and query parameters do."""

    least: float | None = None
    most: float | None = None
    whole: bool = True
    loose: bool = False

    def __call__(self, value: object) -> float:
        if self.loose and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise wrong_type("number", None, "must be an integer number") from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type("number", value, "must be an integer number")
        if self.whole and value != int(value):
            raise wrong_type("int", value, "must be an integer number")
        if self.most is not None and value > self.most:
            limit = {"origin": "number", "code": "too_big", "maximum": self.most, "inclusive": True}
            message = f"Too big: expected number to be <={self.most}"
            raise UnfitError(limit | {"message": message}, f"must not be greater than {self.most}")
        if self.least is not None and value < self.least:
            limit = {"origin": "number", "code": "too_small", "minimum": self.least, "inclusive": True}
            message = f"Too small: expected number to be >={self.least}"
            raise UnfitError(limit | {"message": message}, f"must not be less than {self.least}")
        return int(value) if self.whole else value


@dataclass(frozen=True, slots=True)
class Choice:
    values: Sequence[str]

    def __call__(self, value: object) -> str:
        if value not in self.values:
            options = "|".join(f'"{option}"' for option in self.values)
            issue = {"code": "invalid_value", "values": list(self.values)}
            raise UnfitError(
                issue | {"message": f"Invalid option: expected one of {options}"},
                f"must be one of the following values: {', '.join(self.values)}",
            )
        return str(value)


@dataclass(frozen=True, slots=True)
class Several:
    """The check of a list: of each value, and for at least ``least`` values."""

    check: Check
    least: int = 0

    def __call__(self, value: object) -> list[Any]:
        if not isinstance(value, list):
            raise wrong_type("array", value, "must be an array")
        if len(value) < self.least:
            message = f"Too small: expected array to have >={self.least} items"
            issue = {"origin": "array", "code": "too_small", "minimum": self.least, "inclusive": True}
            raise UnfitError(issue | {"message": message}, "should not be empty")
        return [self.check(item) for item in value]


@dataclass(frozen=True, slots=True)
class Nullable:
    check: Check

    def __call__(self, value: object) -> Any:
        return None if value is None else self.check(value)


def checked(fields: Mapping[str, Check], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, UnfitError]]:
    """Return the valid values and the errors of the known fields, each by field; unknown fields are ignored."""
    good: dict[str, Any] = {}
    bad: dict[str, UnfitError] = {}
    for name, check in fields.items():
        if name in values:
            try:
                good[name] = check(values[name])
            except UnfitError as error:
                bad[name] = error
    return good, bad
