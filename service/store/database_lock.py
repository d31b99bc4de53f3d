"""The lock on a database: one service at a time, also from another data folder or another machine."""

from contextlib import suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import PRIVATE_FILE
from service.store.database_errors import database_error

_KEY = 0x0FACE5E7
"""The first half of the advisory lock's key; the second is the schema, which may be one of several in a database."""

_LOCK = text("SELECT pg_try_advisory_lock(:key, hashtext(current_schema()))").bindparams(key=_KEY)
_KEEP_ALIVE = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")
"""The server notices within a minute that the machine of this session is gone, and frees the lock."""


class DatabaseLock:
    """
    An exclusive lock on a database; a second service gets a ``SetupError``.

    On PostgreSQL a session of its own holds it, outside of the pool, so that the recycling of connections does not free
    it. ``ensure`` takes it again after an outage of the server. On SQLite it is a file beside the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._session: Connection | None = None
        self._sessions: Engine | None = None
        self._file: FileLock | None = None
        database = engine.url.database
        if engine.dialect.name == "postgresql":
            self._sessions = create_engine(
                engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
            )
        elif database and database != ":memory:":
            self._file = FileLock(Path(f"{database}.lock"), mode=PRIVATE_FILE)

    def __enter__(self) -> Self:
        if self._file is not None:
            try:
                self._file.acquire(timeout=0)
            except Timeout as error:
                raise _taken() from error
            except OSError as error:
                raise SetupError(
                    f"the database cannot be locked ({error.strerror}): make the folder of FACESETS_DATABASE_URL "
                    "writable for this user"
                ) from error
        self.ensure()
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave()
        if self._sessions is not None:
            self._sessions.dispose()
        if self._file is not None:
            self._file.release()

    def ensure(self) -> None:
        """Check that the lock is held, and take it again where the server ended the session."""
        if self._sessions is None:
            return
        try:
            if self._session is not None and self._is_alive(self._session):
                return
            self._leave()
            self._session = self._sessions.connect()
            for setting in _KEEP_ALIVE:
                self._session.execute(text(f"SET {setting}"))
            is_ours = bool(self._session.scalar(_LOCK))
        except SQLAlchemyError as error:
            self._leave()
            raise database_error(error) from error
        if not is_ours:
            self._leave()
            raise _taken()

    @staticmethod
    def _is_alive(session: Connection) -> bool:
        try:
            session.execute(text("SELECT 1"))
        except DBAPIError:
            return False
        return True

    def _leave(self) -> None:
        """End the session, and the lock with it."""
        if self._session is not None:
            with suppress(SQLAlchemyError):
                self._session.invalidate()
                self._session.close()
            self._session = None


def _taken() -> SetupError:
    return SetupError(
        "another immich-facesets is working on this database: stop it first, or give this one a database of its own "
        "with FACESETS_DATABASE_URL"
    )
