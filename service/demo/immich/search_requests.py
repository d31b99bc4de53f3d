"""The body of a search request, parsed and checked as in each dialect."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.demo.immich.api_version import Dialect
from service.demo.immich.error_responses import RefusedError
from service.demo.immich.filters import Test, persons, read_filter
from service.demo.immich.library import ASSET_TYPES, VISIBILITIES, FakeAsset
from service.demo.immich.listing import micros
from service.demo.immich.validation import (
    Check,
    Choice,
    Nullable,
    Number,
    Several,
    UnfitError,
    checked,
    identifier,
    instant_micros,
    loose_instant_micros,
    text,
    truth,
    wrong_type,
)

MOST = 1000
"""The maximum number of assets on a page."""
DEFAULT_SIZE = 250
ORDER_FIELDS = ("fileCreatedAt", "localDateTime", "fileSizeInBytes", "rating")

TEXTS: tuple[str, ...] = ("city", "country", "state", "make", "model", "lensModel", "description", "ocr", "checksum")
TEXTS += ("originalFileName", "originalPath", "previewPath", "thumbnailPath", "encodedVideoPath")
TEXTS += ("deviceAssetId", "deviceId")
FLAGS: tuple[str, ...] = ("isFavorite", "isEncoded", "isOffline", "isMotion", "isNotInAlbum")
FLAGS += ("withDeleted", "withExif", "withPeople", "withStacked")
DATES = tuple(f"{what}{side}" for what in ("created", "updated", "trashed", "taken") for side in ("Before", "After"))
EXIF = ("city", "country", "state", "make", "model", "lensModel", "description", "rating")
NULLABLE = ("city", "country", "state", "make", "model", "lensModel")
COMMON = frozenset({"size", "withExif", "withPeople", "withStacked"})
"""The flat fields allowed beside `filter` and `cursor`; all others are deprecated there."""


def flat_fields(*, two: bool) -> dict[str, Check]:
    """Return the checks of the flat fields, in the order in which their errors are reported."""
    date = loose_instant_micros if two else instant_micros
    fields: dict[str, Check] = {"libraryId": Nullable(identifier), "type": Choice(ASSET_TYPES)}
    fields |= dict.fromkeys(FLAGS, truth) | {"visibility": Choice(VISIBILITIES)}
    fields |= dict.fromkeys(DATES, date) | {name: Nullable(text) if name in NULLABLE else text for name in TEXTS}
    fields |= {"rating": Nullable(Number(-1, 5, loose=two)), "size": Number(1, MOST, loose=two)}
    fields |= dict.fromkeys(("personIds", "albumIds"), Several(identifier))
    fields |= {"tagIds": Nullable(Several(identifier)), "id": identifier}
    fields |= {"order": Choice(("asc", "desc")), "page": Number(1, loose=two)}
    if two:  # in 2.x, null means absent
        fields = {name: Nullable(check) for name, check in fields.items()}
    return fields


TWO_FIELDS = flat_fields(two=True)
THREE_FIELDS = flat_fields(two=False)


@dataclass(slots=True)
class Question:
    """A checked search: its test, order and page. Instants are in microseconds."""

    test: Test
    size: int
    offset: int = 0
    first: int | None = None
    last: int | None = None
    order_field: str = "fileCreatedAt"
    descending: bool = True
    page: int | None = None
    """The number of the page; None when the search pages by cursor."""
    with_people: bool = False
    with_exif: bool = False
    needs_content: bool = False
    """Whether it compares checksums or sizes, so that all assets must be measured first."""


def read_question(body: object, dialect: Dialect, page_limit: int) -> Question:
    """Parse a search body; raise `RefusedError` as the server would. ``page_limit`` caps the requested size."""
    if not isinstance(body, dict):
        raise RefusedError(400, "Unexpected token in JSON at position 0")
    newer = [name for name in ("filter", "cursor", "orderBy") if body.get(name) is not None]
    if dialect.filters and newer:
        return read_filtered(body, newer, page_limit)
    fields = TWO_FIELDS if dialect.two else THREE_FIELDS
    values, wrong = checked(fields, body)
    if wrong:
        raise refused(wrong, dialect)
    return flat_question(values, dialect, page_limit)


def refused(wrong: Mapping[str, UnfitError], dialect: Dialect) -> RefusedError:
    if not dialect.two:
        issues = [error.issue | {"path": error.path or [name]} for name, error in wrong.items()]
        return RefusedError(400, "Validation failed", issues=issues)
    for name in DATES:  # a date error is raised while parsing: alone, and as one sentence
        if name in wrong:
            return RefusedError(400, f"{name} {wrong[name].message_2x}")
    return RefusedError(400, [f"{name} {error.message_2x}" for name, error in wrong.items()])


def locked() -> RefusedError:
    return RefusedError(401, "Elevated permission is required")


def flat_question(values: Mapping[str, Any], dialect: Dialect, page_limit: int) -> Question:
    values = {name: value for name, value in values.items() if value is not None or name == "libraryId"}
    if values.get("visibility") == "locked":
        raise locked()
    size = min(values.get("size", DEFAULT_SIZE), page_limit)
    page = values.get("page", 1)
    return Question(
        test=flat_test(values, dialect),
        size=size,
        offset=(page - 1) * size,
        first=values.get("takenAfter"),
        last=values.get("takenBefore"),
        descending=values.get("order", "desc") == "desc",
        page=page,
        with_people=values.get("withPeople", False),
        with_exif=values.get("withExif", False),
        needs_content="checksum" in values,
    )


def flat_test(values: Mapping[str, Any], dialect: Dialect) -> Test:
    tests: list[Test] = []
    seen = values.get("visibility", "timeline" if dialect.two else None)
    tests.append(
        (lambda asset: asset.visibility != "locked") if seen is None else lambda asset: asset.visibility == seen
    )
    asks_for_trash = values.get("isOffline") or "trashedBefore" in values or "trashedAfter" in values
    if not (values.get("withDeleted") or asks_for_trash):
        tests.append(lambda asset: not asset.trashed)
    if dialect.two and values.get("withExif"):
        tests.append(lambda asset: asset.exif is not None)
    plain = {"id": "asset_id", "type": "type", "libraryId": "library_id", "checksum": "checksum"}
    plain |= {"isOffline": "is_offline", "isFavorite": "is_favorite"}
    for name, attribute in plain.items():
        if name in values:
            tests.append(equals(attribute, values[name]))
    for what, attribute in (("updated", "updated_at"), ("created", "created_at"), ("trashed", "updated_at")):
        tests.extend(dated(attribute, values.get(f"{what}After"), values.get(f"{what}Before")))
    if "trashedBefore" in values or "trashedAfter" in values:
        tests.append(lambda asset: asset.trashed)
    tests.extend(textual(values))
    return lambda asset: all(test(asset) for test in tests)


def equals(attribute: str, wanted: object) -> Test:
    return lambda asset: bool(getattr(asset, attribute) == wanted)


def dated(attribute: str, after: int | None, before: int | None) -> list[Test]:
    """Return tests with both bounds inclusive; stored instants are finer than the milliseconds of the request."""
    tests: list[Test] = []
    if after is not None:
        tests.append(lambda asset: micros(getattr(asset, attribute)) >= after)
    if before is not None:
        tests.append(lambda asset: micros(getattr(asset, attribute)) <= before)
    return tests


def textual(values: Mapping[str, Any]) -> list[Test]:
    """Return the tests of file names and people, and of fields that need exif, tags or albums."""
    tests: list[Test] = []
    if name := values.get("originalFileName"):
        tests.append(lambda asset: name.lower() in asset.file_name.lower())
    if path := values.get("originalPath"):
        tests.append(lambda asset: path.lower() in (asset.original_path or asset.file_name).lower())
    if people := values.get("personIds"):
        tests.append(lambda asset: persons(asset).issuperset(people))
    if "isMotion" in values:
        tests.append(lambda asset: (asset.live_photo_video_id is not None) == values["isMotion"])
    if values.get("isEncoded") or values.get("tagIds") or values.get("albumIds") or values.get("ocr"):
        tests.append(lambda _asset: False)
    tests.extend(exif_equals(name, values[name]) for name in EXIF if name in values)
    return tests


def exif_equals(name: str, wanted: object) -> Test:
    return lambda asset: bool((asset.exif or {}).get(name) == wanted)


def read_cursor(cursor: str) -> int:
    try:
        offset = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))["offset"]
    except (binascii.Error, ValueError, TypeError, KeyError):
        raise RefusedError(400, "Invalid cursor") from None
    if not isinstance(offset, int) or offset < 0:
        raise RefusedError(400, "Invalid cursor")
    return offset


def write_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"offset": offset}, separators=(",", ":")).encode()).decode().rstrip("=")


def read_filtered(body: Mapping[str, Any], newer: list[str], page_limit: int) -> Question:
    """Parse a search with `filter`, `orderBy` or `cursor` (3.2 and later), which exclude deprecated flat fields."""
    values, wrong = checked({"cursor": Nullable(text)} | THREE_FIELDS, body)
    issues = [error.issue | {"path": [name]} for name, error in wrong.items()]
    try:
        order = read_order({} if body.get("orderBy") is None else body["orderBy"])
        asked = {} if body.get("filter") is None else body["filter"]
        if not isinstance(asked, dict):
            raise wrong_type("object", asked, "")
        wanted = read_filter(asked)
    except UnfitError as error:
        raise RefusedError(
            400, "Validation failed", issues=[*issues, error.issue | {"path": error.path or ["filter"]}]
        ) from None
    deprecated = [name for name in THREE_FIELDS if name in body and name not in COMMON]
    # reported in the order of the schema: withDeleted before order
    beside = "/".join(newer)
    issues += [
        {"code": "custom", "path": [name], "message": f"Deprecated field {name} cannot be combined with {beside}"}
        for name in deprecated
    ]
    if issues:
        raise RefusedError(400, "Validation failed", issues=issues)
    if wanted.asks_for_locked:
        raise locked()
    return Question(
        test=lambda asset: asset.visibility != "locked" and wanted.test(asset),
        size=min(values.get("size", DEFAULT_SIZE), page_limit),
        offset=0 if body.get("cursor") is None else read_cursor(body["cursor"]),
        first=wanted.first,
        last=wanted.last,
        order_field=order.get("field", "fileCreatedAt"),
        descending=order.get("direction", "desc") == "desc",
        with_people=values.get("withPeople", False),
        with_exif=values.get("withExif", False),
        needs_content=any(name in json.dumps(body) for name in ("checksum", "fileSizeInBytes")),
    )


def read_order(asked: object) -> dict[str, str]:
    if not isinstance(asked, dict):
        raise wrong_type("object", asked, "", ["orderBy"])
    values, wrong = checked({"field": Choice(ORDER_FIELDS), "direction": Choice(("asc", "desc"))}, asked)
    for name, error in wrong.items():
        error.path = ["orderBy", name]
        raise error
    return values


def order_key(question: Question, asset: FakeAsset) -> Any:
    """Return the sort key of a search that is not ordered by the date of the picture; the id breaks ties."""
    match question.order_field:
        case "localDateTime":
            value: float = micros(asset.local_taken_at or asset.taken_at)
        case "fileSizeInBytes":
            value = asset.size or 0
        case _:
            value = (asset.exif or {}).get("rating") or 0
    return value, asset.asset_id
