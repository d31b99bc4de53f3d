"""
The people behind faces and identities, now or ever: nothing here goes when a person is merged, deleted or not listed.

The rule for minors asks it (``immich_facesets.facesets.minors``).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select, update

from immich_facesets.assets import FaceHint, PersonKey
from immich_facesets.dates import EVIDENCE, read_date
from immich_facesets.faces import Box
from immich_facesets.facesets.minors import DatedFace
from immich_facesets.grouping.plan import Link
from service.store.births import births_of_people
from service.store.tables import (
    assets,
    contents,
    faces,
    fingerprints,
    former_members,
    hints,
    memberships,
    past_dates,
    past_hints,
    past_likenesses,
    past_links,
    past_places,
    people,
)
from service.store.upsert import upsert

HINT_IOU = 0.3
"""The least IoU of a face and a source's box that count as one; it is low because detectors' boxes differ."""


_CONTENT = func.coalesce(assets.c.content, fingerprints.c.sha256)
"""The content that an asset shows or last showed, of one that is gone too."""


def keep_links(tx: Connection, links: Iterable[Link]) -> None:
    """Record that these people were attached to identities."""
    rows = [{"source": link.source, "person_id": link.person_id, "identity": link.identity} for link in links]
    upsert(tx, past_links, rows)


def keep_likenesses(tx: Connection, alike: Iterable[Link]) -> None:
    """Record that these minors are resembled by identities."""
    rows = [{"source": one.source, "person_id": one.person_id, "identity": one.identity} for one in alike]
    upsert(tx, past_likenesses, rows)


def minors_alike(tx: Connection) -> dict[int, frozenset[PersonKey]]:
    """Return the minors whom each identity resembled when pictures of these went, by number."""
    found: dict[int, set[PersonKey]] = {}
    for row in tx.execute(select(past_likenesses)):
        found.setdefault(row.identity, set()).add((row.source, row.person_id))
    return {identity: frozenset(known) for identity, known in found.items()}


def move_links(tx: Connection, old: int, new: int) -> None:
    """Attach the people of one identity, those of the past too, to the identity that took over all of it."""
    for table, past in ((people, past_links), (past_links, past_links), (past_likenesses, past_likenesses)):
        rows: Any = tx.execute(select(table.c.source, table.c.person_id).where(table.c.identity == old))
        upsert(tx, past, [{"source": source, "person_id": person, "identity": new} for source, person in rows])
    tx.execute(update(people).where(people.c.identity == old, people.c.is_gone.is_(True)).values(identity=new))


def keep_hints(tx: Connection, source: str, asset_id: str, now: Mapping[str, str | None]) -> None:
    """
    Record the faces of an asset that a source gave to a person until now.

    ``now``: the person to whom it gives each face from now on, by its face id.
    """
    rows: Any = tx.execute(
        select(hints).where(hints.c.source == source, hints.c.asset_id == asset_id, hints.c.person_id.is_not(None))
    ).mappings()
    upsert(tx, past_hints, [dict(row) for row in rows if now.get(row["face_id"]) != row["person_id"]])


def keep_places(tx: Connection, *which: Any) -> None:
    """
    Record where sources gave faces to people with a birth date in assets that are removed, or will show other bytes.

    ``which``: conditions on ``assets``. The places are kept by content: other sources may have the same picture.
    """
    places = [
        {
            "source": source,
            "person_id": person,
            "sha256": sha256,
            "x1": box.x1,
            "y1": box.y1,
            "x2": box.x2,
            "y2": box.y2,
        }
        for sha256, several in _given(tx, births_of_people(tx).keys(), *which).items()
        for box, (source, person) in several
    ]
    upsert(tx, past_places, places)


def keep_dates(tx: Connection, *which: Any) -> None:
    """Record the dates of pictures of known people in assets that are removed; ``which``: conditions on ``assets``."""
    members = select(faces.c.sha256).join(memberships, memberships.c.face_id == faces.c.face_id)
    of_known = members.union(select(former_members.c.sha256), select(past_places.c.sha256))
    stated = _stated_dates(*which).subquery()
    dates: Any = tx.execute(select(stated).where(stated.c.sha256.in_(of_known))).mappings()
    upsert(tx, past_dates, [dict(row) for row in dates])


def _stated_dates(*conditions: Any) -> Any:
    """Return the query for the dates that say when a picture was taken, of each asset's content."""
    return (
        select(assets.c.source, _CONTENT.label("sha256"), assets.c.local_date.label("local_date"))
        .select_from(assets)
        .outerjoin(fingerprints, fingerprints.c.fingerprint == assets.c.fingerprint)
        .where(assets.c.date_kind.in_(EVIDENCE), _CONTENT.is_not(None), *conditions)
        .distinct()
    )


