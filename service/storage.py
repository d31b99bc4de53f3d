"""The data folder, its database and the export folder: prepared, checked and opened."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import (
    PRIVATE_FOLDER,
    SHARED_FOLDER,
    close_to_others,
    close_tree_to_others,
    make_folder,
)
from service.files.durable import discard, disk_trouble, write_durably
from service.files.export_tree import ExportTree
from service.files.folder_id import NAME as ID_NAME
from service.files.folder_id import ensure_id, read_id
from service.files.ownership import manifest_of
from service.passes.context import CROPS_FOLDER, REFERENCES_FOLDER, STAGING_FOLDER
from service.settings import LEAST_TOKEN_CHARACTERS, Settings
from service.store import export_folder
from service.store.data_folder import DataFolder, claim_data_folder, data_folder
from service.store.database import Store, age, migrate, open_engine
from service.store.database_lock import DatabaseLock

OPEN_TO_OTHERS = "other users of this machine can read it: make it yours, with mode 700"
"""Advice about a data folder whose mode could not be changed."""


def prepare_data_dir(settings: Settings) -> Path:
    """
    Return the data folder, created if necessary; it and all of ours in it are accessible by their owner only.

    ``is_open_to_others`` is still true of it where another user owns it, or the file system has no modes.
    """
    folder = settings.data_dir
    _make_folder(folder, "FACESETS_DATA_DIR", mode=PRIVATE_FOLDER)
    with disk_trouble(folder):
        probe = folder / f".probe-{secrets.token_hex(4)}"
        write_durably(probe, b"")
        probe.unlink()
    close_to_others(folder)
    for name in ("lock", "token"):
        close_to_others(folder / name)
    for name in (CROPS_FOLDER, REFERENCES_FOLDER, STAGING_FOLDER):
        close_tree_to_others(folder / name)
    return folder


def open_exports(settings: Settings, *, may_make: bool) -> ExportTree:
    """
    Return the checked export folder.

    Outside of the data folder it is made only where ``may_make``: later it may be a mount that is missing.
    """
    folder = settings.export_dir
    if may_make or is_inside(settings):
        _make_folder(folder, "FACESETS_EXPORT_DIR", mode=SHARED_FOLDER)
    tree = ExportTree(folder)
    tree.check()
    return tree


def is_inside(settings: Settings) -> bool:
    """Return whether the export folder lies in the data folder."""
    return settings.export_dir.is_relative_to(settings.data_dir)


def open_own_exports(settings: Settings, store: Store) -> ExportTree:
    """
    Return the export folder of this database, made at the first run. Blocks.

    Face sets there that a database without any person cannot have written raise a ``SetupError``.
    """
    is_first = store.read_now(export_folder.is_first_export)
    tree = open_exports(settings, may_make=is_first)
    if not is_first:
        return tree
    if not store.read_now(export_folder.knows_people) and manifest_of(settings.export_dir).get("facesets"):
        raise SetupError(
            f"{settings.export_dir} has face sets, but the data folder {settings.data_dir} knows no person: its disk may "
            "not be mounted, or its database is lost. Mount or restore it. To start anew, remove these face sets, or set "
            "another FACESETS_EXPORT_DIR"
        )
    store.write_now(export_folder.record_export_folder)
    return tree


def _make_folder(folder: Path, setting: str, *, mode: int) -> None:
    try:
        with disk_trouble(folder):
            make_folder(folder, mode=mode)
    except (FileExistsError, NotADirectoryError) as error:
        raise SetupError(f"{setting} is {folder}, and a file is in the way: move it, or set another folder") from error
    except OSError as error:
        raise SetupError(f"{setting} cannot be made ({error.strerror}): set another folder") from error


def database_url(settings: Settings) -> str:
    """Return the URL of the database: the setting, or SQLite in the data folder."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{sqlite_file(settings)}"


def sqlite_file(settings: Settings) -> Path:
    """Return the SQLite file, used when no other database is set."""
    return (settings.data_dir / "facesets.db").absolute()


