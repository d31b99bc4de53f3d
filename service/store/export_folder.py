"""The export folder as the database knows it: whether it was there once, and whether any of it can be ours."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, Table, cast, exists, or_, select

from service.store.named_values import read_value, write_value
from service.store.tables import export_ledger, exports, identities, imported_faces
from service.store.upsert import BOOKKEEPING

FOLDER_PROFILE = "fsz"
"""The profile of the entries that name none: the face sets themselves."""

_SEEN = "export_folder_seen"


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Whose exports must not be there: ``identities`` in any form, ``profiles`` as pairs of identity and profile."""

    identities: frozenset[int]
    profiles: frozenset[tuple[int, str]]

    def concerns(self, identity: int | None, profile: str) -> bool:
        """Return whether a directory must not be there; one of everybody (None) may have faces of each."""
        if identity is None:
            return bool(self.identities) or any(name == profile for _, name in self.profiles)
        return identity in self.identities or (identity, profile) in self.profiles

    def of(self, numbers: Collection[int]) -> "Unwanted":
        """Return the same for these identities alone."""
        wanted = {*numbers}
        return Unwanted(self.identities & wanted, frozenset(one for one in self.profiles if one[0] in wanted))

    def since(self, before: "Unwanted") -> "Unwanted":
        """Return what came in addition."""
        return Unwanted(self.identities - before.identities, self.profiles - before.profiles)


def is_first_export(tx: Connection) -> bool:
    """Return whether no export folder was ever open with this database, and nothing was ever written to one."""
    return not read_value(tx, _SEEN) and not _has_rows(tx, exports) and not _has_rows(tx, export_ledger)


def record_export_folder(tx: Connection) -> None:
    """Record that the export folder was there: from now on a missing one is not made anew."""
    write_value(tx, _SEEN, True, options=BOOKKEEPING)


def knows_people(tx: Connection) -> bool:
    """Return whether there is any person here, from a sync or an import."""
    return _has_rows(tx, identities) or _has_rows(tx, imported_faces)


def barred_identities(tx: Connection) -> frozenset[int]:
    """Return the identities that must not be exported, and those that were merged into them."""
    is_barred = or_(identities.c.never_export.is_(True), identities.c.is_stranger.is_(True))
    barred = set(tx.scalars(select(identities.c.number).where(is_barred)))
    return frozenset(barred | {number for number, into in _merged(tx) if into in barred})


def switched_off(tx: Connection) -> frozenset[tuple[int, str]]:
    """Return the pairs of identity and profile that are not written; numbers merged into an identity share its own."""
    has_any = cast(identities.c.profiles_off, String) != "[]"
    rows = tx.execute(select(identities.c.number, identities.c.profiles_off).where(has_any))
    off = {row.number: row.profiles_off for row in rows}
    off |= {number: off[into] for number, into in _merged(tx) if into in off}
    return frozenset((number, profile) for number, profiles in off.items() for profile in profiles)


def _merged(tx: Connection) -> list[tuple[int, int]]:
    """Return each number that was merged, with the one that it leads to."""
    rows = tx.execute(
        select(identities.c.number, identities.c.merged_into).where(identities.c.merged_into.is_not(None))
    )
    return [(row.number, row.merged_into) for row in rows]


def unwanted_now(tx: Connection) -> Unwanted:
    """Return whose exports must not be there, as decisions say now."""
    return Unwanted(barred_identities(tx), switched_off(tx))


def barred_directories(tx: Connection, numbers: Collection[int]) -> list[str]:
    """
    Return the written directories that may have faces of these identities and must not be there.

    Directories of everybody are among them: all of them where an identity must not be exported, else those of profiles
    that are switched off for one.
    """
    unwanted = unwanted_now(tx).of(numbers)
    return [row.directory for row in _written(tx) if unwanted.concerns(*_about(row))]


def numbers_of(tx: Connection, numbers: Collection[int]) -> frozenset[int]:
    """Return these identities, and those that were merged into them."""
    return frozenset({*numbers, *(number for number, into in _merged(tx) if into in numbers)})


def directories_of(tx: Connection, numbers: Collection[int]) -> frozenset[str]:
    """Return the written directories of these identities alone."""
    return frozenset(row.directory for row in _written(tx) if _about(row)[0] in numbers)


def directories_of_barred(tx: Connection) -> list[str]:
    """Return the written directories of single identities that must not be there, as decisions say now."""
    unwanted = unwanted_now(tx)
    return [row.directory for row in _written(tx) if _about(row)[0] is not None and unwanted.concerns(*_about(row))]


def _written(tx: Connection) -> Sequence[Any]:
    return tx.execute(select(exports.c.directory, exports.c.entry).order_by(exports.c.directory)).all()


def _about(row: Any) -> tuple[int | None, str]:
    """Return the identity, None for everybody, and the profile of a written directory."""
    entry = row.entry or {}
    return entry.get("identity"), entry.get("profile", FOLDER_PROFILE)


def _has_rows(tx: Connection, table: Table) -> bool:
    return bool(tx.scalar(select(exists(select(1).select_from(table)))))
