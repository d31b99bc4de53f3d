"""The ``config check`` command: it probes everything the settings name and prints what to fix."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import typer
from rich.text import Text

from immich_facesets.accounts import check_account, former_name
from immich_facesets.errors import FacesetsError, TransientError
from immich_facesets.model_packs import pack_remark
from immich_facesets.runtime.file_modes import is_open_to_others
from immich_facesets.runtime.listen_address import Listen
from immich_facesets.runtime.shutdown import ExitCode
from service.app import chosen_users, open_pool
from service.cli.terminal import out, plain
from service.embedders.child_process import EmbedderChild
from service.files.folder_id import read_id
from service.settings import Settings, load_settings
from service.source_registry import build_folder_source
from service.sources.folder import FolderSource
from service.sources.immich import ServerGuards, build_immich_source
from service.storage import (
    OPEN_TO_OTHERS,
    database_url,
    is_inside,
    open_exports,
    prepare_data_dir,
    refuse_other_folder,
    sqlite_file,
)
from service.store.data_folder import data_folder
from service.store.database import Age, Store, age, open_engine
from service.store.export_folder import is_first_export
from service.store.folders import folders
from service.store.sources import bound_accounts
from service.sync.schedule import schedule_of
from service.users import User

config = typer.Typer(help="Check the settings.", no_args_is_help=True)

_LOW_DISK_BYTES = 5 * 2**30
_AGES: dict[Age, str] = {
    "empty": "still empty",
    "older": "from an older version: the next sync brings it up to date",
    "current": "up to date",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one probe. ``error`` is None when the probe succeeded."""

    topic: str
    words: str
    error: FacesetsError | None = None


@config.callback()
def _group() -> None:
    """Inspect the settings."""


@config.command("check")
def check() -> int:
    """Probe Immich, the keys' permissions, the embedder, the models and the disk; print what to fix."""
    return asyncio.run(_check())


async def _check() -> int:
    codes = [ExitCode.STOPPED]
    async for finding in _findings():
        if finding.error is None:
            _print_finding("ok", "green", finding, finding.words)
            continue
        down = isinstance(finding.error, TransientError)
        codes.append(ExitCode.OUTAGE if down else ExitCode.SETUP)
        _print_finding("down" if down else "fix", "red", finding, str(finding.error))
    return max(codes)


def _print_finding(word: str, style: str, finding: Finding, words: str) -> None:
    out.print(Text.assemble((f"{word:<5}", style), plain(f"{finding.topic}: {words}")), soft_wrap=True)


async def _findings() -> AsyncIterator[Finding]:
    settings = load_settings()
    yield await _ask("settings", lambda: _settings(settings))
    yield await _ask("data folder", lambda: _data(settings))
    yield await _ask("database", lambda: _database(settings))
    yield await _ask("export folder", lambda: _exports(settings))
    users: tuple[User, ...] = ()
    try:
        users = chosen_users(settings)
    except FacesetsError as error:
        yield Finding("Immich", "", error)
    async with AsyncExitStack() as stack:
        probes = _UserProbes(settings, await _bound_accounts(settings), [user.name for user in users], stack)
        for user in users:
            yield await _ask(f"Immich, user {user.name}", lambda user=user: probes.ask(user))  # type: ignore[misc]  # a default binds the loop's value
    async for finding in _folders(settings):
        yield finding
    if not settings.embedder_addresses:
        models = await _ask("models", lambda: _models(settings))
        yield models
        if models.error is not None:
            return  # our own embedder process would report the same error
    yield await _ask("embedder", lambda: _embedder(settings))


