"""The ``serve`` and ``sync`` commands."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Annotated

import typer

from immich_facesets.errors import TransientError
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.shutdown import ExitCode, stop_event
from service.app import App, chosen_users, open_app
from service.cli.terminal import as_sentence, kept_note, print_line, print_remark, shown
from service.daemon import Service
from service.progress import JobKind
from service.reports.status import dropped_warnings, stored_status
from service.settings import Settings, load_settings
from service.sync.outcome import UP_TO_DATE, Outcome, Result, cut_off
from service.sync.stopping import unless_stopped
from service.sync.unread import UNREAD

_CODES = {
    Outcome.DONE: ExitCode.STOPPED,
    Outcome.STOPPED: ExitCode.STOPPED,
    Outcome.OUTAGE: ExitCode.OUTAGE,
    Outcome.SETUP: ExitCode.SETUP,
    Outcome.BUG: ExitCode.BUG,
}


def serve() -> int:
    """Sync on schedule and serve the web pages and the API, until stopped."""
    settings = load_settings()
    configure_logging(level=settings.log_level)
    asyncio.run(_serve(settings))
    return ExitCode.STOPPED


async def _serve(settings: Settings) -> None:
    stop = stop_event()
    async with open_app(settings, chosen_users(settings), stop) as app:
        await Service(app).run()


def sync(
    source: Annotated[str | None, typer.Option(help="Only this user or folder; without it, all of them.")] = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="List the whole library, not only what changed, and read all faces again.")
    ] = False,
    faces: Annotated[
        bool, typer.Option("--faces", help="List only what changed, and read the faces of all pictures again.")
    ] = False,
) -> int:
    """
    Run one complete sync and stop.

    Exit code 0: done. 2: Immich or the embedder is down; finished work is kept, and the same command continues it.
    3: something must be changed first; the last line says what. 1: a bug.
    """
    settings = load_settings()
    configure_logging(level=settings.log_level if settings.log_level == "DEBUG" else "WARNING")
    return asyncio.run(_sync(settings, "full" if full else "faces" if faces else "incremental", source))


async def _sync(settings: Settings, kind: JobKind, source: str | None) -> int:
    stop = stop_event()
    async with open_app(settings, chosen_users(settings), stop) as app, shown(app.board):
        result = await unless_stopped(app.runner.run(kind, source=source), stop)
        await _print_dropped(app)  # not before the sync, which follows new names
        remarks = await remarks_of(app)
    return report(cut_off({}) if result is None else result, remarks)


async def _print_dropped(app: App) -> None:
    """Name the users who are not in the settings any more; a database that is down is told by the outcome already."""
    with contextlib.suppress(TransientError):
        for warning in await dropped_warnings(app.store, app.sources):
            print_line(f"Look at this: {warning}")


async def remarks_of(app: App) -> tuple[str, ...]:
    """Return what a user should know of the library after a sync; nothing while the database is down."""
    try:
        stored = await stored_status(app.store, None, app.settings)
    except TransientError:
        return ()
    return (*stored.nearly_there, *stored.left_alone)


def report(result: Result, remarks: Sequence[str] = ()) -> int:
    """Print how a sync ended, with remarks on the library where it was done, and return its exit code."""
    counts = result.counts
    if result.outcome is Outcome.DONE:
        print_line(
            f"Done: {counts.get('discover_listed', 0)} pictures listed, {counts.get('embed_fetched', 0)} fetched, "
            f"{counts.get('embed_faces', 0)} new faces, {counts.get('group_new_identities', 0)} new identities, "
            f"{counts.get('publish_facesets', 0)} face sets ({counts.get('publish_written', 0)} written)."
        )
        if result.message != UP_TO_DATE:
            print_line(as_sentence(result.message))
        if kept := counts.get("publish_kept", 0):
            print_line(kept_note(kept))
        if counts.get(UNREAD, 0):
            print_line("Such pictures are tried again after growing pauses; 'immich-facesets status' names them.")
        for remark in remarks:
            print_line(as_sentence(remark))
    else:
        print_remark(f"{result.outcome.value}: {result.message}")
    return _CODES[result.outcome]
