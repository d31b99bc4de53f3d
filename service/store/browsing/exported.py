"""The directories of the export folder as the database knows them, and the ledger of what was written and removed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from immich_facesets.exports.fsz import FSZ
from service.store.browsing.slices import Page, Slice, cut_page
from service.store.chunks import chunks
from service.store.tables import crops, export_ledger, exports, faces, memberships

_of_identity = exports.c.entry["identity"].as_integer()
_of_profile = func.coalesce(exports.c.entry["profile"].as_string(), FSZ.name)


@dataclass(frozen=True, slots=True)
class ExportedDirectory:
    """One directory. ``entry``: that of the top manifest; ``digest``: of all its files are made of."""

    directory: str
    digest: str
    entry: dict[str, Any]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One directory that was written or removed."""

    id: int
    directory: str
    identity: int | None
    profile: str
    action: str
    faces: int
    made_by: str
    made_at: datetime


def directory_page(tx: Connection, after: str, limit: int, identity: int | None) -> list[ExportedDirectory]:
    """Return the directories behind a name, in the order of their names, and one more than the limit."""
    statement = select(exports).where(exports.c.directory > after).order_by(exports.c.directory).limit(limit + 1)
    if identity is not None:
        statement = statement.where(_of_identity == identity)
    return [_directory(row) for row in tx.execute(statement)]


def one_directory(tx: Connection, directory: str) -> ExportedDirectory | None:
    """Return one directory; None when the database knows none of this name."""
    row = tx.execute(select(exports).where(exports.c.directory == directory)).one_or_none()
    return None if row is None else _directory(row)


def directories_of(tx: Connection, numbers: Collection[int]) -> dict[int, list[ExportedDirectory]]:
    """Return the directories of each of these identities, in the order of their names; without any, it is missing."""
    found: dict[int, list[ExportedDirectory]] = {}
    for some in chunks(numbers):
        for row in tx.execute(select(exports).where(_of_identity.in_(some)).order_by(exports.c.directory)):
            found.setdefault(row.entry["identity"], []).append(_directory(row))
    return found


def directories_of_everybody(tx: Connection) -> list[ExportedDirectory]:
    """Return the directories of no single identity, such as one of a whole library, in the order of their names."""
    statement = select(exports).where(_of_identity.is_(None)).order_by(exports.c.directory)
    return [_directory(row) for row in tx.execute(statement)]


def members_in_pictures(tx: Connection, identity: int, sha256s: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """Return the faces of an identity in these pictures, by picture: ids with the digests of their crops, "" without one."""
    found: dict[str, list[tuple[int, str]]] = {}
    for some in chunks(sorted(set(sha256s))):
        rows: Any = tx.execute(
            select(faces.c.sha256, faces.c.face_id, crops.c.file)
            .join(memberships, memberships.c.face_id == faces.c.face_id)
            .outerjoin(crops, crops.c.face_id == faces.c.face_id)
            .where(memberships.c.identity == identity, faces.c.sha256.in_(some))
            .order_by(faces.c.face_id)
        )
        for sha256, face_id, file in rows:
            found.setdefault(sha256, []).append((face_id, "" if file is None else file.rsplit(".", 2)[1]))
    return found


def counts_by_profile(tx: Connection) -> dict[str, int]:
    """Return how many directories there are of each profile; without any, it is missing."""
    rows: Any = tx.execute(select(_of_profile, func.count()).group_by(_of_profile))
    return {profile: int(count) for profile, count in sorted(rows)}


def exported_numbers(tx: Connection, profile: str = "") -> set[int]:
    """Return the identities with a face set in the export folder, or with a directory of this profile."""
    is_wanted = _of_profile == profile if profile else ~exports.c.directory.startswith("_", autoescape=True)
    return {number for number in tx.scalars(select(_of_identity).where(is_wanted)) if number is not None}


def ledger_page(tx: Connection, part: Slice, identity: int | None) -> Page[LedgerEntry]:
    """Return what was written and removed, the latest first."""
    statement = select(export_ledger).order_by(export_ledger.c.entry_id.desc()).limit(part.limit + 1)
    if part.after is not None:
        statement = statement.where(export_ledger.c.entry_id < part.after[1])
    if identity is not None:
        statement = statement.where(export_ledger.c.identity == identity)
    found = [LedgerEntry(*row) for row in tx.execute(statement)]
    return cut_page(found, lambda one: (0.0, one.id), part)


def _directory(row: Any) -> ExportedDirectory:
    return ExportedDirectory(row.directory, row.digest, row.entry, row.written_at)
