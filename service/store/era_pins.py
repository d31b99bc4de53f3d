"""The faces that decisions hold in eras, as members of the identities of now."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, select, union

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.constraints import Constraints, constraints
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.moderation.era_pins import EraPin
from immich_facesets.moderation.undone_merges import merged_ever
from service.store.decisions import ERAS, all_decisions, whole_eras
from service.store.tables import decisions, era_faces, faces, memberships

Places = Mapping[str, Sequence[tuple[int, Box]]]
"""The faces (id, box) in each content."""


def pins_now(tx: Connection, identity: int | None = None) -> dict[int, dict[int, EraPin]]:
    """Return the faces that decisions hold in an era now, by id, of everybody or of one identity."""
    if tx.scalar(select(decisions.c.decision_id).where(decisions.c.kind == ERAS).limit(1)) is None:
        return {}
    made = dict(all_decisions(tx, with_eras=identity is None))
    if identity is not None:
        made |= whole_eras(tx, made, merged_ever(made.values(), [identity]))
    decided = constraints(made.items(), lambda _: None)
    return member_pins(tx, decided, None if identity is None else [identity])


def member_pins(
    tx: Connection, decided: Constraints, identities: Iterable[int] | None = None, *, away_in: str | None = None
) -> dict[int, dict[int, EraPin]]:
    """
    Return the faces that decisions hold in an era of the identity that they are members of; None: of everybody.

    ``away_in`` as in ``member_places``.
    """
    numbers = {decided.current(number) for number in decided.eras} if identities is None else set(identities)
    found: dict[int, dict[int, EraPin]] = {}
    for number in sorted(numbers):
        if wanted := decided.eras_of(number):
            places = member_places(tx, number, away_in=away_in)
            for ref, pin in wanted.items():
                if (face := face_at(places, ref)) is not None:
                    found.setdefault(number, {})[face] = pin
    return found


def face_at(places: Places, ref: FaceRef) -> int | None:
    """Return the face at a reference; None where there is none."""
    boxes = places.get(ref.sha256, ())
    overlap, face = max(((ref.box.iou(box), -face) for face, box in boxes), default=(0.0, 0))
    return -face if overlap >= SAME_FACE_IOU else None


def member_places(tx: Connection, number: int, *, away_in: str | None = None) -> Places:
    """Return where the faces of an identity are, by content; ``away_in``: a space, for those that are away from its eras."""
    found: dict[str, list[tuple[int, Box]]] = {}
    columns = (faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
    is_member = memberships.c.face_id == faces.c.face_id
    wanted = [select(*columns).join(memberships, is_member).where(memberships.c.identity == number)]
    if away_in is not None:
        is_here = (era_faces.c.identity == number, faces.c.space == away_in)
        wanted.append(select(*columns).join(era_faces, era_faces.c.face_id == faces.c.face_id).where(*is_here))
    for row in tx.execute(union(*wanted)):
        found.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    return found
