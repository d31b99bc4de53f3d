"""``config check``: probe everything the settings name, and say what to fix."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import typer

from immich_facesets.errors import FacesetsError, SetupError, TransientError
from immich_facesets.runtime.leaving import ExitCode
from immich_facesets.runtime.listening import Listen
from immich_facesets.runtime.model_folder import find_pack
from service.app import build_pool, database_url, prepare_data_dir
from service.child import EmbedderChild
from service.cli.terminal import out
from service.progress import ProgressBoard
from service.schedule import trigger_of
from service.settings import Settings, User, load_settings, load_users
from service.sources.immich import build_immich_source
from service.store.database import open_engine
from service.tree import ExportTree

config = typer.Typer(help="The settings.", no_args_is_help=True)

_LOW_DISK_BYTES = 5 * 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question. ``trouble`` is None when all is well."""

    topic: str
    words: str
    trouble: FacesetsError | None = None


@config.callback()
def _group() -> None:
    """Look at the settings."""


@config.command("check")
def check() -> int:
    """Probe Immich, the keys' permissions, the embedder, the models and the disk; says what to fix."""
    return asyncio.run(_check())


async def _check() -> int:
    codes = {ExitCode.STOPPED}
    async for finding in _findings():
        if finding.trouble is None:
            out.print(f"[green]ok[/green]   {finding.topic}: ", end="")
            out.print(finding.words, markup=False, soft_wrap=True)
            continue
        down = isinstance(finding.trouble, TransientError)
        codes.add(ExitCode.OUTAGE if down else ExitCode.SETUP)
        out.print(f"[red]{'down' if down else 'fix'}[/red]  {finding.topic}: ", end="")
        out.print(str(finding.trouble), markup=False, soft_wrap=True)
    return max(codes)


async def _findings() -> AsyncIterator[Finding]:
    settings = load_settings()
    yield await _ask("settings", lambda: _settings(settings))
    yield await _ask("data folder", lambda: _data(settings))
    yield await _ask("database", lambda: _database(settings))
    yield await _ask("export folder", lambda: _exports(settings))
    try:
        users = load_users(settings)
    except SetupError as error:
        yield Finding("Immich", "", error)
        users = ()
    for user in users:
        yield await _ask(f"Immich, user {user.name}", lambda user=user: _immich(user, settings))  # type: ignore[misc]  # a default binds the loop's value
    if not settings.embedder_addresses:
        yield await _ask("models", lambda: _models(settings))
    yield await _ask("embedder", lambda: _embedder(settings))


async def _ask(topic: str, question: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(topic, await question())
    except FacesetsError as error:
        return Finding(topic, "", error)


async def _settings(settings: Settings) -> str:
    trigger = trigger_of(settings)
    listen = Listen.parse(settings.listen)
    return f"syncs {trigger}, pages at http://{listen}"


async def _data(settings: Settings) -> str:
    folder = await asyncio.to_thread(prepare_data_dir, settings)
    free = shutil.disk_usage(folder).free
    low = "; that is little" if free < _LOW_DISK_BYTES else ""
    return f"{folder}, {free / 2**30:.1f} GiB free{low}"


async def _database(settings: Settings) -> str:
    engine = open_engine(database_url(settings))

    def connect() -> None:
        with engine.connect():
            pass

    try:
        await asyncio.to_thread(connect)
    except Exception as error:  # whatever the driver says, the address is what to look at
        raise SetupError(
            f"the database cannot be opened ({type(error).__name__}): check FACESETS_DATABASE_URL"
        ) from error
    finally:
        engine.dispose()
    return engine.dialect.name


async def _exports(settings: Settings) -> str:
    if settings.export_dir.is_relative_to(settings.data_dir):
        settings.export_dir.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(ExportTree(settings.export_dir).check)
    return str(settings.export_dir)


async def _immich(user: User, settings: Settings) -> str:
    source = build_immich_source(user, settings)
    try:
        facts = await source.open()
    finally:
        await source.close()
    return f"version {facts.version}, every permission that is needed"


async def _models(settings: Settings) -> str:
    pack = await asyncio.to_thread(find_pack, settings.models_dir, settings.model_pack)
    return f"{pack.name}, {pack.licence}"


async def _embedder(settings: Settings) -> str:
    async with AsyncExitStack() as stack:
        addresses, token = settings.embedder_addresses, settings.embedder_token
        if not addresses:
            child = EmbedderChild(settings)
            stack.push_async_callback(child.stop)
            addresses, token = (await child.start(),), child.token
        pool = build_pool(addresses, token, settings, ProgressBoard())
        stack.push_async_callback(pool.close)
        info = await pool.open()
    settings.points(info.family)
    return f"{len(addresses)} serving {info.pack} ({info.engine}) on {info.provider}, space {info.space}"
