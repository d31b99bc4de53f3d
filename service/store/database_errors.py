"""Failures of a database as our errors, without statements or parameters."""

import re
import sqlite3
from typing import Final

from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError, SQLAlchemyError

from immich_facesets.errors import SetupError, TransientError


class DatabaseAwayError(TransientError):
    """The database does not answer, or is locked: no source is at fault."""


_SQLITE_ADVICE = {
    ("SQLITE_FULL",): "the disk with the data folder is full: free some space, then start again; nothing is lost",
    ("SQLITE_READONLY", "SQLITE_PERM"): "the database cannot be written: make FACESETS_DATA_DIR writable for this user",
    ("SQLITE_CANTOPEN",): "the database files cannot be opened or made: make the folder of FACESETS_DATA_DIR, or of "
    "FACESETS_DATABASE_URL where that is set, writable for this user, and free some space if its disk is full",
    (
        "SQLITE_CORRUPT",
        "SQLITE_NOTADB",
    ): "the database file is damaged or no database: restore it from a backup, or move it away to start anew",
    ("SQLITE_IOERR",): "the disk with the data folder fails to read or write: check the disk, free some space if it is "
    "full, then start again",
}


_ABSENT_ON_SQLITE: Final = re.compile(r"no such (table|column): (\S+)")
_ABSENT_ON_POSTGRESQL: Final = {"42P01": "table", "42703": "column"}
"""The codes of PostgreSQL for names that the database does not have (Appendix A of its manual)."""
_NO_RIGHT_ON_POSTGRESQL: Final = "42501"


def database_error(error: SQLAlchemyError) -> SetupError | TransientError:
    """Return the error to show the operator for a database failure, without statements or parameters."""
    original = error.orig if isinstance(error, DatabaseError) else None
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "") or ""
        for beginnings, advice in _SQLITE_ADVICE.items():
            if name.startswith(beginnings):
                return SetupError(advice)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
            return DatabaseAwayError("the database is locked by another program")
        if absent := _ABSENT_ON_SQLITE.match(str(original)):
            return _incomplete(f"{absent[1]} {absent[2]}")
        raise error  # a file has no server that may be away: the statement itself is at fault
    if (mistake := _mistake_on_postgresql(getattr(original, "sqlstate", None) or "")) is not None:
        return mistake
    if isinstance(error, ProgrammingError) and error.statement is None:  # raised before any statement: by the address
        return SetupError("FACESETS_DATABASE_URL has options that the database driver does not know: remove them")
    if isinstance(error, OperationalError):
        return DatabaseAwayError("the database does not answer: check FACESETS_DATABASE_URL and the database server")
    raise error


def _mistake_on_postgresql(code: str) -> SetupError | None:
    if (kind := _ABSENT_ON_POSTGRESQL.get(code)) is not None:
        return _incomplete(f"{kind} of this version")
    if code == _NO_RIGHT_ON_POSTGRESQL:
        return SetupError(
            "the user of the database lacks a right: it must own the tables, and the pages of single users need GRANT "
            "TEMPORARY ON DATABASE"
        )
    return None


def _incomplete(what: str) -> SetupError:
    return SetupError(
        f"the database is not complete, as it has no {what}: another program changed it, or a backup was restored in "
        "part. Restore it from a whole backup"
    )
