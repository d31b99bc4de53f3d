"""The effect of decisions on whole identities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, or_, select

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.constraints import Constraints, constraints
from immich_facesets.moderation.decisions import FaceRef, from_text
from service.store.chunks import chunks
from service.store.decisions import TEXT
from service.store.tables import decisions, faces

_OF_FACES_ALONE = (
    "move", "confirm", "reject", "split", "keep_apart", "allow_together", "of_age", "not_a_face", "not_for_sets", "for_sets",
    "later", "erased", "reference", "eras",
)  # fmt: skip
"""Kinds of decisions, of which there are many or with many faces, that say nothing of an identity as a whole."""

_IGNORE = "ignore"  # of single faces, or of a whole identity


@dataclass(frozen=True, slots=True)
class Standing:
    """The effect of all decisions on identities, by number; ``covers``: the faces that were chosen."""

    effect: Constraints = field(default_factory=Constraints)
    covers: Mapping[int, FaceRef] = field(default_factory=dict)

    def is_locked(self, row: Any) -> bool:
        return self.effect.locks.get(row.number, bool(row.is_locked))

    def is_never_exported(self, row: Any) -> bool:
        return self.effect.hidden.get(row.number, bool(row.never_export))

    def profiles_off(self, number: int) -> tuple[str, ...]:
        """Return the export profiles that are not written for an identity."""
        return self.effect.profiles_off.get(number, ())

    @property
    def hidden(self) -> frozenset[int]:
        """The identities that lists leave out: strangers, and those that were erased."""
        return self.effect.strangers | self.effect.forgotten


def standing(tx: Connection) -> Standing:
    """Return what the decisions say of identities; of faces, chosen covers alone are kept, as places."""
    rows = tx.execute(
        select(decisions.c.decision_id, TEXT)
        .where(
            decisions.c.kind.not_in(_OF_FACES_ALONE),
            or_(decisions.c.kind != _IGNORE, decisions.c.body["identity"].as_integer().is_not(None)),
        )
        .order_by(decisions.c.decision_id)
    )
    effect = constraints([(row.decision_id, from_text(row.text)) for row in rows], lambda _: None)
    return Standing(effect, {number: ref for number, ref in effect.covers.items() if ref is not None})


def faces_at(tx: Connection, refs: Mapping[int, FaceRef], space: str) -> dict[int, int]:
    """Return the face of a space at each of these places, by the same key; places without a face are missing."""
    boxes: dict[str, list[tuple[int, Box]]] = {}
    for some in chunks(sorted({ref.sha256 for ref in refs.values()})):
        columns = select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
        rows = tx.execute(columns.where(faces.c.space == space, faces.c.sha256.in_(some)).order_by(faces.c.face_id))
        for row in rows:
            boxes.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    found = {}
    for key, ref in refs.items():
        here = ((ref.box.iou(box), -face) for face, box in boxes.get(ref.sha256, ()))
        overlap, face = max(here, default=(0.0, 0))
        if overlap >= SAME_FACE_IOU:
            found[key] = -face
    return found
