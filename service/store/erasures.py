"""The rest of erasures: what forgotten people left outside of the tables, in crops, exports and the database's files."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from service.store.chunks import chunks
from service.store.exports import record_removal
from service.store.forgotten import forgotten_numbers
from service.store.ledger import ERASED, scrub_ledger, write_ledger
from service.store.named_values import forget_directories_to_erase
from service.store.tables import crops, cuts, erased_pictures, erasures, exports, faces


@dataclass(frozen=True, slots=True)
class OpenErasures:
    """
    The erasures that are not ended, by decision; ``numbers``: of all people who were ever forgotten.

    ``has_pictures``: whether files of crops are left.
    """

    decisions: tuple[int, ...]
    numbers: frozenset[int]
    has_pictures: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to erase."""
        return not self.decisions and not self.has_pictures


def open_erasures(tx: Connection) -> OpenErasures:
    """Return what is not ended yet."""
    rows = tx.scalars(
        select(erasures.c.decision_id).where(erasures.c.ended_at.is_(None)).order_by(erasures.c.decision_id)
    )
    has_pictures = tx.scalar(select(erased_pictures.c.sha256).limit(1)) is not None
    return OpenErasures(tuple(rows), forgotten_numbers(tx), has_pictures)


def pictures_to_erase(tx: Connection, after: str = "", limit: int = 500) -> list[str]:
    """Return the next contents whose files are to be looked through, in their order."""
    rows = select(erased_pictures.c.sha256).where(erased_pictures.c.sha256 > after)
    return list(tx.scalars(rows.order_by(erased_pictures.c.sha256).limit(limit)))


def files_needed(tx: Connection, sha256s: Collection[str]) -> dict[str, set[str]]:
    """Return the files that faces in these contents need, by content."""
    found: dict[str, set[str]] = {sha256: set() for sha256 in sha256s}
    for table in (crops, cuts):
        for some in chunks(sorted(found)):
            rows = tx.execute(
                select(faces.c.sha256, table.c.file)
                .join(table, table.c.face_id == faces.c.face_id)
                .where(faces.c.sha256.in_(some))
            )
            for row in rows:
                found[row.sha256].add(row.file)
    return found


def record_erased_pictures(tx: Connection, sha256s: Collection[str]) -> None:
    """Record that no file of these contents has a forgotten face any more: a commit point of an erasure."""
    for some in chunks(sorted(sha256s)):
        tx.execute(delete(erased_pictures).where(erased_pictures.c.sha256.in_(some)))


def directories_to_erase(tx: Connection) -> dict[str, bool]:
    """
    Return the written directories that may have forgotten people, and whether each is of such a person alone.

    Those of everybody count where they were written before the last of these people was forgotten.
    """
    since = tx.scalar(
        select(erasures.c.begun_at).where(erasures.c.ended_at.is_(None)).order_by(erasures.c.begun_at.desc()).limit(1)
    )
    numbers = open_erasures(tx).numbers
    found: dict[str, bool] = {}
    for row in tx.execute(select(exports).order_by(exports.c.directory)):
        identity = (row.entry or {}).get("identity")
        if identity in numbers or (identity is None and since is not None and row.written_at <= since):
            found[row.directory] = identity in numbers
    return found


def recorded_directories(tx: Connection) -> frozenset[str]:
    """Return the directories that the database knows."""
    return frozenset(tx.scalars(select(exports.c.directory)))


def record_erased_directory(tx: Connection, directory: str, *, is_own: bool, made_by: str, now: datetime) -> None:
    """Record that a directory was removed: a commit point of an erasure. ``is_own``: it was of a forgotten person alone."""
    if not is_own:
        record_removal(tx, directory, made_by=made_by, now=now)
        return
    entry = {"profile": "", **(tx.scalar(select(exports.c.entry).where(exports.c.directory == directory)) or {})}
    tx.execute(delete(exports).where(exports.c.directory == directory))
    write_ledger(tx, ERASED, action="removed", entry=entry | {"faces": 0}, identity=None, made_by=made_by, now=now)


def record_erased_folder(tx: Connection) -> None:
    """Record that the export folder has nothing of forgotten people any more: a commit point of an erasure."""
    scrub_ledger(tx, forgotten_numbers(tx))
    forget_directories_to_erase(tx)


def end_erasures(tx: Connection, decision_ids: Sequence[int], now: datetime) -> None:
    """Record that nothing is left of what these decisions erased: the last commit point of an erasure."""
    for some in chunks(decision_ids):
        tx.execute(update(erasures).where(erasures.c.decision_id.in_(some)).values(ended_at=now))
