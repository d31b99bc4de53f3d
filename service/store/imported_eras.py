"""The eras that came with imported face sets, as far as their faces are known here."""

from sqlalchemy import Connection, exists, select

from immich_facesets.eras import KeptEra, imported_era
from immich_facesets.faces import Box
from service.store.imported_faces import imported_people, resolver_of
from service.store.tables import faces, imported_faces, memberships


def imported_eras(tx: Connection) -> dict[int, list[KeptEra]]:
    """The imported eras of each identity. A face is in one only while it is in the identity."""
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
