"""Every answer of the reading calls that a user has, as text, to compare libraries with each other."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from shared_library import USERS
from sqlalchemy import Connection, select

from service.store.tables import contents, crops, faces, identities
from service.web.library.faces import SearchQuery
from service.web.library.identities import FacesQuery, IdentitiesQuery, NearestQuery, PageQuery
from service.web.library.reads import LibraryReads

TEXTS = (*USERS, "friend", "moderator", "1", "3", "IMG_00000", "2004", "2005", "2011-03")
ORDERS: tuple[Any, ...] = ("distance", "doubt", "quality", "time")
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"sort": "name", "limit": 3},
    {"sort": "pictures", "min_pictures": 2},
    {"named": True, "sort": "number", "reverse": True},
    {"birth": "known"},
    {"minor": False},
    {"questions": True},
    {"found_since": "2004-01-01"},
    *({"source": user} for user in USERS),
)


@dataclass(frozen=True, slots=True)
class Everything:
    """All numbers, faces, crops and pictures of a library."""

    numbers: tuple[int, ...]
    face_ids: tuple[int, ...]
    crops: tuple[str, ...]
    sha256s: tuple[str, ...]


def everything(tx: Connection) -> Everything:
    def column(one: Any) -> tuple[Any, ...]:
        return tuple(tx.scalars(select(one).order_by(one)))

    return Everything(
        column(identities.c.number),
        column(faces.c.face_id),
        tuple(file.rpartition("/")[2] for file in column(crops.c.file)),
        column(contents.c.sha256),
    )


async def every_answer(reads: LibraryReads, about: Everything, faces: Collection[int] | None = None) -> dict[str, str]:
    """Ask everything, and return the answers as JSON by question; ``faces``: those to ask about alone, None for all."""
    found: dict[str, Any] = {}
    for filtered in FILTERS:
        await _walk(found, reads, filtered)
    found["labels"] = dict(sorted((await reads.labels(about.numbers)).items()))
    found["covers"] = dict(sorted((await reads.covers(about.numbers)).items()))
    found["sources"] = await reads.sources()
    found["source names"] = await reads.source_names()
    for number in about.numbers:
        await _ask_about(found, reads, number)
    for face in about.face_ids if faces is None else faces:
        answer = await reads.face(face)
        found[f"face {face}"] = None if answer is None else msgspec.structs.replace(answer, decisions=())
    for sha256 in about.sha256s:
        found[f"picture {sha256}"] = await reads.has_picture(sha256)
    for text in TEXTS:
        found[f"search {text}"] = await reads.search(SearchQuery(q=text, limit=50))
    return {question: msgspec.json.encode(answer).decode() for question, answer in found.items()}


async def _walk(found: dict[str, Any], reads: LibraryReads, filtered: dict[str, Any]) -> None:
    cursor: str | None = ""
    while cursor is not None:
        answer = await reads.identities(msgspec.convert(filtered | {"cursor": cursor}, IdentitiesQuery))
        found[f"identities {filtered} {cursor}"] = answer
        cursor = answer.next


async def _ask_about(found: dict[str, Any], reads: LibraryReads, number: int) -> None:
    answer = await reads.identity(number)
    found[f"identity {number}"] = None if answer is None else msgspec.structs.replace(answer, why_not_exported="")
    found[f"survivor {number}"] = await reads.survivor(number)
    for order in ORDERS:
        found[f"faces {number} {order}"] = await reads.faces(number, FacesQuery(sort=order, limit=7))
    for user in USERS:
        found[f"faces {number} {user}"] = await reads.faces(
            number, FacesQuery(source=user, taken_since="2006", limit=7)
        )
    found[f"eras {number}"] = await reads.eras(number)
    found[f"nearest {number}"] = await reads.nearest(number, NearestQuery())
    found[f"figures {number}"] = await reads.figures(number)
    found[f"together {number}"] = await reads.together(number, PageQuery())
