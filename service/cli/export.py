"""The ``export`` command: it writes face sets without a sync."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from immich_facesets.errors import RequestError, SetupError
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.requests import ExportRequest, read_export_requests
from immich_facesets.exports.xmp import XMP
from immich_facesets.runtime.file_modes import SHARED_FOLDER, make_folder
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.shutdown import ExitCode, stop_event
from service.app import named_users, open_app
from service.cli.merge_sidecars import merge_sidecars
from service.cli.terminal import kept_note, print_line, print_stopped, shown
from service.files.durable import disk_trouble
from service.files.export_tree import ExportTree
from service.files.ownership import refuse_closed_folder
from service.reports.identity import exportable_person
from service.settings import Settings, load_settings
from service.source_registry import own_folders
from service.store.folders import folders
from service.sync.stopping import unless_stopped
from service.users import User


def export(
    profile: Annotated[
        str | None,
        typer.Option(help="One export profile to write, such as kohya, or kohya:40:768 (faces, pixels); needs --to."),
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER_OR_NAME", help="Write only this person's face sets; may be repeated without --to."
        ),
    ] = None,
    *,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody, which is the default.")] = False,
    to: Annotated[
        Path | None, typer.Option(help="The folder to write the profile into; it is made if there is none.")
    ] = None,
    merge_into: Annotated[
        Path | None, typer.Option(help="With xmp: a folder whose existing sidecars get our face regions.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --merge-into: print what would change, and change nothing.")
    ] = False,
) -> int:
    """
    Bring the export folder up to date with the current identities. Immich is asked only for originals of other framings.

    With --person, bring only that person's face sets up to date; profiles of whole libraries, such as xmp, stay as they are.
    With --profile and --to, write one export profile to another folder once; it is not kept up to date.
    With --profile xmp and --merge-into, add people to the sidecars in a folder, and leave everything else in them.
    """
    settings = load_settings()
    configure_logging(level=settings.log_level if settings.log_level == "DEBUG" else "WARNING")
    people = person or []
    if merge_into is not None:
        _require_mergeable(profile, to, people)
        return asyncio.run(merge_sidecars(settings, merge_into, is_dry_run=dry_run))
    if dry_run:
        raise RequestError("--dry-run needs --merge-into")
    if people and everybody:
        raise RequestError("--person and --all exclude each other")
    if profile is None and to is None:
        return asyncio.run(_export(settings, people))
    return asyncio.run(
        _copy(settings, _request(profile, to, people, settings.crop_framing), people, _folder(settings, to))
    )


def _require_mergeable(profile: str | None, to: Path | None, people: Sequence[str]) -> None:
    if profile != XMP.name:
        raise RequestError(f"--merge-into needs --profile {XMP.name}")
    if to is not None:
        raise RequestError(
            "--to and --merge-into exclude each other: the first writes new files, the second changes existing ones"
        )
    if people:
        raise RequestError(f"{XMP.name} is about whole libraries: leave --person out")


def _request(profile: str | None, to: Path | None, people: Sequence[str], framing: Framing) -> ExportRequest:
    if profile is None:
        raise RequestError("name the export profile to write, such as --profile fsz")
    if to is None:
        raise RequestError(
            "say where with --to FOLDER; or name the profile in FACESETS_EXPORT_PROFILES, and every sync keeps it up to "
            "date in the export folder"
        )
    if len(people) > 1:
        raise RequestError("--to takes everybody or one person: give --person once, or leave it out")
    try:
        requests = read_export_requests(profile, framing)
    except ValueError as error:
        raise RequestError(f"--profile {error}") from error
    if len(requests) != 1:
        raise RequestError("--profile takes one profile at a time")
    if people and requests[0].is_of_library:
        raise RequestError(f"{requests[0].profile.name} is about whole libraries: leave --person out")
    return requests[0]


def _folder(settings: Settings, to: Path | None) -> Path:
    folder = Path() if to is None else to.absolute()
    if folder.resolve().is_relative_to(settings.export_dir.resolve()):
        raise RequestError(
            "--to must name a folder outside the export folder, which FACESETS_EXPORT_PROFILES keeps up to date"
        )
    return folder


def _users(settings: Settings, requests: Iterable[ExportRequest]) -> tuple[User, ...]:
    """Return the users whose originals may be needed: of requests for pictures that show more than the crops."""
    return named_users(settings) if any(request.framing is not Framing.FACE for request in requests) else ()


async def _export(settings: Settings, named: Sequence[str]) -> int:
    """Bring the export folder up to date, or the part of these people, by number or name."""
    stop = stop_event()
    async with open_app(settings, _users(settings, settings.export_requests), stop) as app, shown(app.board):
        people = frozenset([await exportable_person(app.store, text) for text in named]) or None
        counts = await unless_stopped(app.runner.publish_now(people), stop)
    if counts is None:
        return print_stopped()
    forms = f", {counts.forms} directories of other export profiles" if counts.forms else ""
    print_line(f"Done: {counts.facesets} face sets, {counts.written} written{forms}, {counts.removed} removed.")
    if counts.left:
        print_line(f"The next export of everybody writes these: {'; '.join(counts.left)}.")
    if counts.kept:
        print_line(kept_note(counts.kept))
    return ExitCode.STOPPED


async def _copy(settings: Settings, request: ExportRequest, named: Sequence[str], folder: Path) -> int:
    """Write one profile into a folder, of everybody or of one person, by number or name."""
    stop = stop_event()
    async with open_app(settings, _users(settings, (request,)), stop) as app, shown(app.board):
        closed = [*own_folders(settings), *(source.root for source in await app.store.read(folders))]
        await asyncio.to_thread(refuse_closed_folder, folder, closed)
        identity = await exportable_person(app.store, named[0]) if named else None
        tree = await asyncio.to_thread(_opened, folder)
        counts = await unless_stopped(app.runner.copy_now(request, identity, tree), stop)
    if counts is None:
        return print_stopped()
    print_line(f"Done: {counts.written + counts.forms} directories of {request.profile.name} in {folder}.")
    if counts.kept:
        print_line(kept_note(counts.kept))
    return ExitCode.STOPPED


def _opened(folder: Path) -> ExportTree:
    """Return the export tree of ``folder``, which is created and checked. Blocks."""
    try:
        with disk_trouble(folder):
            make_folder(folder, mode=SHARED_FOLDER)
    except (FileExistsError, NotADirectoryError) as error:
        raise SetupError(f"--to names {folder}, and a file is in the way") from error
    tree = ExportTree(folder)
    tree.check()
    tree.recover()
    return tree
