"""Import of another tool's work: the data read before planning, and the write as one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from immich_facesets.faces import Box
from immich_facesets.imports.plan import ExistingIdentities, ImportOutcome, ImportPlan
from immich_facesets.imports.sorted_faces import SortedSet
from service.store.identities import all_memberships, labels
from service.store.imported_faces import IMPORTED, Boxes, imported_people, resolver_of
from service.store.named_values import forget_scope
from service.store.spaces import active_space
from service.store.tables import faces, identities, imported_faces, people


@dataclass(frozen=True, slots=True)
class Survey:
    """
    The state of the store relative to the sets about to be imported.

    ``found``: by number, how many of the set's faces match stored ones.
    """

    existing: ExistingIdentities
    found: Mapping[int, int]


def survey(tx: Connection, sets: Sequence[SortedSet]) -> Survey:
    """Return all the data that an import is planned from."""
    members = all_memberships(tx)
    resolver = resolver_of(tx, _boxes(tx, active_space(tx)), [face for one in sets for face in one.faces])
    holder: dict[int, int] = {}
    found: dict[int, int] = {}
    for one in sets:
        ours = {number for face in one.faces if (number := resolver.face_of(face)) is not None}
        found[one.number] = len(ours)
        held = Counter(members[number] for number in ours if number in members).most_common(1)
        if held and held[0][1] * 2 > len(ours):
            holder[one.number] = held[0][0]
    return Survey(
        ExistingIdentities(
            numbers=frozenset(tx.scalars(select(identities.c.number))),
            labelled=frozenset(labels(tx)),
            imported=tuple(imported_people(tx)),
            holder=holder,
        ),
        found,
    )


def record_import(tx: Connection, plan: ImportPlan, now: datetime) -> None:
    """Write an import. The next sync examines all faces again."""
    for one in plan.sets:
        if one.outcome is ImportOutcome.NEW:
            tx.execute(insert(identities).values(number=one.identity, origin="asserted", created_at=now))
        if one.label is not None:
            tx.execute(update(identities).where(identities.c.number == one.identity).values(label=one.label))
        if one.outcome is not ImportOutcome.KNOWN:
            person = {"source": IMPORTED, "person_id": one.person_id, "name": "", "is_hidden": False}
            tx.execute(insert(people).values(**person, identity=one.identity))
        rows = [
            {
                "person_id": one.person_id,
                "face_key": face.key,
                "sha256": face.sha256,
                "places": list(face.places),
                **_corners(face.box),
                "era": None if face.period is None else face.period.name,
                "from_year": None if face.period is None else face.period.first,
                "to_year": None if face.period is None else face.period.last,
            }
            for face in one.faces
        ]
        if rows:
            tx.execute(insert(imported_faces), rows)
    if not plan.is_empty:
        forget_scope(tx)


def _boxes(tx: Connection, space: str | None) -> Boxes:
    found: dict[str, list[tuple[int, Box]]] = {}
    columns = (faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
    for row in tx.execute(select(*columns).where(faces.c.space == space).order_by(faces.c.face_id)):
        found.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    return found


def _corners(box: Box | None) -> dict[str, Any]:
    corners = (None,) * 4 if box is None else (box.x1, box.y1, box.x2, box.y2)
    return dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))