@contextmanager
def open_own_store(settings: Settings, folder: Path, *, is_locked: bool = True) -> Iterator[Store]:
    """
    Open the database for writing: locked, up to date, and belonging to this data folder. Blocks.

    A database that another service uses, or that belongs to another data folder, raises a ``SetupError``. So does an
    empty one beside what an earlier one left in the data folder.
    ``is_locked`` is False for small changes beside a running service.
    """
    engine = open_engine(database_url(settings))
    with ExitStack() as stack:
        lock = None
        if is_locked and settings.database_url is not None:  # otherwise it lies in the data folder, which is locked
            lock = stack.enter_context(DatabaseLock(engine))
        store = Store(engine, lock)
        stack.callback(store.close)
        if age(engine) == "empty":
            refuse_lost_database(settings)
        if settings.database_url is not None:
            mine = DataFolder(ensure_id(folder), str(folder.absolute()), socket.gethostname())
            if age(engine) != "empty":  # before anything is written: migrations cannot be taken back
                refuse_other_folder(store.read_now(data_folder), mine.id, folder)
        migrate(engine)
        if settings.database_url is not None:
            refuse_other_folder(store.write_now(claim_data_folder, mine), mine.id, folder)
        yield store


@asynccontextmanager
async def open_reading(settings: Settings) -> AsyncIterator[Store]:
    """Open the existing store for a read-only command, also while the service runs."""
    nothing = SetupError(f"nothing was synced into {settings.data_dir} yet: run 'immich-facesets sync' first")
    if settings.database_url is None and not sqlite_file(settings).is_file():
        raise nothing
    engine = open_engine(database_url(settings), only_reads=True)
    store = Store(engine)
    try:
        match await asyncio.to_thread(age, engine):
            case "empty":
                raise nothing
            case "older":
                raise SetupError(
                    "the database is from an older version of immich-facesets: run 'immich-facesets sync' of this one, "
                    "which brings it up to date"
                )
        if settings.database_url is not None:
            refuse_other_folder(await store.read(data_folder), read_id(settings.data_dir), settings.data_dir)
        yield store
    finally:
        store.close()


def refuse_lost_database(settings: Settings) -> None:
    """Raise a ``SetupError`` when the data folder has crops or exports of a database that is not there any more."""
    for place in (settings.data_dir / CROPS_FOLDER, settings.data_dir / REFERENCES_FOLDER, settings.export_dir):
        if place.is_relative_to(settings.data_dir) and any(path.is_file() for path in place.rglob("*")):
            where = "FACESETS_DATABASE_URL" if settings.database_url is not None else str(sqlite_file(settings))
            raise SetupError(
                f"the database ({where}) is empty or missing, but {place} has files of an earlier one: restore the "
                f"database from its backup. Names, numbers and decisions are in it alone. To start anew, remove {place}"
            )


def refuse_other_folder(owner: DataFolder | None, own_id: str | None, folder: Path) -> None:
    """Raise a ``SetupError`` when a database has an owner, and it is not the data folder with this id."""
    if owner is not None and owner.id != own_id:
        raise SetupError(
            f"the database belongs to another data folder, last used as {owner.place} on {owner.host}: set "
            "FACESETS_DATA_DIR to that folder, or FACESETS_DATABASE_URL to a database for this one. If that folder is "
            f"lost, and this one takes its place, write {owner.id} into {folder / ID_NAME}: the next sync fetches what "
            "is missing"
        )


def web_token(settings: Settings) -> str:
    """
    Return the token of pages and API.

    It is the setting, or is created at the first start and kept in the data folder, readable by its owner only.
    """
    if settings.token is not None:
        return settings.token.get_secret_value()
    path = settings.data_dir / "token"
    with disk_trouble(settings.data_dir):
        if not path.is_file() or not path.stat().st_size:  # empty after a power cut
            draft = path.with_suffix(".draft")
            discard(draft)
            write_durably(draft, f"{secrets.token_urlsafe(32)}\n".encode("ascii"))
            draft.replace(path)
        token = path.read_text(encoding="utf-8", errors="replace").strip()
    if len(token) < LEAST_TOKEN_CHARACTERS:
        raise SetupError(
            f"{path} holds no token of {LEAST_TOKEN_CHARACTERS} characters: delete it, and the next start makes one"
        )
    return token
