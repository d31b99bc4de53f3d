"""The faces of one identity, a page at a time, and one face with all that is known of it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Float, case, func, literal, select

from immich_facesets.dates import EVIDENCE
from immich_facesets.faces import Face
from immich_facesets.moderation.requests import FaceSelection
from immich_facesets.quality.score import quality
from service.store.browsing.kept import Kept, about_people
from service.store.browsing.slices import Key, Page, Slice, cut_page, page_of
from service.store.browsing.summaries import Signature, signatures
from service.store.chunks import chunks
from service.store.exports import face_of
from service.store.selections import members_within, selected_faces
from service.store.spaces import active_space
from service.store.tables import assets, contents, crops, faces, memberships

T = TypeVar("T")

ColumnSort = Literal["distance", "doubt", "time"]

UNDATED = "9999-12-31"
"""The key of a face without a date, behind all others."""

_SURE = 2.0  # the key of a member without a confidence, which a person decided


@dataclass(frozen=True, slots=True)
class Ranking:
    """The members of an identity by quality, (-score, face id), in no order; kept by the caller until they change."""

    signature: Signature
    scored: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class PicturePlace:
    """One asset that shows a content. ``taken``: the local date (ISO), "" where none tells when it was taken."""

    source: str
    asset_id: str
    path: str
    file_name: str
    taken: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowsedFace:
    """One face with its picture. ``identity``, ``distance``, ``how`` and ``confidence`` are None of a face of nobody."""

    face: Face
    crop_file: str | None
    picture_width: int
    picture_height: int
    identity: int | None
    distance: float | None
    how: str | None
    confidence: float | None
    places: tuple[PicturePlace, ...]

    @property
    def score(self) -> float:
        """The quality by the measures of the face alone, as an export ranks it before it has looked at the crop."""
        return quality(self.face).score

    @property
    def taken(self) -> str:
        """The earliest date that a copy of the picture states, "" without one."""
        return min((place.taken for place in self.places if place.taken), default="")


@about_people
def count_faces(tx: Connection, wanted: FaceSelection) -> int:
    """Return how many members of an identity are within the limits."""
    return tx.scalar(members_within(wanted, func.count())) or 0


def faces_by_column(
    tx: Connection, wanted: FaceSelection, sort: ColumnSort, part: Slice, kept: Kept
) -> Page[BrowsedFace]:
    """
    Return a page of the members within the limits; the first are the nearest, the most doubtful, or the oldest.

    ``kept``: what the reader read before. The order of all these faces is kept, in 16 bytes for each, and 40 by time.
    """
    return _page(tx, kept.at(tx).read(_ordered, wanted, sort).cut(part), int)


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """Faces in the order of a column: ``keys`` (n,), float64 or bytes, ascending, and ``numbers`` (n,), int64."""

    keys: NDArray[Any]
    numbers: NDArray[np.int64]

    def cut(self, part: Slice) -> Page[int]:
        """Return the ids of a slice."""
        begin, end = 0, len(self.keys)
        if part.after is not None:
            key, number = part.after
            sought = key.encode() if isinstance(key, str) else key
            first, behind = (int(np.searchsorted(self.keys, sought, side=side)) for side in ("left", "right"))
            side: Literal["left", "right"] = "left" if part.is_reversed else "right"
            place = first + int(np.searchsorted(self.numbers[first:behind], number, side=side))
            begin, end = (0, place) if part.is_reversed else (place, end)
        rows = range(begin, end)[::-1] if part.is_reversed else range(begin, end)
        some = [self._key(row) for row in rows[: part.limit + 1]]
        page = cut_page(some, lambda key: key, part)
        return Page(tuple(number for _, number in page.items), page.last)

    def _key(self, row: int) -> Key:
        key = self.keys[row]
        return key.decode() if isinstance(key, bytes) else float(key), int(self.numbers[row])


@about_people
def _ordered(tx: Connection, wanted: FaceSelection, sort: ColumnSort) -> _Ordered:
    columns: Mapping[str, Any] = {
        "distance": memberships.c.distance,
        "doubt": func.coalesce(memberships.c.confidence, literal(_SURE, Float)),
        "time": func.coalesce(earliest_date(), UNDATED),
    }
    rows: Any = tx.execute(members_within(wanted, columns[sort], memberships.c.face_id)).all()
    found = np.array([number for _, number in rows], dtype=np.int64)
    keys = (
        np.array([key.encode() for key, _ in rows], dtype=np.bytes_)
        if sort == "time"
        else np.array([key for key, _ in rows], dtype=np.float64)
    )
    order = np.lexsort((found, keys))
    return _Ordered(keys[order], found[order])


def faces_by_quality(
    tx: Connection, wanted: FaceSelection, part: Slice, known: Ranking | None
) -> tuple[Page[BrowsedFace], Ranking | None]:
    """
    Return a page of the members within the limits, the best first, and the ranking of all members for the next call.

    No database can compute the score: all members are read once, and again when ``known`` is of other members.
    """
    number = wanted.identity
    signature = signatures(tx, [number]).get(number)
    if signature is None:
        return Page(()), None
    ranking = known if known is not None and known.signature == signature else _ranking(tx, number, signature)
    among = None if wanted == FaceSelection(identity=number) else frozenset(selected_faces(tx, wanted))
    scored = ranking.scored if among is None else [one for one in ranking.scored if one[1] in among]
    page = page_of(scored, lambda one: one, part)
    return _page(tx, page, lambda one: one[1]), ranking


def browsed_faces(tx: Connection, face_ids: Collection[int]) -> dict[int, BrowsedFace]:
    """Return these faces, by id; those that are not there, or in another space than the one in use, are missing."""
    found: dict[int, BrowsedFace] = {}
    space = active_space(tx) or ""
    for some in chunks(face_ids):
        statement = (
            select(
                faces,
                crops.c.file,
                contents.c.width,
                contents.c.height,
                memberships.c.identity,
                memberships.c.distance,
                memberships.c.how,
                memberships.c.confidence,
            )
            .join(contents, contents.c.sha256 == faces.c.sha256)
            .outerjoin(crops, crops.c.face_id == faces.c.face_id)
            .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        )
        rows = [row for row in tx.execute(statement.where(faces.c.face_id.in_(some))) if row.space == space]
        places = places_of(tx, {row.sha256 for row in rows})
        found.update({row.face_id: _browsed(row, places.get(row.sha256, ())) for row in rows})
    return found


def dates_of_faces(tx: Connection, face_ids: Collection[int]) -> dict[int, str]:
    """Return the earliest local date of the picture of each face; faces without one, or of another space, are missing."""
    found: dict[int, str] = {}
    in_use = select(faces.c.face_id, earliest_date().label("taken")).where(faces.c.space == (active_space(tx) or ""))
    for some in chunks(face_ids):
        for face_id, day in tx.execute(in_use.where(faces.c.face_id.in_(some))):
            if day is not None:
                found[face_id] = str(day)
    return found


def places_of(tx: Connection, sha256s: Collection[str]) -> dict[str, tuple[PicturePlace, ...]]:
    """Return the assets that show each of these contents."""
    found: dict[str, list[PicturePlace]] = {}
    for some in chunks(sorted(sha256s)):
        rows: Any = tx.execute(
            select(
                assets.c.content,
                assets.c.source,
                assets.c.asset_id,
                assets.c.path,
                assets.c.file_name,
                case((assets.c.date_kind.in_(EVIDENCE), assets.c.local_date), else_=""),
            )
            .where(assets.c.content.in_(some), assets.c.is_gone.is_(False))
            .order_by(assets.c.source, assets.c.asset_id)
        )
        for sha256, *place in rows:
            found.setdefault(sha256, []).append(PicturePlace(*place))
    return {sha256: tuple(several) for sha256, several in found.items()}


def earliest_date() -> Any:
    """Return the earliest date that an asset states of the content of a row of ``faces``."""
    stated = (assets.c.content == faces.c.sha256, assets.c.is_gone.is_(False), assets.c.date_kind.in_(EVIDENCE))
    return select(func.min(assets.c.local_date)).where(*stated).correlate(faces).scalar_subquery()


def _browsed(row: Any, places: tuple[PicturePlace, ...]) -> BrowsedFace:
    return BrowsedFace(
        face=face_of(row),
        crop_file=row.file,
        picture_width=row.width,
        picture_height=row.height,
        identity=row.identity,
        distance=row.distance,
        how=row.how,
        confidence=row.confidence,
        places=places,
    )


def _page(tx: Connection, page: Page[T], face_of_entry: Callable[[T], int]) -> Page[BrowsedFace]:
    """Return the faces of a page of keys."""
    wanted = [face_of_entry(one) for one in page.items]
    found = browsed_faces(tx, wanted)
    return Page(tuple(found[face] for face in wanted if face in found), page.last)


def _ranking(tx: Connection, number: int, signature: Signature) -> Ranking:
    rows = tx.execute(
        select(faces)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(memberships.c.identity == number)
    )
    return Ranking(signature, tuple((-quality(face_of(row)).score, int(row.face_id)) for row in rows))
