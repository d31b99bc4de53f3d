"""The ``eras`` commands: probe, split and list the periods of people's lives."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from immich_facesets.eras import EraChange, MergeEras, Probe, RenameEra, SplitEras
from immich_facesets.errors import RequestError, SetupError
from immich_facesets.moderation.records import Author
from immich_facesets.wording import counted
from service.cli.deciding import Reason, author_of
from service.cli.era_rows import (
    ChangeRow,
    EraRow,
    as_written,
    change_row,
    era_row,
    era_table,
    print_changes,
    years_words,
)
from service.cli.terminal import err, out, print_json, print_line
from service.files.durable import disk_trouble, replace_privately
from service.reports.evaluation.era_picture import era_picture
from service.reports.identity import require_identity
from service.reports.stored_eras import IdentityEras, years_of_faces
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.store.eras import stored_eras
from service.store.exports import recorded
from service.store.identities import labels

eras = typer.Typer(help="Show and change eras: the periods of people's lives.", no_args_is_help=True)

_BAR = 30
_GROUPS_SHOWN = 8


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON output of ``eras probe --json``."""

    identity: int
    label: str | None
    probe: Probe
    is_sortable: bool
    eras: tuple[EraRow, ...]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")]


@eras.command("probe")
def look(
    identity: Annotated[int, typer.Argument(min=1, help="The number of a person.")],
    *,
    picture: Annotated[Path | None, typer.Option(help="Write the same as a PNG file.")] = None,
    json: Json = False,
) -> None:
    """Show whether a person can be sorted by age: face distances, groups that look alike, and their years."""
    report = asyncio.run(_probe(load_settings(), identity))
    if picture is not None:
        drawn = era_picture(report.probe, f"Identity {identity}: {_headline(report.probe)}")
        _write(picture, drawn)
    if json:
        print_json(report)
        return
    _print_probe(report)
    if picture is not None:
        print_line(f"The picture: {picture}")


