"""The ``eras`` commands: probe, split and list the periods of people's lives."""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from immich_facesets.eras import EraRules, KeptEra, Probe, Verdict, probe, verdict_of, years_of
from immich_facesets.errors import RequestError, SetupError
from immich_facesets.facesets.faceset import FacesetFolder
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.names import faceset_name
from immich_facesets.wording import counted
from service.cli.terminal import err, out, plain, print_json, print_line
from service.computation import compute
from service.files.durable import disk_trouble, replace_privately
from service.passes.publishing.eras import EraPlan, Eras
from service.reports.evaluation.era_picture import era_picture
from service.reports.identity import require_identity
from service.reports.stored_eras import IdentityEras, years_of_faces
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.store.eras import stored_eras
from service.store.exports import recorded
from service.store.identities import labels

eras = typer.Typer(help="The periods of people's lives.", no_args_is_help=True)

NO_YEARS: Mapping[int, int] = MappingProxyType({})

_BAR = 30
_GROUPS_SHOWN = 8


class EraRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    One era as the commands show it. ``placed``: undated faces assigned to it by their embeddings.

    ``is_exported``: whether the last publish wrote a face set of it; None where the command does not know.
    """

    identity: int
    label: str | None
    name: str
    from_year: int | None
    to_year: int | None
    faces: int
    placed: int
    is_thin: bool
    is_exported: bool | None = None


class SplitRow(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of splitting one identity. ``gone``: names that no era has any more."""

    identity: int
    label: str | None
    reason: str
    eras: tuple[EraRow, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]
    moved_faces: int
    is_written: bool


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON output of ``eras probe --json``."""

    identity: int
    label: str | None
    probe: Probe
    is_sortable: bool
    eras: tuple[EraRow, ...]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of it.")] = False,
    json: Json = False,
) -> None:
    """
    Split a person into eras anew. A sync only adds new faces; this command also moves faces and renews era names.

    An era that keeps more than half of its faces keeps its name. The next sync or 'export' writes the face sets.
    """
    if (identity is None) == (not everybody):
        raise RequestError("name one person by number, or say --all: one of them, not both", status=400)
    rows = asyncio.run(_split(load_settings(), identity, is_written=not dry_run))
    if json:
        print_json(rows)
        return
    _print_split(rows)


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
    out.print(_table(rows))


async def _rows(settings: Settings, identity: int | None) -> list[EraRow]:
    async with open_reading(settings) as store:
        if identity is not None:
            await require_identity(store, identity)
        stored, names = await store.read(stored_eras), await store.read(labels)
        written, years = await store.read(recorded), await years_of_faces(store)
    return [
        _as_written(_row(number, names.get(number), era, years), written)
        for number, kept in stored.items()
        if identity in {None, number}
        for era in kept.eras
        if era.face_ids
    ]


def _as_written(row: EraRow, written: Collection[str]) -> EraRow:
    """Return the row with what the last publish made of the era: near-duplicates count once there."""
    name = faceset_name(row.identity, row.name)
    is_thin, is_main = f"{FacesetFolder.THIN}/{name}" in written, name in written
    is_published = faceset_name(row.identity) in {Path(one).name for one in written}
    return msgspec.structs.replace(
        row,
        is_thin=is_thin or (row.is_thin and not is_main),
        is_exported=is_thin or is_main if is_published or is_thin or is_main else None,
    )


async def _probe(settings: Settings, identity: int) -> ProbeReport:
    async with open_reading(settings) as store:
        identities = await IdentityEras.read(store, settings)
        table = await identities.table(identity)
        with err.status("Comparing faces"):
            found = await compute(_probed, table, identities.eras.rules)
        kept = identities.eras.stored[identity].eras if identity in identities.eras.stored else ()
        label = identities.labels.get(identity)
        return ProbeReport(
            identity=identity,
            label=label,
            probe=found,
            is_sortable=found.is_sortable,
            eras=tuple(_row(identity, label, era) for era in kept),
        )


def _probed(table: FaceTable, rules: EraRules) -> Probe:
    years = [year or None for year in years_of(table.taken).tolist()]
    return probe(table.vectors, years, rules, taken=table.taken)


async def _split(settings: Settings, identity: int | None, *, is_written: bool) -> list[SplitRow]:
    rows = []
    async with open_reading(settings) as store:
        identities = await IdentityEras.read(store, settings)
        with err.status("Splitting") as status:
            for number in sorted(identities.facts.members) if identity is None else [identity]:
                status.update(f"Splitting identity {number}")
                table = await identities.table(number)
                plan = await identities.eras.plan(number, table, anew=True)
                reason = await compute(_reason, table, identities.eras, number)
                if is_written and not plan.is_done and not await identities.eras.record(number, plan):
                    raise RequestError(f"a sync changed the eras of identity {number} meanwhile: run this again")
                rows.append(_split_row(number, identities.labels.get(number), plan, reason, is_written=is_written))
    return rows


def _reason(table: FaceTable, kept: Eras, number: int) -> str:
    childhood = kept.childhood(number)
    if childhood is not None:
        return f"by age, from {childhood.born}"
    verdict, reason = verdict_of(table, kept.rules)
    return reason if verdict is Verdict.SORTABLE else f"cannot be sorted by age: {reason}"


def _split_row(number: int, label: str | None, plan: EraPlan, reason: str, *, is_written: bool) -> SplitRow:
    before, after = ({era.name: era.face_ids for era in kept.eras} for kept in (plan.before, plan.after))
    era_of = {face: name for name, faces in before.items() for face in faces}
    moved = [face for name, faces in after.items() for face in faces if era_of.get(face, name) != name]
    return SplitRow(
        identity=number,
        label=label,
        reason=reason,
        eras=tuple(_row(number, label, era) for era in plan.after.eras if era.face_ids),
        new=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
        moved_faces=len(moved) + len(plan.leaves),
        is_written=is_written,
    )


def _row(number: int, label: str | None, era: KeptEra, years: Mapping[int, int] = NO_YEARS) -> EraRow:
    """Return an era as shown; its years are those of its faces, as in manifests, or as found where none is known."""
    known = [years[face] for face in era.face_ids if face in years]
    return EraRow(
        identity=number,
        label=label,
        name=era.name,
        from_year=min(known) if known else era.from_year,
        to_year=max(known) if known else era.to_year,
        faces=len(era.face_ids),
        placed=sum(sure is not None for sure in era.joined.values()),
        is_thin=len(era.face_ids) < EraRules().min_anchor,
    )


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
        shown = [f"{part.size} ({_years(part.from_year, part.to_year)})" for part in parts[:_GROUPS_SHOWN]]
        more = f" and {len(parts) - _GROUPS_SHOWN} smaller" if len(parts) > _GROUPS_SHOWN else ""
        print_line(f"Cut {cut:.3f}: {counted(len(parts), 'group')}: {', '.join(shown)}{more}")
    if report.eras:
        print_line("")
        print_line("Its eras now:")
        out.print(_table(list(report.eras)))


def _print_split(rows: list[SplitRow]) -> None:
    for row in rows:
        name = "" if row.label is None else f", {row.label}"
        print_line(f"Identity {row.identity}{name}: {row.reason}")
        if row.eras:
            out.print(_table(list(row.eras)))
            changes = [f"new: {', '.join(row.new)}"] if row.new else []
            changes += [f"gone: {', '.join(row.gone)}"] if row.gone else []
            changes += [f"{counted(row.moved_faces, 'face')} moved"] if row.moved_faces else []
            print_line(f"  {'; '.join(changes) or 'nothing changes'}")
    if rows and not rows[0].is_written:
        print_line("Nothing was changed.")
    else:
        print_line("Done. The next sync writes the face sets; 'immich-facesets export' does it now.")


def _table(rows: list[EraRow]) -> Table:
    table = Table("Identity", "Name", "Era", "Years", "Faces", "By looks", "", box=None)
    for row in rows:
        years, name = _years(row.from_year, row.to_year), plain(row.label or "")
        state = "not exported" if row.is_exported is False else "thin" if row.is_thin else ""
        table.add_row(str(row.identity), name, plain(row.name), years, str(row.faces), str(row.placed or ""), state)
    return table


def _years(first: int | None, last: int | None) -> str:
    if first is None:
        return "undated"
    return str(first) if first == last else f"{first}-{last}"