def dated_faces(tx: Connection, space: str) -> list[DatedFace]:
    """
    Return every face of a space with its identity (0: none) and date, by face id.

    The date is the earliest that says when the picture was taken, of all copies. Those that are gone count too: a date
    does not get better because the copy that has it is deleted, or its source is removed. A source that was added again
    states it anew.
    """
    is_back = exists().where(assets.c.source == past_dates.c.source, assets.c.content == past_dates.c.sha256)
    stated = _stated_dates().union_all(select(past_dates).where(~is_back)).subquery()
    taken = select(stated.c.sha256, func.min(stated.c.local_date).label("taken")).group_by(stated.c.sha256).subquery()
    rows = tx.execute(
        select(faces.c.face_id, memberships.c.identity, taken.c.taken)
        .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        .outerjoin(taken, taken.c.sha256 == faces.c.sha256)
        .where(faces.c.space == space)
        .order_by(faces.c.face_id)
    )
    return [DatedFace(row.face_id, row.identity or 0, read_date(row.taken)) for row in rows]


def people_of_identities(tx: Connection, wanted: Collection[PersonKey]) -> dict[int, frozenset[PersonKey]]:
    """Return which of these people are or were attached to each identity, by number."""
    found: dict[int, set[PersonKey]] = {}
    for table in (people, past_links):
        rows = tx.execute(
            select(table.c.source, table.c.person_id, table.c.identity).where(table.c.identity.is_not(None))
        )
        for source, person_id, identity in rows:
            if (source, person_id) in wanted:
                found.setdefault(identity, set()).add((source, person_id))
    return {identity: frozenset(known) for identity, known in found.items()}


def people_of_faces(tx: Connection, space: str, wanted: Collection[PersonKey]) -> dict[int, frozenset[PersonKey]]:
    """
    Return to which of these people sources gave each face of a space, now or ever, by face id.

    Where no face is at the place of a source's box, those that touch it count. A box without any extent means that the
    person is somewhere in the picture: then all faces of the picture count.
    """
    given = _given(tx, wanted)
    for row in tx.execute(select(past_places)):
        if (row.source, row.person_id) in wanted:
            place = (Box(row.x1, row.y1, row.x2, row.y2), (row.source, row.person_id))
            given.setdefault(row.sha256, []).append(place)
    boxes: dict[str, list[tuple[int, Box]]] = {}
    for row in tx.execute(
        select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2).where(
            faces.c.space == space
        )
    ):
        if row.sha256 in given:
            boxes.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    found: dict[int, set[PersonKey]] = {}
    for sha256, several in given.items():
        for box, person in several:
            for face_id in _faces_at(box, boxes.get(sha256, ())):
                found.setdefault(face_id, set()).add(person)
    return {face_id: frozenset(known) for face_id, known in found.items()}


def _given(tx: Connection, wanted: Collection[PersonKey], *which: Any) -> dict[str, list[tuple[Box, PersonKey]]]:
    """
    Return the boxes that sources give or gave to these people, by content, in upright original pixels.

    ``which``: conditions on ``assets``.
    """
    given: dict[str, list[tuple[Box, PersonKey]]] = {}
    for table in (hints, past_hints):
        rows = tx.execute(
            select(
                table,
                _CONTENT.label("sha256"),
                func.coalesce(assets.c.width, contents.c.width).label("width"),
                func.coalesce(assets.c.height, contents.c.height).label("height"),
            )
            .join(assets, and_(assets.c.source == table.c.source, assets.c.asset_id == table.c.asset_id))
            .outerjoin(fingerprints, fingerprints.c.fingerprint == assets.c.fingerprint)
            .outerjoin(contents, contents.c.sha256 == _CONTENT)
            .where(table.c.person_id.is_not(None), _CONTENT.is_not(None), *which)
        )
        for row in rows:
            if (row.source, row.person_id) in wanted:
                hint = FaceHint(row.face_id, Box(row.x1, row.y1, row.x2, row.y2), row.image_width, row.image_height)
                given.setdefault(row.sha256, []).append(
                    (hint.original_box(row.width, row.height), (row.source, row.person_id))
                )
    return given


def _faces_at(box: Box, found: Collection[tuple[int, Box]]) -> list[int]:
    if box.face_short <= 0:
        return [face_id for face_id, _ in found]
    overlaps = [(face_id, box.iou(other)) for face_id, other in found]
    least = HINT_IOU if any(overlap >= HINT_IOU for _, overlap in overlaps) else 0.0
    return [face_id for face_id, overlap in overlaps if overlap > 0 and overlap >= least]
