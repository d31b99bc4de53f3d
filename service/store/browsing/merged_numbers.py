"""The number that a merged one leads to, for a user who saw faces of both."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from immich_facesets.moderation.active_decisions import undone_ids
from immich_facesets.moderation.decisions import FaceRef, Merge, Part, from_text
from service.store.browsing.identity_details import survivor
from service.store.browsing.standing import faces_at
from service.store.decisions import TEXT
from service.store.spaces import active_space
from service.store.tables import decisions, memberships


def seen_survivor(tx: Connection, number: int) -> int | None:
    """
    Return ``survivor`` where each number on the way to it has faces of its own among those that are seen; None otherwise.

    So nobody is told of a merge with a person of whom they had no picture. A merged number has the faces that the merge
    took from it, without those of earlier merges. The survivor has those that no merge brought.
    """
    found = survivor(tx, number)
    if found is None or found == number:
        return found
    merges, space = _merges(tx), active_space(tx) or ""
    taken = {part.number: (merge.into, part) for merge in merges for part in merge.parts}

    def brought_to(target: int) -> set[int]:
        parts = [part for merge in merges if merge.into == target for part in merge.parts]
        return _seen(tx, parts, space)

    at = number
    while at != found:
        into, part = taken.pop(at, (None, Part(at)))
        if into is None or not _seen(tx, [part], space) - brought_to(at):
            return None
        at = into
    members = set(tx.scalars(select(memberships.c.face_id).where(memberships.c.identity == found)))
    return found if members - brought_to(found) else None


def _merges(tx: Connection) -> list[Merge]:
    """Return the merges that are in effect, oldest first."""
    rows = tx.execute(
        select(decisions.c.decision_id, TEXT)
        .where(decisions.c.kind.in_(("merge", "undo", "forget")))
        .order_by(decisions.c.decision_id)
    )
    made = {row.decision_id: from_text(row.text) for row in rows}
    undone = undone_ids(made)
    return [one for number, one in made.items() if isinstance(one, Merge) and number not in undone]


def _seen(tx: Connection, parts: Iterable[Part], space: str) -> set[int]:
    """Return the faces of these parts that are seen."""
    refs: dict[int, FaceRef] = dict(enumerate(ref for part in parts for ref in part.faces))
    return set(faces_at(tx, refs, space).values())
