"""Composition root: opens all resources, passes them on, and closes them in reverse order."""

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import anyio.lowlevel
import structlog
from pydantic import SecretStr

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import is_open_to_others
from service.embedders.child_process import EmbedderChild
from service.embedders.client import Embedder
from service.embedders.pool import EmbedderPool
from service.files.export_tree import ExportTree
from service.moderation.references import tidy_references
from service.monitoring.metrics import Metrics
from service.passes.context import PassContext
from service.progress import ProgressBoard
from service.remote.transport import CountRequest
from service.settings import Settings
from service.source_registry import FolderSources
from service.sources import Source
from service.sources.immich import ServerGuards, build_immich_source
from service.sources.immich.key_owner import KeyOwners
from service.storage import (
    OPEN_TO_OTHERS,
    database_url,
    open_own_exports,
    open_own_store,
    prepare_data_dir,
    sqlite_file,
)
from service.store.database import DataLock, Store, age, open_engine
from service.store.folders import has_work
from service.store.sources import bound_accounts
from service.store.user_database import UserDatabase
from service.sync.runner import Runner
from service.users import User, load_users, marks_of

log = structlog.get_logger(__name__)


def program_version() -> str:
    """Return the installed version, "0" when the package is not installed."""
    try:
        return version("immich-facesets")
    except PackageNotFoundError:
        return "0"


@dataclass(frozen=True, slots=True)
class App:
    """All resources that are open while a command runs. ``users``: the Immich users, by ``marks_of``."""

    settings: Settings
    users: Mapping[str, str]
    context: PassContext
    store: Store
    user_database: UserDatabase
    board: ProgressBoard
    sources: Mapping[str, Source]
    pool: EmbedderPool
    tree: ExportTree
    runner: Runner
    metrics: Metrics
    child: EmbedderChild | None

    @property
    def key_owners(self) -> KeyOwners:
        """The lookup that finds the user of an Immich API key."""
        return KeyOwners(self.settings.immich_url or "", self.users, lambda: self.store.read(bound_accounts))


def chosen_users(settings: Settings) -> tuple[User, ...]:
    """Return the Immich users that the settings name; may be empty when only folders are synced."""
    return () if not _names_immich(settings) and _has_folders(settings) else load_users(settings)


def named_users(settings: Settings) -> tuple[User, ...]:
    """Return the Immich users that the settings name; empty where they say nothing of Immich."""
    return load_users(settings) if _names_immich(settings) else ()


def _names_immich(settings: Settings) -> bool:
    return any(value is not None for value in (settings.immich_url, settings.immich_api_key, settings.users_file))


def configured_users(settings: Settings) -> frozenset[str] | None:
    """Return the names of the Immich users in the settings; None when these cannot be read."""
    try:
        return frozenset(user.name for user in chosen_users(settings))
    except SetupError:
        return None


def _has_folders(settings: Settings) -> bool:
    """Return whether the database has folders; that of an older version is asked, too, before it is brought up to date."""
    if settings.database_url is None and not sqlite_file(settings).is_file():
        return False
    store = Store(open_engine(database_url(settings), only_reads=True))
    try:
        return age(store.engine) != "empty" and store.read_now(has_work)
    finally:
        store.close()


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
        user_database = UserDatabase(open_engine(database_url(settings)))
        stack.push_async_callback(asyncio.to_thread, user_database.close)
        board = ProgressBoard()
        metrics = Metrics(board, version=program_version())
        context = PassContext(store=store, settings=settings, board=board, stop=stop)
        await tidy_references(store, context.references)
        tree = await asyncio.to_thread(open_own_exports, settings, store)
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
        marks = marks_of(users)
        yield App(settings, marks, context, store, user_database, board, sources, pool, tree, runner, metrics, child)


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


@asynccontextmanager
async def open_pool(settings: Settings) -> AsyncIterator[EmbedderPool]:
    """
    Context manager with the embedders of the settings, for a command without a service.

    A local one is started when no address is set. No request is sent yet.
    """
    async with AsyncExitStack() as stack:
        addresses, token = settings.embedder_addresses, settings.embedder_token
        if not addresses:
            child = EmbedderChild(settings)
            stack.push_async_callback(child.stop)
            addresses, token = (await child.start(),), child.token
        pool = build_pool(addresses, token, settings, ProgressBoard())
        stack.push_async_callback(pool.close)
        yield pool


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
