"""The faces that people sorted with other tools: as they were written, and which of ours they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from immich_facesets.earlier.plan import ImportedPerson
from immich_facesets.earlier.resolving import Resolver
from immich_facesets.earlier.sorted_faces import Period, SortedFace
from immich_facesets.faces import Box
from service.store.sources import FOLDER
from service.store.tables import assets, fingerprints, imported_faces, people, sources

IMPORTED = ""
"""The source of imported people. No user and no folder can be called so."""

Boxes = Mapping[str, Sequence[tuple[int, Box]]]
"""Our faces (id, box) of each content."""


def imported_people(tx: Connection) -> list[ImportedPerson]:
    """Every set that was imported, with its identity of today."""
    faces: dict[str, list[SortedFace]] = {}
    rows = tx.execute(select(imported_faces).order_by(imported_faces.c.person_id, imported_faces.c.face_key))
    for row in rows:
        faces.setdefault(row.person_id, []).append(_face(row))
    known = tx.execute(
        select(people.c.person_id, people.c.identity)
        .where(people.c.source == IMPORTED, people.c.identity.is_not(None))
        .order_by(people.c.person_id)
    )
    return [ImportedPerson(row.person_id, row.identity, tuple(faces.get(row.person_id, ()))) for row in known]


def hear_imports(
    tx: Connection, boxes: Boxes, said: dict[tuple[str, str], set[int]], names: dict[tuple[str, str], str]
) -> None:
    """Add what earlier tools say to what sources say: which of our faces are which person's."""
    imported = imported_people(tx)
    if not imported:
        return
    resolver = resolver_of(tx, boxes, [face for person in imported for face in person.faces])
    for person in imported:
        found = {number for face in person.faces if (number := resolver.face_of(face)) is not None}
        if found:
            said[IMPORTED, person.person_id] = found
            names[IMPORTED, person.person_id] = ""


def resolver_of(tx: Connection, boxes: Boxes, faces: Sequence[SortedFace]) -> Resolver:
    """Finds these faces among ours; where our pictures lie is read only when some of them are known by path alone."""
    return Resolver(boxes, () if all(face.sha256 is not None for face in faces) else _places(tx))


def _places(tx: Connection) -> list[tuple[str, str]]:
    """Where each of our contents lies: in a folder under its root, else as the source says."""
    rows: Any = tx.execute(
        select(assets.c.path, fingerprints.c.sha256, sources.c.kind, sources.c.root)
        .join(fingerprints, fingerprints.c.fingerprint == assets.c.fingerprint)
        .join(sources, sources.c.name == assets.c.source)
        .where(assets.c.is_gone.is_(False))
    )
    places = []
    for path, sha256, kind, root in rows:
        places.append((path, sha256))
        if kind == FOLDER and root is not None:
            places.append((f"{root}/{path}", sha256))
    return places


def _face(row: Any) -> SortedFace:
    return SortedFace(
        sha256=row.sha256,
        places=tuple(row.places),
        box=None if row.x1 is None else Box(row.x1, row.y1, row.x2, row.y2),
        period=None if row.era is None else Period(row.era, row.from_year, row.to_year),
    )
