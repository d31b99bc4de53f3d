"""The `filter` of 3.2 and later: ``{field: {operator: value}}``, compiled to a predicate over assets."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.demo.immich.library import ASSET_TYPES, VISIBILITIES, FakeAsset
from service.demo.immich.listing import micros
from service.demo.immich.validation import (
    Check,
    Choice,
    Nullable,
    Number,
    Several,
    UnfitError,
    identifier,
    instant_micros,
    text,
    truth,
    wrong_type,
)

Test = Callable[[FakeAsset], bool]
Compare = Callable[[Any, Any], bool]


def unless_null(compare: Compare) -> Compare:
    """Return ``compare`` with SQL semantics: False if either value is NULL."""
    return lambda found, asked: found is not None and asked is not None and compare(found, asked)


def contains(found: str, asked: str) -> bool:
    return asked.lower() in found.lower()


OPERATORS: dict[str, Compare] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": unless_null(operator.gt),
    "gte": unless_null(operator.ge),
    "lt": unless_null(operator.lt),
    "lte": unless_null(operator.le),
    "in": lambda found, asked: found in asked,
    "notIn": lambda found, asked: found not in asked,
    "like": unless_null(contains),
    "notLike": unless_null(lambda found, asked: not contains(found, asked)),
    "startsWith": unless_null(lambda found, asked: str(found).lower().startswith(asked.lower())),
    "endsWith": unless_null(lambda found, asked: str(found).lower().endswith(asked.lower())),
    "any": lambda found, asked: not found.isdisjoint(asked),
    "all": lambda found, asked: found.issuperset(asked),
    "none": lambda found, asked: found.isdisjoint(asked),
    "matches": lambda _found, _asked: False,  # the fake has no OCR
}
LISTS = {"in", "notIn", "any", "all", "none"}
TEXT = ("eq", "ne", "in", "notIn")
ORDERED = ("eq", "ne", "gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Field:
    """The operators of a filter field, the check of its operands, and the getter of its value."""

    operators: tuple[str, ...]
    check: Check
    value: Callable[[FakeAsset], Any]


def at(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def persons(asset: FakeAsset) -> set[str]:
    return {face.person_id for face in asset.faces if face.person_id is not None}


def exif(name: str) -> Callable[[FakeAsset], Any]:
    return lambda asset: (asset.exif or {}).get(name)


def nothing(_asset: FakeAsset) -> set[str]:
    return set()


def texts(value: Callable[[FakeAsset], Any], *, patterns: bool = False, nullable: bool = False) -> Field:
    more = ("like", "notLike", "startsWith", "endsWith") if patterns else ()
    return Field(TEXT + more, Nullable(text) if nullable else text, value)


def flag(value: Callable[[FakeAsset], bool]) -> Field:
    return Field(("eq",), truth, value)


FIELDS: dict[str, Field] = {
    "albumIds": Field(("any", "all", "none"), identifier, nothing),
    "checksum": texts(lambda asset: asset.checksum),
    "city": texts(exif("city"), nullable=True),
    "country": texts(exif("country"), nullable=True),
    "createdAt": Field(ORDERED, instant_micros, lambda asset: at(asset.created_at)),
    "description": texts(exif("description"), patterns=True),
    "encodedVideoPath": texts(lambda _asset: None),
    "fileSizeInBytes": Field((*ORDERED, "in", "notIn"), Number(whole=False), lambda asset: asset.size),
    "hasAlbums": flag(lambda _asset: False),
    "hasPeople": flag(lambda asset: bool(asset.faces)),  # unassigned faces count too
    "hasTags": flag(lambda _asset: False),
    "id": Field(("eq", "ne"), identifier, lambda asset: asset.asset_id),
    "isEncoded": flag(lambda _asset: False),
    "isFavorite": flag(lambda asset: asset.is_favorite),
    "isMotion": flag(lambda asset: asset.live_photo_video_id is not None),
    "isOffline": flag(lambda asset: asset.is_offline),
    "lensModel": texts(exif("lensModel"), nullable=True),
    "libraryId": Field(("eq", "ne"), Nullable(identifier), lambda asset: asset.library_id),
    "make": texts(exif("make"), nullable=True),
    "model": texts(exif("model"), nullable=True),
    "ocr": Field(("matches",), text, nothing),
    "originalFileName": texts(lambda asset: asset.file_name, patterns=True),
    "originalPath": texts(lambda asset: asset.original_path or asset.file_name, patterns=True),
    "personIds": Field(("any", "all", "none"), identifier, persons),
    "rating": Field((*ORDERED, "in", "notIn"), Nullable(Number(whole=False)), exif("rating")),
    "state": texts(exif("state"), nullable=True),
    "tagIds": Field(("any", "all", "none"), identifier, nothing),
    "takenAt": Field(ORDERED, instant_micros, lambda asset: micros(asset.taken_at)),
    "trashedAt": Field(
        ORDERED, Nullable(instant_micros), lambda asset: at(asset.updated_at) if asset.trashed else None
    ),
    "type": Field(TEXT, Choice(ASSET_TYPES), lambda asset: asset.type),
    "updatedAt": Field(ORDERED, instant_micros, lambda asset: at(asset.updated_at)),
    "visibility": Field(TEXT, Choice(VISIBILITIES), lambda asset: asset.visibility),
}


def unknown_keys(found: Mapping[str, object], known: tuple[str, ...], path: list[str]) -> None:
    keys = [key for key in found if key not in known]
    if keys:
        names = ", ".join(f'"{key}"' for key in keys)
        message = f"Unrecognized key{'s' if len(keys) > 1 else ''}: {names}"
        raise UnfitError({"code": "unrecognized_keys", "keys": keys, "message": message}, "", path)


def condition(name: str, asked: object, path: list[str]) -> dict[str, Any]:
    """Return the operators of one field, each with its checked value; raise `UnfitError` on a wrong one."""
    field = FIELDS[name]
    if not isinstance(asked, dict):
        raise wrong_type("object", asked, "", path)
    unknown_keys(asked, field.operators, path)
    if not asked:
        message = f"At least one of the following fields is required: {', '.join(field.operators)}"
        raise UnfitError({"code": "custom", "message": message}, "", path)
    checks = {name: Several(field.check, least=1) if name in LISTS else field.check for name in asked}
    values = {}
    for name_of_operator, check in checks.items():
        try:
            values[name_of_operator] = check(asked[name_of_operator])
        except UnfitError as error:
            error.path = [*path, name_of_operator]
            raise
    return values


def holds(field: Field, operators: Mapping[str, Any]) -> Test:
    comparisons = [(OPERATORS[name], asked) for name, asked in operators.items()]
    value = field.value

    def test(asset: FakeAsset) -> bool:
        found = value(asset)
        return all(compare(found, asked) for compare, asked in comparisons)

    return test


@dataclass(frozen=True, slots=True)
class Filter:
    """A checked filter: its test, the bounds of `takenAt` in microseconds, and whether it could match locked assets."""

    test: Test
    first: int | None
    last: int | None
    asks_for_locked: bool


def read_branches(asked: object, path: list[str]) -> list[Filter]:
    """Return the filters of an `or`, of which at least one must match."""
    try:
        parts = Several(mapping, least=1)(asked)
    except UnfitError as error:
        error.path = path
        raise
    return [read_filter(part, [*path, str(place)]) for place, part in enumerate(parts)]


def mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type("object", value, "")
    return value


def read_filter(asked: Mapping[str, Any], path: list[str] | None = None) -> Filter:
    """Check and compile a filter; raise `UnfitError` with the path of the wrong part."""
    path = path or ["filter"]
    branch = len(path) > 1
    unknown_keys(asked, (*FIELDS, *(() if branch else ("or",))), path)
    conditions = {name: condition(name, asked[name], [*path, name]) for name in FIELDS if name in asked}
    tests = [holds(FIELDS[name], operators) for name, operators in conditions.items()]
    branches = [] if asked.get("or") is None else read_branches(asked["or"], [*path, "or"])
    if branches:
        tests.append(lambda asset: any(part.test(asset) for part in branches))
    taken, seen = conditions.get("takenAt", {}), conditions.get("visibility")
    compare = {} if seen is None else seen
    locked = seen is not None and all(OPERATORS[name]("locked", value) for name, value in compare.items())
    return Filter(
        test=lambda asset: all(test(asset) for test in tests),
        first=max((taken[name] for name in ("gte", "gt", "eq") if name in taken), default=None),
        last=min((taken[name] for name in ("lte", "lt", "eq") if name in taken), default=None),
        asks_for_locked=locked or (seen is None and any(part.asks_for_locked for part in branches)),
    )