@eras.command("split")
def split(
    identity: Annotated[int | None, typer.Argument(min=1, help="The number of a person.")] = None,
    *,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Split a person into eras anew. A sync only adds new faces; this command also moves faces and renews era names.

    An era that keeps more than half of its faces keeps its name. The next sync or 'export' writes the face sets.
    """
    if (identity is None) == (not everybody):
        raise RequestError("name one person by number, or say --all: one of them, not both", status=400)
    author = None if dry_run else author_of(reason)
    rows = asyncio.run(_split(load_settings(), identity, author))
    if json:
        print_json(rows)
        return
    print_changes(rows)


@eras.command("rename")
def rename(
    identity: Annotated[int, typer.Argument(min=1, help="The number of a person.")],
    era: Annotated[str, typer.Argument(help="The name of an era, as 'eras list' shows it.")],
    name: Annotated[str, typer.Argument(help="Its new name.")],
    *,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Give an era another name. The next sync or 'export' renames the directory of its face set."""
    _change(identity, RenameEra(era=era, name=name), None if dry_run else author_of(reason), json=json)


@eras.command("merge")
def merge(
    identity: Annotated[int, typer.Argument(min=1, help="The number of a person.")],
    names: Annotated[list[str], typer.Argument(help="The names of eras, as 'eras list' shows them.")],
    *,
    into: Annotated[str, typer.Option(help="The era that they become part of; its name stays.")],
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make eras one. No sync parts them again; 'eras split' finds all eras anew."""
    change = MergeEras(eras=tuple(dict.fromkeys(names)), into=into)
    _change(identity, change, None if dry_run else author_of(reason), json=json)


def _change(identity: int, change: EraChange, author: Author | None, *, json: bool) -> None:
    """Make a change and print it; without an author it is only planned."""
    row = asyncio.run(_changed(load_settings(), identity, change, author))
    if json:
        print_json(row)
        return
    print_changes([row])


async def _changed(settings: Settings, number: int, change: EraChange, author: Author | None) -> ChangeRow:
    async with open_reading(settings) as store:
        identities = await IdentityEras.read(store, settings, number)
        plan = await identities.plan(number, change)
        made = None if author is None else await identities.make(number, plan, change, author)
        return change_row(number, identities.labels.get(number), plan, "its eras, with this change", made)


@eras.command("list")
def list_all(
    identity: Annotated[
        int | None, typer.Argument(min=1, help="The number of a person; without it, everybody.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """List the stored eras."""
    rows = asyncio.run(_rows(load_settings(), identity))
    if json:
        print_json(rows)
        return
    if not rows:
        print_line("There are no eras." if identity is None else f"Identity {identity} has no eras.")
        return
    out.print(era_table(rows))


async def _rows(settings: Settings, identity: int | None) -> list[EraRow]:
    async with open_reading(settings) as store:
        if identity is not None:
            await require_identity(store, identity)
        stored, names = await store.read(stored_eras), await store.read(labels)
        written, years = await store.read(recorded), await years_of_faces(store)
    return [
        as_written(era_row(number, names.get(number), era, years), written)
        for number, kept in stored.items()
        if identity in {None, number}
        for era in kept.eras
        if era.face_ids
    ]


async def _probe(settings: Settings, identity: int) -> ProbeReport:
    async with open_reading(settings) as store:
        identities = await IdentityEras.read(store, settings, identity)
        with err.status("Comparing faces"):
            found = await identities.probe(identity)
        kept = identities.eras.stored[identity].eras if identity in identities.eras.stored else ()
        label = identities.labels.get(identity)
        return ProbeReport(
            identity=identity,
            label=label,
            probe=found,
            is_sortable=found.is_sortable,
            eras=tuple(era_row(identity, label, era) for era in kept),
        )


async def _split(settings: Settings, identity: int | None, author: Author | None) -> list[ChangeRow]:
    rows, change = [], SplitEras()
    async with open_reading(settings) as store:
        identities = await IdentityEras.read(store, settings, identity)
        with err.status("Splitting") as status:
            for number in sorted(identities.facts.members) if identity is None else [identity]:
                status.update(f"Splitting identity {number}")
                plan = await identities.plan(number, change)
                reason = await identities.reason(number, await identities.table(number))
                made = None if author is None else await identities.make(number, plan, change, author)
                rows.append(change_row(number, identities.labels.get(number), plan, reason, made))
    return rows


def _write(path: Path, body: bytes) -> None:
    try:
        with disk_trouble(path.parent):
            replace_privately(path, body)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise SetupError(f"--picture {path} cannot be written: its folder must exist") from error


def _headline(found: Probe) -> str:
    return "can be sorted by age" if found.is_sortable else "cannot be sorted by age"


def _print_probe(report: ProbeReport) -> None:
    found = report.probe
    name = "" if report.label is None else f", {report.label}"
    print_line(f"Identity {report.identity}{name}: {counted(found.faces, 'face')}, {found.dated} of them dated")
    print_line(f"It {_headline(found)}: {found.reason}")
    print_line("")
    between = [every - same for every, same in zip(found.histogram, found.within, strict=True)]
    highest = [max(*kind, 1) for kind in (found.within, between)]
    print_line(f"{'distance':>9}  {'pairs of one group':{_BAR}}  pairs of two groups")
    for place, pair in enumerate(zip(found.within, between, strict=True)):
        if any(pair):
            bars = [
                "#" * round(_BAR * count / most) or ("." if count else "")
                for count, most in zip(pair, highest, strict=True)
            ]
            print_line(f"{place * 0.05:9.2f}  {bars[0]:{_BAR}}  {bars[1]}")
    print_line("")
    for cut, parts in found.parts:
        shown = [f"{part.size} ({years_words(part.from_year, part.to_year)})" for part in parts[:_GROUPS_SHOWN]]
        more = f" and {len(parts) - _GROUPS_SHOWN} smaller" if len(parts) > _GROUPS_SHOWN else ""
        print_line(f"Cut {cut:.3f}: {counted(len(parts), 'group')}: {', '.join(shown)}{more}")
    if report.eras:
        print_line("")
        print_line("Its eras now:")
        out.print(era_table(list(report.eras)))
