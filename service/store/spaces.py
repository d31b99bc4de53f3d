"""
Embedding spaces in the store: the one in use, the next one, and the switch between them.

Faces, vectors and crops of several spaces are stored side by side; memberships exist for the space in use only.
While another space is being filled, display, grouping and export ignore it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, exists, func, select

from immich_facesets.calibration.thresholds import PointsInUse
from immich_facesets.errors import SetupError
from immich_facesets.faces import Box
from immich_facesets.grouping.plan import Carried, GroupingPlan
from service.store.decisions import last_id
from service.store.eras import carry_eras
from service.store.former_members import remember_left_behind, same_places
from service.store.identities import apply_grouping
from service.store.named_values import read_thresholds, read_value, write_value
from service.store.source_names import sources_in_use
from service.store.tables import assets, embeddings, faces, fingerprints, memberships, reference_vectors

SPACE_IN_USE, _COMING, _COMING_SINCE = "space", "coming_space", "coming_space_since"
LONGEST_WAIT = timedelta(days=14)
"""How long a new space waits for members' pictures that cannot be read now; the longest pause after a failure."""

_BOX = (faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)


@dataclass(frozen=True, slots=True)
class Reembedding:
    """
    The progress of another space: ``done`` of the ``total`` pictures that can be embedded in it.

    ``late``: pictures of members that cannot be read now, for which the switch waits.
    """

    space: str
    done: int
    total: int
    late: int = 0

    def __str__(self) -> str:
        late = (
            f" Pictures of known people that cannot be read now: {self.late}; the switch waits for them for at most "
            f"{LONGEST_WAIT.days} days."
            if self.late
            else ""
        )
        return (
            f"re-embedding for space {self.space}: {self.done} of {self.total} pictures; until all are done, identities "
            f"and face sets stay as they are.{late}"
        )


def active_space(tx: Connection) -> str | None:
    """Return the space whose vectors are in use, None before the first."""
    value: str | None = read_value(tx, SPACE_IN_USE)
    return value


def grouped_points(tx: Connection) -> PointsInUse:
    """Return the operating points of the space in use; ``SetupError`` before its first grouping."""
    space, used = active_space(tx), read_thresholds(tx)
    if space is None or used is None or used.space != space:
        raise SetupError("nothing was grouped yet by this version: run 'immich-facesets sync' first")
    return used


def coming_space(tx: Connection) -> str | None:
    """Return the space being filled to replace the one in use, None when there is none."""
    value: str | None = read_value(tx, _COMING)
    return value


def announce_space(tx: Connection, space: str | None, now: datetime) -> None:
    """Set the space to be filled, and used once it is complete; None: no space."""
    write_value(tx, _COMING, space)
    write_value(tx, _COMING_SINCE, None if space is None else now.isoformat())


def may_wait(tx: Connection, now: datetime) -> bool:
    """
    Return whether the space being filled may still wait for pictures that cannot be read now.

    A space that an earlier version announced has no time of its announcement, and does not wait.
    """
    since: str | None = read_value(tx, _COMING_SINCE)
    return since is not None and timedelta() <= now - datetime.fromisoformat(since) < LONGEST_WAIT


def reembedding(tx: Connection, users: Collection[str] | None) -> Reembedding | None:
    """
    Return the progress of the next space, None when there is none.

    ``users``: the names of the Immich users in the settings, None when these cannot be read.
    """
    space = coming_space(tx)
    return None if space is None else progress_of(tx, space, sources_in_use(tx, users))


def progress_of(tx: Connection, space: str, sources: Collection[str]) -> Reembedding:
    """Return the progress of this space with the pictures of these sources; those of others are never embedded."""
    there = (
        assets.c.is_wanted.is_(True),
        assets.c.is_gone.is_(False),
        assets.c.is_offline.is_(False),
        assets.c.source.in_(sources),
    )
    done = exists().where(
        fingerprints.c.fingerprint == assets.c.fingerprint,
        embeddings.c.sha256 == fingerprints.c.sha256,
        embeddings.c.space == space,
    )
    pictures = select(func.count(assets.c.fingerprint.distinct())).where(*there)
    return Reembedding(space, tx.scalar(pictures.where(done)) or 0, tx.scalar(pictures) or 0)


def carried_members(tx: Connection, before: str, after: str) -> dict[int, Carried]:
    """Return the faces of space ``after`` at the position of a member of ``before``, on the same content."""
    return {face: membership for face, (_, membership) in _same_places(tx, before, after).items()}


def _same_places(tx: Connection, before: str, after: str) -> dict[int, tuple[int, Carried]]:
    """Return the same as ``carried_members``, with the id of the old face at that position."""
    new: dict[str, list[tuple[int, Box]]] = {}
    for row in tx.execute(
        select(faces.c.face_id, faces.c.sha256, *_BOX).where(faces.c.space == after).order_by(faces.c.face_id)
    ):
        new.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    members = tx.execute(
        select(faces.c.face_id, faces.c.sha256, *_BOX, memberships.c.identity, memberships.c.how)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(faces.c.space == before)
    ).all()
    membership = {row.face_id: Carried(row.identity, row.how) for row in members}
    old = [(row.face_id, row.sha256, Box(row.x1, row.y1, row.x2, row.y2)) for row in members]
    return {face_id: (old_id, membership[old_id]) for face_id, old_id in same_places(old, new).items()}


def count_late_members(tx: Connection, before: str, after: str, sources: Collection[str]) -> int:
    """
    Return how many pictures with members in space ``before`` are not embedded in space ``after``.

    Only pictures of ``sources`` count: nobody can read those of others.
    """
    done = exists().where(embeddings.c.sha256 == faces.c.sha256, embeddings.c.space == after)
    shown = exists().where(
        assets.c.content == faces.c.sha256, assets.c.is_gone.is_(False), assets.c.source.in_(sources)
    )
    late = (
        select(func.count(faces.c.sha256.distinct()))
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(faces.c.space == before, ~done, shown)
    )
    return tx.scalar(late) or 0


def use_space(tx: Connection, space: str, plan: GroupingPlan, now: datetime, decided: int | None = None) -> bool:
    """
    Switch to another space, with all consequences, in one transaction. ``plan`` holds every member it will have.

    The faces and vectors of the previous space are kept, so that switching back is cheap; older ones are dropped. Returns
    False and changes nothing if decisions were made after that with the id ``decided``.
    """
    if decided is not None and last_id(tx) != decided:
        return False
    before = active_space(tx)
    kept = [space] if before is None else [space, before]
    if before is not None:
        old_of = {new: old for new, (old, _) in _same_places(tx, before, space).items()}
        carry_eras(tx, old_of)
        remember_left_behind(tx, before, set(old_of.values()))
    tx.execute(delete(memberships))
    tx.execute(delete(faces).where(faces.c.space.not_in(kept)))
    tx.execute(delete(embeddings).where(embeddings.c.space.not_in(kept)))
    tx.execute(delete(reference_vectors).where(reference_vectors.c.space.not_in(kept)))
    apply_grouping(tx, plan, now)
    write_value(tx, SPACE_IN_USE, space)
    write_value(tx, _COMING, None)
    return True
