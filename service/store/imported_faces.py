"""Faces that users sorted with other tools: as imported, and matched to the faces of the store."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, exists, select

from immich_facesets.assets import PersonKey
from immich_facesets.eras import KeptEra, imported_era
from immich_facesets.faces import Box
from immich_facesets.imports.face_lookup import Resolver
from immich_facesets.imports.plan import ImportedPerson
from immich_facesets.imports.sorted_faces import Period, SortedFace
from service.store.sources import FOLDER
from service.store.tables import assets, faces, imported_faces, memberships, people, sources

IMPORTED = ""
"""The source name of imported people. No user and no folder can have this name."""

Boxes = Mapping[str, Sequence[tuple[int, Box]]]
"""The stored faces (id, box) of each content."""

_BOX = (imported_faces.c.x1, imported_faces.c.y1, imported_faces.c.x2, imported_faces.c.y2)
_PERIOD = (imported_faces.c.era, imported_faces.c.from_year, imported_faces.c.to_year)


def imported_people(tx: Connection, *, to_find: bool = False) -> list[ImportedPerson]:
    """
    Return every imported set with its current identity.

    ``to_find``: read only the data needed to match its faces to stored ones, which is half the work. The paths of
    known contents are left out.
    """
    faces: dict[str, list[SortedFace]] = {}
    rows: Any = tx.execute(
        select(
            imported_faces.c.person_id,
            imported_faces.c.sha256,
            case((imported_faces.c.sha256.is_(None), imported_faces.c.places)) if to_find else imported_faces.c.places,
            *_BOX,
            *_PERIOD,
        ).order_by(imported_faces.c.person_id, imported_faces.c.face_key)
    )
    for person, sha256, places, x1, y1, x2, y2, era, first, last in rows:
        box = None if x1 is None else Box(x1, y1, x2, y2)
        period = None if era is None else Period(era, first, last)
        faces.setdefault(person, []).append(SortedFace(sha256, tuple(places or ()), box, period))
    known = tx.execute(
        select(people.c.person_id, people.c.identity)
        .where(people.c.source == IMPORTED, people.c.identity.is_not(None))
        .order_by(people.c.person_id)
    )
    return [ImportedPerson(row.person_id, row.identity, tuple(faces.get(row.person_id, ()))) for row in known]


def add_import_assertions(
    tx: Connection, boxes: Boxes, asserted: dict[PersonKey, set[int]], names: dict[PersonKey, str]
) -> None:
    """Add the imported assertions (which stored face is of which person) to those of the sources."""
    imported = imported_people(tx, to_find=True)
    if not imported:
        return
    resolver = resolver_of(tx, boxes, [face for person in imported for face in person.faces])
    for person in imported:
        found = {number for face in person.faces if (number := resolver.face_of(face)) is not None}
        if found:
            asserted[IMPORTED, person.person_id] = found
            names[IMPORTED, person.person_id] = ""


def resolver_of(tx: Connection, boxes: Boxes, faces: Sequence[SortedFace]) -> Resolver:
    """
    Return a resolver from these faces to stored ones.

    The locations of stored pictures are read only when some of the faces are known by path alone.
    """
    return Resolver(boxes, () if all(face.sha256 is not None for face in faces) else _places(tx))


def _places(tx: Connection) -> list[tuple[str, str]]:
    """Return the path of each stored content: below its root for a folder, else as the source gives it."""
    rows: Any = tx.execute(
        select(assets.c.path, assets.c.content, sources.c.kind, sources.c.root)
        .join(sources, sources.c.name == assets.c.source)
        .where(assets.c.is_gone.is_(False), assets.c.content.is_not(None))
    )
    places = []
    for path, sha256, kind, root in rows:
        places.append((path, sha256))
        if kind == FOLDER and root is not None:
            places.append((f"{root}/{path}", sha256))
    return places


def imported_eras(tx: Connection) -> dict[int, list[KeptEra]]:
    """Return the imported eras of each identity. A face is in one only while it is in the identity."""
    if not tx.scalar(select(exists().where(imported_faces.c.era.is_not(None)))):
        return {}
    boxes: dict[str, list[tuple[int, Box]]] = {}
    member_of: dict[int, int] = {}
    for row in tx.execute(
        select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2, memberships.c.identity)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .order_by(faces.c.face_id)
    ):
        boxes.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
        member_of[row.face_id] = row.identity
    found: dict[int, list[KeptEra]] = {}
    for person in imported_people(tx, to_find=True):
        sorted_faces = [face for face in person.faces if face.period is not None]
        resolver = resolver_of(tx, boxes, sorted_faces)
        eras: dict[str, KeptEra] = {}
        for face in sorted_faces:
            ours = resolver.face_of(face)
            if ours is None or face.period is None or member_of[ours] != person.identity:
                continue
            period = face.period
            before = eras[period.name].founders if period.name in eras else frozenset[int]()
            eras[period.name] = imported_era(period.name, period.first, period.last, before | {ours})
        if eras:
            found.setdefault(person.identity, []).extend(eras.values())
    return found
