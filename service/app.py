"""Composition root: opens all resources, passes them on, and closes them in reverse order."""

import asyncio
import gc
import secrets
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio.lowlevel
import structlog
from pydantic import SecretStr

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import (
    PRIVATE_FOLDER,
    SHARED_FOLDER,
    close_to_others,
    close_tree_to_others,
    is_open_to_others,
    make_folder,
)
from service.embedders.child_process import EmbedderChild
from service.embedders.client import Embedder
from service.embedders.pool import EmbedderPool
from service.files.durable import discard, disk_trouble, write_durably
from service.files.export_tree import ExportTree
from service.files.folder_id import NAME as ID_NAME
from service.files.folder_id import ensure_id, read_id
from service.monitoring.metrics import Metrics
from service.passes.context import CROPS_FOLDER, STAGING_FOLDER, PassContext
from service.progress import ProgressBoard
from service.remote.transport import CountRequest
from service.settings import LEAST_TOKEN_CHARACTERS, Settings
from service.source_registry import FolderSources
from service.sources import Source
from service.sources.immich import ServerGuards, build_immich_source
from service.store.data_folder import DataFolder, claim_data_folder, data_folder
from service.store.database import DataLock, Store, age, migrate, open_engine
from service.store.database_lock import DatabaseLock
from service.store.folders import has_work
from service.sync.runner import Runner
from service.users import User, load_users

log = structlog.get_logger(__name__)

OPEN_TO_OTHERS = "other users of this machine can read it: make it yours, with mode 700"
"""Advice about a data folder whose mode could not be changed."""


def program_version() -> str:
    """Return the installed version, "0" when the package is not installed."""
    try:
        return version("immich-facesets")
    except PackageNotFoundError:
        return "0"


@dataclass(frozen=True, slots=True)
class App:
    """All resources that are open while a command runs."""

    settings: Settings
    context: PassContext
    store: Store
    board: ProgressBoard
    sources: Mapping[str, Source]
    pool: EmbedderPool
    tree: ExportTree
    runner: Runner
    metrics: Metrics
    child: EmbedderChild | None


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
    for name in (CROPS_FOLDER, STAGING_FOLDER):
        close_tree_to_others(folder / name)
    return folder


def open_exports(settings: Settings) -> ExportTree:
    """
    Return the checked export folder.

    It is created only inside the data folder: elsewhere it may be a mount that is missing.
    """
    folder = settings.export_dir
    if folder.is_relative_to(settings.data_dir):
        _make_folder(folder, "FACESETS_EXPORT_DIR", mode=SHARED_FOLDER)
    tree = ExportTree(folder)
    tree.check()
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


def chosen_users(settings: Settings) -> tuple[User, ...]:
    """Return the Immich users that the settings name; may be empty when only folders are synced."""
    says_nothing = settings.immich_url is None and settings.immich_api_key is None and settings.users_file is None
    return () if says_nothing and _has_folders(settings) else load_users(settings)


def configured_users(settings: Settings) -> frozenset[str] | None:
    """Return the names of the Immich users in the settings; None when these cannot be read."""
    try:
        return frozenset(user.name for user in chosen_users(settings))
    except SetupError:
        return None


def _has_folders(settings: Settings) -> bool:
    if settings.database_url is None and not sqlite_file(settings).is_file():
        return False
    store = Store(open_engine(database_url(settings), only_reads=True))
    try:
        return age(store.engine) == "current" and store.read_now(has_work)
    finally:
        store.close()


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


def refuse_lost_database(settings: Settings) -> None:
    """Raise a ``SetupError`` when the data folder has crops or exports of a database that is not there any more."""
    for place in (settings.data_dir / CROPS_FOLDER, settings.export_dir):
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


@asynccontextmanager
async def open_app(
    settings: Settings,
    users: tuple[User, ...],
    stop: asyncio.Event,
    *,
    embedder_environ: Mapping[str, str] | None = None,
) -> AsyncIterator[App]:
    """
    Lock the data folder, and open the database, the sources, the embedders and the export folder.

    No request is sent to a remote yet, but a local embedder is started when no address is set. ``embedder_environ``
    holds additional variables for it beside the inherited ones.
    """
    await anyio.lowlevel.checkpoint()  # load anyio's backend now, not between two requests
    async with AsyncExitStack() as stack:
        folder = await asyncio.to_thread(prepare_data_dir, settings)
        if is_open_to_others(folder):
            log.warning("data_folder_open_to_others", folder=str(folder), advice=OPEN_TO_OTHERS)
        stack.enter_context(DataLock(folder))
        opened = open_own_store(settings, folder)
        store = await asyncio.to_thread(opened.__enter__)
        stack.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
        board = ProgressBoard()
        metrics = Metrics(board, version=program_version())
        context = PassContext(store=store, settings=settings, board=board, stop=stop)
        tree = await asyncio.to_thread(open_exports, settings)
        await asyncio.to_thread(tree.recover)
        sources: dict[str, Source] = {}
        guards: ServerGuards = {}
        for user in users:
            source = build_immich_source(
                user, settings, guards=guards, on_change=board.update_remote, count=metrics.count_request
            )
            stack.push_async_callback(source.close)
            board.update_remote(source.guard.state)
            sources[user.name] = source
        folders = FolderSources(store, settings, board, tree, sources, [user.name for user in users])
        await folders.update()
        child, pool = await _open_embedders(settings, board, metrics, stack, embedder_environ or {})
        runner = Runner(context, sources, pool, tree, metrics, program_version(), update_sources=folders.update)
        _spare_collector()
        yield App(settings, context, store, board, sources, pool, tree, runner, metrics, child)


def _spare_collector() -> None:
    """
    Exclude the imported modules from garbage collection.

    They stay until the end, and each scan of them would block everything for 0.1 s.
    """
    gc.collect()
    gc.freeze()


async def _open_embedders(
    settings: Settings, board: ProgressBoard, metrics: Metrics, stack: AsyncExitStack, environ: Mapping[str, str]
) -> tuple[EmbedderChild | None, EmbedderPool]:
    addresses, token = settings.embedder_addresses, settings.embedder_token
    child: EmbedderChild | None = None
    if not addresses:
        child = EmbedderChild(settings, environ)
        stack.push_async_callback(child.stop)
        addresses, token = (await child.start(),), child.token
    pool = build_pool(addresses, token, settings, board, count=metrics.count_request)
    stack.push_async_callback(pool.close)
    return child, pool


def build_pool(
    addresses: tuple[str, ...],
    token: SecretStr | None,
    settings: Settings,
    board: ProgressBoard,
    *,
    count: CountRequest | None = None,
) -> EmbedderPool:
    """Return the pool of embedders at these addresses; no request is sent yet."""
    names = ["embedder"] if len(addresses) == 1 else [f"embedder {number}" for number in range(1, len(addresses) + 1)]
    embedders = [
        Embedder(
            url,
            token,
            failures=settings.breaker_failures,
            answer_seconds=settings.embedding_timeout,
            on_change=board.update_remote,
            name=name,
            count=count,
        )
        for url, name in zip(addresses, names, strict=True)
    ]
    for embedder in embedders:
        board.update_remote(embedder.guard.state)
    return EmbedderPool(embedders)


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
        raise SetupError(f"{path} holds no token of {LEAST_TOKEN_CHARACTERS} characters: delete it, and one is made")
    return token
