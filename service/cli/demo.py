"""The ``demo`` command: a complete run on this machine, with invented people, a fake Immich and no weights."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from immich_facesets.errors import SetupError
from immich_facesets.runtime.file_modes import SHARED_FOLDER, make_folder
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.shutdown import ExitCode, stop_event
from service.app import open_app
from service.cli.serving import sync_and_serve
from service.cli.terminal import print_line
from service.computation import compute
from service.demo.doubts import LEAST_PEOPLE, LEAST_PICTURES
from service.demo.immich import FakeImmich
from service.demo.library import draw_library, fill
from service.settings import Settings
from service.sync.stopping import unless_stopped
from service.users import User

_MARK = ".immich-facesets-demo"
_USERS = ("anna", "ben")
ADVICE = "To use your own photos: make run PHOTOS=~/Pictures. For an Immich, the README says how. Ctrl-C stops."
EMBEDDER = {"FACESETS_EMBEDDER_ENGINE": "synthetic"}


def demo(
    folder: Annotated[Path, typer.Option(help="The folder to write into; it is made anew each time.")] = Path(
        "facesets-demo"
    ),
    people: Annotated[int, typer.Option(min=2, max=60, help="How many invented people there are.")] = 12,
    pictures: Annotated[int, typer.Option(min=10, max=5000, help="How many pictures are drawn.")] = 150,
    listen: Annotated[str, typer.Option(help="The address and port of the web pages.")] = "127.0.0.1:8785",
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop after the sync instead of serving the web pages.")] = False,
) -> int:
    """Show a complete run: draw a library of invented people, sync it, write face sets and serve the web pages."""
    configure_logging(level="WARNING")
    return asyncio.run(_demo(_fresh(folder), people, pictures, listen, once=once))


def keys_of(users: Sequence[User]) -> list[str]:
    """Return the sentences that state the key of each demo user; these keys open invented pictures only."""
    return [
        f"To see what {user.name} sees, log in with this API key: {user.api_key.get_secret_value()}" for user in users
    ]


def _fresh(folder: Path) -> Path:
    """Return ``folder``, emptied and marked as ours; raise ``SetupError`` if it holds files of another origin."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise SetupError(f"{folder} holds something else: choose another folder with --folder")
    if folder.exists():
        shutil.rmtree(folder)
    make_folder(folder)
    (folder / _MARK).touch()
    return folder.resolve()


async def _demo(folder: Path, people: int, pictures: int, listen: str, *, once: bool) -> int:
    stop = stop_event()
    print_line(f"Drawing {pictures} pictures of {people} invented people ...")
    drawing = compute(
        draw_library,
        folder / "pictures",
        people=people,
        pictures=pictures,
        users=_USERS,
        with_doubts=people >= LEAST_PEOPLE and pictures >= LEAST_PICTURES,
    )
    library = await unless_stopped(drawing, stop)
    if library is None or stop.is_set():
        return ExitCode.STOPPED
    immich = FakeImmich("3.1.0")
    users = tuple(User(name=name, api_key=user.api_key) for name, user in sorted(fill(immich, library).items()))
    url = await immich.start()
    print_line(f"A fake Immich serves them at {url}; nothing leaves this machine.")
    settings = Settings(
        config=None,
        immich_url=url,
        immich_api_key=None,
        users_file=None,
        data_dir=folder / "data",
        export_dir=folder / "facesets",
        database_url=None,
        embedder_urls="",
        min_faces=None,
        listen=listen,
    )
    make_folder(settings.export_dir, mode=SHARED_FOLDER)
    try:
        async with open_app(settings, users, stop, embedder_environ=EMBEDDER) as app:
            return await sync_and_serve(app, is_demo=True, once=once, advice=(*keys_of(users), ADVICE))
    finally:
        await immich.stop()
