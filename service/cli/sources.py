"""The ``sources`` commands: list the picture sources, and add or remove folders."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from immich_facesets.errors import RequestError, SetupError
from service.cli.terminal import out, plain, print_json, print_line
from service.setting_values import USER_NAME_RULE, is_user_name
from service.settings import Settings, load_settings
from service.source_registry import own_folders
from service.storage import open_own_store, open_reading, prepare_data_dir
from service.store import runs
from service.store.database import Store
from service.store.folders import Folder, StoredSource, add_folder, remove_source, stored_sources
from service.users import load_users

sources = typer.Typer(help="Manage sources of pictures: Immich users, and folders.", no_args_is_help=True)


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One source as ``sources list`` shows it."""

    name: str
    kind: str
    root: str | None
    mode: str | None
    follow_links: bool
    pictures: int
    embedded: int


@sources.command("list")
def list_all(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List every source, and how much of it is embedded."""
    rows = asyncio.run(_rows())
    if json:
        print_json(rows)
        return
    table = Table("Name", "Kind", "Mode", "Pictures", "Done", "Folder", box=None)
    for row in rows:
        mode = f"{row.mode or ''}{', follows links' if row.follow_links else ''}"
        table.add_row(plain(row.name), row.kind, mode, str(row.pictures), str(row.embedded), plain(row.root or ""))
    out.print(table)


async def _rows() -> list[SourceRow]:
    async with open_reading(load_settings()) as store:
        census = {source.name: source for source in (await store.read(runs.census)).sources}
        return [
            SourceRow(
                name=source.name,
                kind=source.kind,
                root=source.root,
                mode=source.mode,
                follow_links=source.follow_links,
                pictures=census[source.name].assets,
                embedded=census[source.name].embedded,
            )
            for source in await store.read(stored_sources)
            if source.name in census
        ]


@sources.command("add-folder")
def add(
    path: Annotated[Path, typer.Argument(help="The folder; everything below it belongs to it.")],
    name: Annotated[str, typer.Option(help="The name of the source.")],
    *,
    trusted: Annotated[
        bool,
        typer.Option("--trusted-by-subfolder", help="Each folder directly below it is one person, named after it."),
    ] = False,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Any person may be anywhere in it, which is the default.")
    ] = False,
    follow_links: Annotated[
        bool | None,
        typer.Option(
            "--follow-links/--no-follow-links",
            help="Take in what links that lead out of the folder point to; without it, such links are listed and not followed.",
        ),
    ] = None,
) -> None:
    """
    Make a folder of pictures a source. The next sync reads it, also in a service that is already running.

    A name that is in use moves that source to the new path: no picture is embedded again, and no face set changes its name. The mode
    and the links stay as they were, unless an option says otherwise.
    """
    if trusted and mixed:
        raise RequestError("a folder is either --trusted-by-subfolder or --mixed", status=400)
    settings = load_settings()
    if not is_user_name(name):
        raise RequestError(f"{name!r} is no name for a source: {USER_NAME_RULE}", status=400)
    root = checked_folder(path, settings)
    with open_own_store(settings, prepare_data_dir(settings), is_locked=False) as store:
        before = _find(store, name)
        if name in immich_users(settings) or (before is not None and before.kind != "folder"):
            raise RequestError(f"{name!r} is an Immich user: call the folder something else")
        is_trusted = trusted or (not mixed and before is not None and before.mode == "trusted")
        if follow_links is None:
            follow_links = before is not None and before.follow_links
        store.write_now(add_folder, Folder(name, root, "trusted" if is_trusted else "mixed", follow_links))
    how = "each folder in it is one person" if is_trusted else "anybody may be anywhere in it"
    how += ", and links that lead out of it are followed" if follow_links else ""
    print_line(f"{root} is the source {name}: {how}. The next sync takes it in.")


@sources.command("remove")
def remove(name: str) -> None:
    """
    Remove a source. The next sync deletes the records of its pictures, and what it exported from them.

    The picture files are never touched, and face sets keep their numbers.
    """
    asyncio.run(_remove(name, load_settings()))
    print_line(f"{name} is no source any more: the next sync forgets its pictures.")


async def _remove(name: str, settings: Settings) -> None:
    async with open_reading(settings) as store:
        found = await asyncio.to_thread(_find, store, name)
        if found is None:
            known = ", ".join(source.name for source in await store.read(stored_sources))
            raise RequestError(f"there is no source {name!r}; there are: {known or 'none'}", status=404)
        if found.kind != "folder" and name in immich_users(settings):
            raise RequestError(f"{name!r} is an Immich user: take the key out of the settings first")
        await asyncio.to_thread(store.write_now, remove_source, name)


def checked_folder(path: Path, settings: Settings) -> Path:
    """Return the absolute path of a folder that can be a source; links stay, so that users recognise the path."""
    root = path.expanduser().absolute()
    if not root.is_dir():
        raise RequestError(f"{root} is no folder, or it cannot be read", status=400)
    for own in own_folders(settings):
        if root.resolve().is_relative_to(own.resolve()):
            raise RequestError(f"{root} lies in {own}, a folder of this program: name another one", status=400)
    return root


def _find(store: Store, name: str) -> StoredSource | None:
    return next((source for source in store.read_now(stored_sources) if source.name == name), None)


def immich_users(settings: Settings) -> frozenset[str]:
    """Return the names of the Immich users in the settings; empty without any, as folders need none."""
    try:
        return frozenset(user.name for user in load_users(settings))
    except SetupError:
        return frozenset()
