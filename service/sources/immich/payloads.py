"""
Immich's JSON as structs.

Unknown fields are ignored and times stay text until needed. The types have the range and length that a value can have in
the world. An item of a page that breaks them is left out with its field named, and the others are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

ITEMS = 20_000
"""The most items of a list in one answer; Immich has 1,000 on a page."""

Id = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
Words = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00]*$")]
"""A version, a kind, a time, a checksum."""
Text = Annotated[str, Meta(max_length=8192, pattern=r"^[^\x00]*$")]
"""A name or a path; PostgreSQL stores no NUL."""
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Size = Annotated[float, Meta(ge=0, le=1e6)]
Number = Annotated[int, Meta(ge=0, le=1_000_000)]


class Payload(msgspec.Struct, rename="camel", kw_only=True):
    """The base of all structs of Immich's answers."""


class Version(Payload):
    major: Number
    minor: Number
    patch: Number = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class ServerConfig(Payload):
    maintenance_mode: bool = False


class ApiKey(Payload):
    permissions: Annotated[tuple[Words, ...], Meta(max_length=1000)]


class User(Payload):
    id: Id


class PersonRef(Payload):
    id: Id
    birth_date: Words | None = None


class FacePayload(Payload):
    id: Id
    bounding_box_x1: Coordinate
    bounding_box_y1: Coordinate
    bounding_box_x2: Coordinate
    bounding_box_y2: Coordinate
    image_width: Size
    image_height: Size
    person: PersonRef | None = None


FacePayloads = Annotated[tuple[FacePayload, ...], Meta(max_length=ITEMS)]


class PersonWithFaces(Payload):
    """A person inside an asset; only 2.7 includes the person's faces."""

    id: Id
    birth_date: Words | None = None
    faces: FacePayloads = ()


class ExifPayload(Payload):
    """The metadata of a picture; of any type, because one odd value must not invalidate an answer."""

    make: Any = None
    model: Any = None
    exposure_time: Any = None
    f_number: Any = None
    iso: Any = None

    @property
    def is_of_camera(self) -> bool:
        """Whether a camera wrote metadata into the picture."""
        return any((self.make, self.model, self.exposure_time, self.f_number, self.iso))


class AssetPayload(Payload):
    id: Id
    owner_id: Id
    type: Words
    original_path: Text
    original_file_name: Text
    file_created_at: Words
    local_date_time: Words
    updated_at: Words
    visibility: Words
    checksum: Words
    created_at: Words | None = None
    file_modified_at: Words | None = None
    original_mime_type: Words | None = None
    library_id: Words | None = None
    is_trashed: bool = False
    is_offline: bool = False
    is_edited: bool = False
    live_photo_video_id: Words | None = None
    width: Size | None = None
    height: Size | None = None
    exif_info: ExifPayload | None = None
    people: Annotated[tuple[PersonWithFaces, ...], Meta(max_length=ITEMS)] = ()
    unassigned_faces: FacePayloads = ()


class PersonPayload(Payload):
    id: Id
    name: Text = ""
    birth_date: Words | None = None
    is_hidden: bool = False


class Named(Payload):
    """The id of an item that breaks its type."""

    id: Id


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Items(Generic[T]):
    """The items of a page. ``impossible``: of each that breaks its type, the id, "" where it has none, and the reason."""

    valid: tuple[T, ...]
    impossible: tuple[tuple[str, str], ...] = ()


def items_of(kind: type[T], raw: Sequence[msgspec.Raw]) -> Items[T]:
    valid, impossible = [], []
    for item in raw:
        try:
            valid.append(msgspec.json.decode(item, type=kind))
        except (msgspec.ValidationError, RecursionError) as error:
            impossible.append((_id_of(item), str(error) or "too deeply nested"))
    return Items(tuple(valid), tuple(impossible))


def _id_of(item: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(item, type=Named).id
    except (msgspec.ValidationError, RecursionError):
        return ""


class RawSection(Payload):
    items: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=ITEMS)]
    next_page: Text | None = None
    next_cursor: Text | None = None


class SearchAnswer(Payload):
    assets: RawSection


class PeopleAnswer(Payload):
    people: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=ITEMS)]
    has_next_page: bool = False


@dataclass(frozen=True, slots=True)
class AssetSection:
    """A page of a search; ``impossible`` as in `Items`."""

    items: tuple[AssetPayload, ...]
    next_page: str | None = None
    next_cursor: str | None = None
    impossible: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A page of people. Those that break their type are left out: absence from the list says nothing of a person."""

    people: tuple[PersonPayload, ...]
    has_next_page: bool = False


def section_of(answer: SearchAnswer) -> AssetSection:
    found = items_of(AssetPayload, answer.assets.items)
    return AssetSection(found.valid, answer.assets.next_page, answer.assets.next_cursor, found.impossible)


def people_of(answer: PeopleAnswer) -> PeoplePage:
    return PeoplePage(items_of(PersonPayload, answer.people).valid, answer.has_next_page)