async def _ask(topic: str, question: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(topic, await question())
    except FacesetsError as error:
        return Finding(topic, "", error)


async def _settings(settings: Settings) -> str:
    listen = Listen.parse(settings.listen)
    return f"syncs {schedule_of(settings)}, pages at http://{listen}{settings.base_path}"


async def _data(settings: Settings) -> str:
    folder = await asyncio.to_thread(prepare_data_dir, settings)
    free = shutil.disk_usage(folder).free
    low = "; that is little" if free < _LOW_DISK_BYTES else ""
    is_open = f"; {OPEN_TO_OTHERS}" if is_open_to_others(folder) else ""
    return f"{folder}, {free / 2**30:.1f} GiB free{low}{is_open}"


async def _database(settings: Settings) -> str:
    if settings.database_url is None and not sqlite_file(settings).is_file():
        return "sqlite, made at the first sync"
    engine = open_engine(database_url(settings))
    try:
        found = await asyncio.to_thread(age, engine)
        if settings.database_url is not None and found == "current":
            owner = await asyncio.to_thread(Store(engine).read_now, data_folder)
            refuse_other_folder(owner, read_id(settings.data_dir), settings.data_dir)
    finally:
        engine.dispose()
    return f"{engine.dialect.name}, {_AGES[found]}"


async def _exports(settings: Settings) -> str:
    async with _known_store(settings) as store:
        is_new = settings.database_url is None and not sqlite_file(settings).is_file()
        is_first = is_new if store is None else await store.read(is_first_export)
    if is_first and not is_inside(settings) and not settings.export_dir.exists():
        return f"{settings.export_dir}, made at the first sync"
    await asyncio.to_thread(open_exports, settings, may_make=False)
    return str(settings.export_dir)


class _UserProbes:
    """
    The probes of the Immich users with these names, one after the other.

    ``accounts`` holds those of the known sources, and gets those of the users. Connections stay open until ``stack``
    ends, because the users of one server share its probe.
    """

    def __init__(
        self, settings: Settings, accounts: dict[str, str], names: Collection[str], stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._names = names
        self._stack = stack
        self._guards: ServerGuards = {}

    async def ask(self, user: User) -> str:
        source = build_immich_source(user, self._settings, guards=self._guards)
        self._stack.push_async_callback(source.close)
        facts = await source.open()
        accounts = self._accounts
        old = former_name(user.name, facts.user_id, accounts, self._names)
        if old is not None:
            del accounts[old]
        check_account(user.name, facts.user_id, accounts)
        accounts[user.name] = facts.user_id
        renamed = "" if old is None else f"; called {old!r} before, which the next sync follows"
        return f"version {facts.version}, every permission that is needed{renamed}"


async def _bound_accounts(settings: Settings) -> dict[str, str]:
    """Return the account of each known source; none when the database cannot be read."""
    async with _known_store(settings) as store:
        return {} if store is None else await store.read(bound_accounts)


async def _folders(settings: Settings) -> AsyncIterator[Finding]:
    """Yield a finding for each folder source; none when the database cannot be read."""
    async with _known_store(settings) as store:
        if store is None:
            return
        for folder in await store.read(folders):
            source = build_folder_source(folder, store, settings)
            yield await _ask(f"folder {folder.name}", lambda source=source: _folder(source))  # type: ignore[misc]  # a default binds the loop's value


@asynccontextmanager
async def _known_store(settings: Settings) -> AsyncIterator[Store | None]:
    """Open the store; None when it is missing, outdated or unreachable, which the database probe reports."""
    if settings.database_url is None and not sqlite_file(settings).is_file():
        yield None
        return
    try:
        store = Store(open_engine(database_url(settings)))
        is_current = await asyncio.to_thread(age, store.engine) == "current"
    except FacesetsError:
        yield None
        return
    try:
        yield store if is_current else None
    finally:
        store.close()


async def _folder(source: FolderSource) -> str:
    await source.open()
    people = await source.people()
    return str(source.root) if source.mode == "mixed" else f"{source.root}, trusted: {len(people)} people"


async def _models(settings: Settings) -> str:
    pack = await asyncio.to_thread(EmbedderChild(settings).find_models)
    if pack is None:
        return "none are needed for drawn faces"
    return "; ".join(filter(None, (f"{pack.name}, {pack.licence}", pack_remark(pack.name))))


async def _embedder(settings: Settings) -> str:
    async with open_pool(settings) as pool:
        info = await pool.open()
    settings.points(info.family, info.distances)
    serving = f"{max(1, len(settings.embedder_addresses))} serving {info.pack} ({info.engine}) on {info.provider}, space {info.space}"
    if settings.embedder_addresses:  # no line is about the models here, which are on other machines
        return "; ".join(filter(None, (serving, info.licence, pack_remark(info.pack))))
    return serving
