"""Eras as publish reads and writes them: the faces in each, and the basis of their last computation."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Table, and_, case, delete, select, update

from immich_facesets.eras import KeptEra, take_over
from immich_facesets.moderation.era_pins import EraPin
from service.store.chunks import chunks, delete_others
from service.store.era_pins import pins_now
from service.store.forgotten import faces_there
from service.store.imported_faces import imported_eras
from service.store.tables import era_faces, era_looks, eras, faces, memberships
from service.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class EraVersion:
    """The basis of computed eras: the method (by years, or by which ages), and a digest of inputs and results."""

    basis: str
    digest: str


@dataclass(frozen=True, slots=True)
class StoredEras:
    """
    The eras of one identity, by name, and the basis of their computation; None before the first one.

    ``pins``: the faces that decisions hold in an era, by id. They count for more than the eras, which follow them.
    """

    eras: tuple[KeptEra, ...] = ()
    version: EraVersion | None = None
    pins: Mapping[int, EraPin] = field(default_factory=dict)


def stored_eras(tx: Connection, identity: int | None = None) -> dict[int, StoredEras]:
    """
    Return every identity that has eras or was examined, or one. A face is in an era only while it is in the identity.

    Imported eras are included before they are first written, so that the next computation keeps them. So are decisions
    about faces that are not in the era yet.
    """
    found = written_eras(tx, identity)
    for number, brought in imported_eras(tx).items():
        if identity in {None, number}:
            before = found.get(number, StoredEras())
            found[number] = replace(before, eras=take_over(before.eras, brought))
    for number, pins in pins_now(tx, identity).items():
        found[number] = replace(found.get(number, StoredEras()), pins=pins)
    return dict(sorted(found.items()))


def written_eras(tx: Connection, identity: int | None = None, *, away_in: str | None = None) -> dict[int, StoredEras]:
    """
    Return the eras as they were written, without what will be taken over from imports and decisions.

    ``away_in``: the space in use, for its faces that are away from the identity too, where they were.
    """
    founders: dict[tuple[int, str], set[int]] = {}
    joined: dict[tuple[int, str], dict[int, float | None]] = {}
    rows = _members() if away_in is None else select(era_faces).join(faces).where(faces.c.space == away_in)
    for row in tx.execute(rows.where(*_only(era_faces, identity)).order_by(era_faces.c.face_id)):
        if row.is_founder:
            founders.setdefault((row.identity, row.name), set()).add(row.face_id)
        else:
            joined.setdefault((row.identity, row.name), {})[row.face_id] = row.confidence
    found: dict[int, list[KeptEra]] = {}
    for row in tx.execute(select(eras).where(*_only(eras, identity)).order_by(eras.c.identity, eras.c.name)):
        key = (row.identity, row.name)
        era = KeptEra(
            row.name, row.from_year, row.main_year, row.to_year, frozenset(founders.get(key, ())), joined.get(key, {})
        )
        found.setdefault(row.identity, []).append(era)
    looked = tx.execute(select(era_looks).where(*_only(era_looks, identity)))
    looks = {row.identity: EraVersion(row.basis, row.digest) for row in looked}
    return {
        number: StoredEras(tuple(found.get(number, ())), looks.get(number)) for number in sorted(found.keys() | looks)
    }


def _only(table: Table, identity: int | None) -> list[Any]:
    return [] if identity is None else [table.c.identity == identity]


def record_eras(
    tx: Connection,
    identity: int,
    wanted: Sequence[KeptEra],
    *,
    leaves: Collection[int],
    before: EraVersion | None,
    version: EraVersion,
    now: datetime,
    moved: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """
    Write the eras of one identity: the commit point of eras. ``leaves``: faces that are no longer in any of them.

    ``moved``: old names to the name that their faces are under now. Faces that are away from the identity follow, too.

    An optimistic lock: returns False and writes nothing if the eras were changed since ``before`` was read, or the
    person was forgotten.
    """
    here = tx.execute(select(era_looks).where(era_looks.c.identity == identity)).one_or_none()
    if (None if here is None else EraVersion(here.basis, here.digest)) != before:
        return False
    return write_eras(tx, identity, wanted, leaves=leaves, version=version, now=now, moved=moved)


def write_eras(
    tx: Connection,
    identity: int,
    wanted: Sequence[KeptEra],
    *,
    leaves: Collection[int],
    version: EraVersion,
    now: datetime,
    moved: Mapping[str, str],
) -> bool:
    """Write the eras of one identity as a part of a larger transaction; False where all of their faces were erased."""
    rows = [row for era in wanted for row in _rows(identity, era)]
    there = faces_there(tx, [row["face_id"] for row in rows])
    if rows and not there:
        return False
    for some in chunks(sorted(leaves)):
        tx.execute(delete(era_faces).where(era_faces.c.identity == identity, era_faces.c.face_id.in_(some)))
    _write_eras(tx, identity, wanted, version.basis.partition(":")[0], now)
    for filled in chunks(sorted(moved)):
        mine = (era_faces.c.identity == identity, era_faces.c.name.in_(filled))
        names = case({old: moved[old] for old in filled}, value=era_faces.c.name)
        tx.execute(update(era_faces).where(*mine).values(name=names))
    delete_others(tx, eras.c.name, [era.name for era in wanted], eras.c.identity == identity)
    upsert(tx, era_faces, [row for row in rows if row["face_id"] in there])
    upsert(tx, era_looks, [{"identity": identity, "basis": version.basis, "digest": version.digest}])
    return True


def _write_eras(tx: Connection, identity: int, wanted: Sequence[KeptEra], kind: str, now: datetime) -> None:
    """Write the eras of an identity without their faces; one that is there stays as old as it is."""
    upsert(
        tx,
        eras,
        [
            {
                "identity": identity,
                "name": era.name,
                "kind": kind,
                "from_year": era.from_year,
                "main_year": era.main_year,
                "to_year": era.to_year,
                "made_at": now,
            }
            for era in wanted
        ],
        keep=["made_at"],
    )


def carry_eras(tx: Connection, same: Mapping[int, int]) -> None:
    """Copy eras to the matching faces of another space. ``same``: the old face of each new one."""
    rows: dict[int, list[Any]] = {}
    for row in tx.execute(_members()):
        rows.setdefault(row.face_id, []).append(row)
    upsert(
        tx,
        era_faces,
        [
            {
                "face_id": new,
                "identity": row.identity,
                "name": row.name,
                "is_founder": row.is_founder,
                "confidence": row.confidence,
            }
            for new, old in same.items()
            for row in rows.get(old, ())
        ],
    )


def _members() -> Any:
    is_member = and_(memberships.c.face_id == era_faces.c.face_id, memberships.c.identity == era_faces.c.identity)
    return select(era_faces).join(memberships, is_member)


def _rows(identity: int, era: KeptEra) -> list[dict[str, Any]]:
    shared = {"identity": identity, "name": era.name}
    rows: list[dict[str, Any]] = [
        {"face_id": face, **shared, "is_founder": True, "confidence": None} for face in sorted(era.founders)
    ]
    return rows + [
        {"face_id": face, **shared, "is_founder": False, "confidence": sure}
        for face, sure in sorted(era.joined.items())
    ]
