"""
The three dialects of Immich's search, chosen in one place by the server's version.

2.7 and 3.0 to 3.1 take flat fields, 3.2 and later a filter; servers silently ignore unknown fields.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, Self

from immich_facesets.errors import SetupError
from service.sources.immich.payloads import AssetSection, Version

PAGE_SIZE = 1000
"""The largest page of a search; pages of 250 are four times slower overall."""

VISIBILITIES = ("timeline", "archive", "hidden")
"""All visibilities a key can see. Locked pictures are never requested: the request itself is refused."""


@dataclass(frozen=True, slots=True)
class Query:
    """
    One search query. ``taken_from`` and ``taken_to`` are both inclusive, to the millisecond.

    ``offline`` selects exactly the pictures with a missing file, which Immich otherwise leaves out like trash.
    ``place`` is where to continue: the page or cursor from the previous answer. ``person_id`` selects the pictures of
    one person; only flat dialects have it.
    """

    visibilities: tuple[str, ...]
    updated_after: datetime | None = None
    taken_from: datetime | None = None
    taken_to: datetime | None = None
    offline: bool = False
    only_with_faces: bool = False
    person_id: str | None = None
    kind: Literal["IMAGE", "VIDEO"] = "IMAGE"
    size: int = PAGE_SIZE
    place: str | None = None

    def between(self, taken_from: datetime | None, taken_to: datetime | None) -> Self:
        return replace(self, taken_from=taken_from, taken_to=taken_to)


class Dialect(Protocol):
    """The search dialect of one family of versions."""

    @property
    def hints_inline(self) -> bool:
        """Whether a listing includes the faces."""

    @property
    def finds_faces(self) -> bool:
        """Whether ``only_with_faces`` is supported."""

    @property
    def people_are_private(self) -> bool:
        """Whether a person belongs to one account, so that only its own pictures show the person."""

    @property
    def scopes(self) -> tuple[tuple[str, ...], ...]:
        """The groups of visibilities that one query can cover."""

    def body(self, query: Query) -> dict[str, Any]:
        """Return the query as JSON."""

    def next_place(self, section: AssetSection) -> str | None:
        """Return the place of the next page, from the answer."""


@dataclass(frozen=True, slots=True)
class FlatDialect:
    """The dialect of 2.7, 3.0 and 3.1."""

    hints_inline: bool
    finds_faces: bool = False
    people_are_private: bool = True
    scopes: tuple[tuple[str, ...], ...] = tuple((visibility,) for visibility in VISIBILITIES)

    def body(self, query: Query) -> dict[str, Any]:
        (visibility,) = query.visibilities
        body: dict[str, Any] = {"type": query.kind, "visibility": visibility, "size": query.size}
        if self.hints_inline and query.kind == "IMAGE":
            body["withPeople"] = True
        if query.offline:
            body["isOffline"] = True
        if query.person_id is not None:
            body["personIds"] = [query.person_id]
        if query.updated_after is not None:
            body["updatedAfter"] = as_text(query.updated_after)
        if query.taken_from is not None:
            body["takenAfter"] = as_text(query.taken_from)
        if query.taken_to is not None:
            body["takenBefore"] = as_text(query.taken_to)
        if query.place is not None:
            body["page"] = int(query.place)
        return body

    @staticmethod
    def next_place(section: AssetSection) -> str | None:
        return section.next_page


@dataclass(frozen=True, slots=True)
class FilterDialect:
    """The dialect of 3.2 and later."""

    hints_inline: bool = False
    finds_faces: bool = True
    people_are_private: bool = False
    scopes: tuple[tuple[str, ...], ...] = (VISIBILITIES,)

    @staticmethod
    def body(query: Query) -> dict[str, Any]:
        wanted: dict[str, Any] = {"type": {"eq": query.kind}, "visibility": {"in": list(query.visibilities)}}
        if query.offline:
            wanted["isOffline"] = {"eq": True}
        else:
            wanted["trashedAt"] = {"eq": None}
        if query.only_with_faces:
            wanted["hasPeople"] = {"eq": True}
        if query.updated_after is not None:
            wanted["updatedAt"] = {"gte": as_text(query.updated_after)}
        taken = {}
        if query.taken_from is not None:
            taken["gte"] = as_text(query.taken_from)
        if query.taken_to is not None:
            taken["lte"] = as_text(query.taken_to)
        if taken:
            wanted["takenAt"] = taken
        body: dict[str, Any] = {
            "filter": wanted,
            "orderBy": {"field": "fileCreatedAt", "direction": "desc"},
            "size": query.size,
        }
        if query.place is not None:
            body["cursor"] = query.place
        return body

    @staticmethod
    def next_place(section: AssetSection) -> str | None:
        return section.next_cursor


def dialect_of(version: Version) -> Dialect:
    """Return the dialect of a server; one older than 2.7 is a ``SetupError``."""
    match (version.major, version.minor):
        case (2, minor) if minor >= 7:
            return FlatDialect(hints_inline=True)
        case (3, minor) if minor < 2:
            return FlatDialect(hints_inline=False)
        case (major, _) if major >= 3:
            return FilterDialect()
        case _:
            raise SetupError(f"this Immich is {version}, and 2.7 is the oldest that is understood: update Immich")


def as_text(moment: datetime) -> str:
    """Return ISO 8601 in UTC, cut to the millisecond: Immich's finest precision."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
