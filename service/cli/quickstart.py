"""The ``run`` command: from a folder, an Immich or nothing at all to face sets and the pages, in one step."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.shutdown import stop_event
from service.app import chosen_users, open_app
from service.cli import demo
from service.cli.photos import add_photos
from service.cli.serving import sync_and_serve
from service.cli.terminal import print_line
from service.settings import Settings, load_settings
from service.storage import sqlite_file
from service.sync.outcome import Outcome


def run(
    photos: Annotated[
        Path | None, typer.Option(help="A folder of pictures, which becomes a source; nothing is written into it.")
    ] = None,
) -> int:
    """
    Sync once, print the result, and serve the web pages.

    With neither pictures nor an Immich, and before any sync, it shows the demo. On a terminal it prints a link that signs in.
    """
    settings = load_settings()
    is_quiet = sys.stdout.isatty() and settings.log_level == "INFO"
    configure_logging(level="WARNING" if is_quiet else settings.log_level)
    if photos is not None:
        add_photos(photos, settings)
    elif is_new(settings):
        print_line(
            "No pictures are named, so this is the demo: invented people, a synthetic embedder, nothing of yours."
        )
        print_line("For a folder of your own pictures: make run PHOTOS=~/Pictures")
        print_line(
            "For your Immich: IMMICH_URL=http://your-immich:2283 IMMICH_API_KEY_FILE=/path/to/key make run; "
            "'immich-facesets setup' asks for both, and keeps them"
        )
        return demo.demo()
    return asyncio.run(_run(settings))


def is_new(settings: Settings) -> bool:
    """Return whether the settings name no Immich, and nothing was ever synced here."""
    names_immich = settings.immich_url or settings.immich_api_key or settings.users_file
    return not names_immich and settings.database_url is None and not sqlite_file(settings).is_file()


async def _run(settings: Settings) -> int:
    stop = stop_event()
    async with open_app(settings, chosen_users(settings), stop) as app:
        return await sync_and_serve(
            app,
            goes_on_after={Outcome.DONE, Outcome.OUTAGE},
            advice=(f"New pictures are taken in {_schedule(settings)}. Ctrl-C stops.",),
        )


def _schedule(settings: Settings) -> str:
    minutes = settings.sync_interval.total_seconds() / 60
    return "on schedule" if settings.sync_cron else f"every {minutes:g} min"
