"""The ``decisions`` commands: list, undo, redo, export and import what moderators decided."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from immich_facesets.errors import RequestError
from immich_facesets.moderation.active_decisions import undone_ids
from immich_facesets.moderation.decisions import Undo, faces_in, kind_of, numbers_in
from immich_facesets.moderation.open_pictures import OpenPicture, open_lines, open_pictures_in
from immich_facesets.moderation.records import CarriedPicture, Line, Record, from_lines, to_lines
from immich_facesets.moderation.requests import RedoDecision, UndoDecision
from immich_facesets.wording import counted
from service.cli.deciding import (
    DryRun,
    EvenIfLocked,
    Json,
    Reason,
    author_of,
    decide,
    erase_rest,
    reference_folder,
    with_own_store,
)
from service.cli.terminal import out, plain, print_json, print_line
from service.files.durable import disk_trouble, replace_privately
from service.moderation.decisions import carried_pictures, import_lines, open_pictures
from service.passes.context import utc_now
from service.reports.identity import require_identity
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.store.database import Store
from service.store.decision_imports import ImportedDecisions, preview_import
from service.store.decisions import all_records
from service.store.forgotten import exported_records

decisions = typer.Typer(help="List decisions, undo them, export and import them.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(min=1, help="The number of a decision.")]


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One decision as ``decisions list`` shows it. ``undoes``: the decision that an undo takes back."""

    decision: int
    kind: str
    identities: tuple[int, ...]
    faces: int
    undoes: int | None
    is_undone: bool
    made_by: str
    made_from: str
    made_at: datetime
    reason: str


@decisions.command("list")
def list_all(
    identity: Annotated[int | None, typer.Option("--identity", min=1, help="Only those about this identity.")] = None,
    *,
    json: Json = False,
) -> None:
    """List every decision: what, about whom, whether it was undone, who made it, when, from where and why."""
    rows = asyncio.run(_rows(identity))
    if json:
        print_json(rows)
        return
    if not rows:
        print_line("No decision was made yet." if identity is None else f"No decision is about identity {identity}.")
        return
    table = Table("Decision", "Kind", "Identities", "Faces", "Undone", "By", "From", "When", "Why", box=None)
    for row in rows:
        what = row.kind if row.undoes is None else f"{row.kind} {row.undoes}"
        table.add_row(
            str(row.decision),
            what,
            ", ".join(map(str, row.identities)),
            str(row.faces or ""),
            "yes" if row.is_undone else "",
            plain(row.made_by),
            row.made_from,
            f"{row.made_at:%Y-%m-%d %H:%M}",
            plain(row.reason),
        )
    out.print(table)


async def _rows(identity: int | None) -> list[DecisionRow]:
    """Return the decisions, or those about an identity; ``RequestError`` (404) where there is none, and never was."""
    async with open_reading(load_settings()) as store:
        records = await store.read(all_records)
        undone = undone_ids({one.decision_id: one.decision for one in records})
        rows = [_row(one, undone) for one in records]
        rows = [row for row in rows if identity is None or identity in row.identities]
        if identity is not None and not rows:
            await require_identity(store, identity)
        return rows


async def _exported(*, has_originals: bool) -> tuple[list[Record], dict[str, CarriedPicture], list[OpenPicture]]:
    settings = load_settings()
    async with open_reading(settings) as store:
        records = await store.read(exported_records)
        pictures = await carried_pictures(store, reference_folder(settings), has_originals=has_originals)
        return records, pictures, await open_pictures(store, pictures)


def _row(one: Record, undone: frozenset[int]) -> DecisionRow:
    return DecisionRow(
        decision=one.decision_id,
        kind=kind_of(one.decision),
        identities=tuple(sorted(numbers_in(one.decision))),
        faces=len(faces_in(one.decision)),
        undoes=one.decision.decision if isinstance(one.decision, Undo) else None,
        is_undone=one.decision_id in undone,
        made_by=one.made_by,
        made_from=one.made_from,
        made_at=one.made_at,
        reason=one.reason,
    )


@decisions.command("undo")
def undo(
    number: Number,
    *,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take a decision back, with those that were made in one step with it."""
    decide(UndoDecision(decision=number, even_if_locked=even_if_locked), reason=reason, dry_run=dry_run, json=json)


@decisions.command("redo")
def redo(
    number: Number,
    *,
    even_if_locked: EvenIfLocked = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Bring an undone decision back."""
    decide(RedoDecision(decision=number, even_if_locked=even_if_locked), reason=reason, dry_run=dry_run, json=json)


@decisions.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="The file to write, one decision a line.")],
    *,
    originals: Annotated[
        bool, typer.Option("--originals", help="Include the originals of reference pictures, where they were kept.")
    ] = False,
) -> None:
    """Write every decision to a file: the backup of what cannot be computed again."""
    records, pictures, undecided = asyncio.run(_exported(has_originals=originals))
    with disk_trouble(file.parent):
        replace_privately(file, b"".join((*to_lines(records, pictures), *open_lines(undecided))))
    print_line(
        f"{counted(len(records), 'decision')} in {file}. It has names, places of faces and reference pictures: keep it private."
    )


async def _import(
    settings: Settings, store: Store, lines: Sequence[Line], undecided: Sequence[OpenPicture]
) -> ImportedDecisions:
    done = await import_lines(store, reference_folder(settings), lines, utc_now(), undecided)
    if done.forgotten:
        await erase_rest(settings, store, author_of(""))
    return done


@decisions.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A file of 'decisions export'.")],
    *,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Add the decisions of a file, with who made them and when. Those that are here already are left as they are.

    A line that is no decision is named, and then nothing is changed.
    """
    try:
        content = file.expanduser().read_bytes()
    except OSError as error:
        raise RequestError(f"{file} cannot be read ({error.strerror})", status=400) from error
    lines, undecided, settings = from_lines(content), open_pictures_in(content), load_settings()

    async def preview() -> ImportedDecisions:
        async with open_reading(settings) as store:
            return await store.read(preview_import, lines, undecided)

    if dry_run:
        done = asyncio.run(preview())
    else:
        done = asyncio.run(with_own_store(settings, lambda store: _import(settings, store, lines, undecided)))
    if json:
        print_json(done)
        return
    told = "would be added" if dry_run else "added"
    if done.forgotten:
        people = counted(done.forgotten, "person", "people")
        print_line(f"{people} would be forgotten." if dry_run else f"{people} forgotten: nothing brings the data back.")
    print_line(f"{counted(done.added, 'decision')} {told}, {done.known} here already.")
    if done.open_pictures:
        print_line(f"{counted(done.open_pictures, 'reference picture')} {told}, of which a review asks whose they are.")
    for there, here in done.renumbered:
        print_line(f"Identity {there} of the file is identity {here} here.")
