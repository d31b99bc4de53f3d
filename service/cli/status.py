"""The read-only commands ``status`` and ``identities``, which may run beside a service."""

import asyncio
from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from immich_facesets.errors import RequestError
from immich_facesets.wording import counted
from service.app import configured_users
from service.cli.terminal import as_sentence, out, plain, print_json, print_line
from service.passes.context import PassContext, utc_now
from service.progress import ProgressBoard
from service.reports.identity import IdentityView, view_identity
from service.reports.status import FacesToRead, faces_to_read, stored_status
from service.settings import load_settings
from service.storage import open_reading
from service.store.members import IdentityRow, list_identities
from service.web.formatting import time_left
from service.web.schemas import Failure, LibraryCounts, Reembedding, Run

_PICTURES_SHOWN = 5  # for each reason


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON output of ``status --json``."""

    library: LibraryCounts
    runs: tuple[Run, ...]
    failures: tuple[Failure, ...]
    failures_by_reason: dict[str, int]
    guardrails: tuple[str, ...]
    nearly_there: tuple[str, ...]
    left_alone: tuple[str, ...]
    reembedding: Reembedding | None
    faces_to_read: FacesToRead | None


def status(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show counts of the library, how the last syncs ended, and what failed."""
    report = asyncio.run(_status())
    if json:
        print_json(report)
        return
    library = report.library
    print_line(
        f"{library.assets} pictures, {library.wanted} with faces worth fetching, {library.embedded} done; "
        f"{library.faces} faces, {library.identities} identities, {library.facesets} face sets"
    )
    _print_unavailable(report)
    if (other := report.reembedding) is not None:
        print_line(f"Re-embedding for space {other.space}: {other.done} of {other.total} pictures")
    if (reading := report.faces_to_read) is not None:
        left = "" if reading.seconds_left is None else f", {time_left(reading.seconds_left)}"
        print_line(f"The running sync has yet to read the faces of {counted(reading.pictures, 'picture')}{left}")
    for run in report.runs[:5]:
        ended = "running" if run.outcome is None else f"{run.outcome}: {run.message}"
        print_line(f"  {_when(run.started_at)} {run.kind} {ended}")
    _print_failures(report)
    for sentence in (*report.nearly_there, *report.left_alone):
        print_line(as_sentence(sentence))
    for message in report.guardrails:
        print_line(f"Look at this: {message}")


def _print_failures(report: StatusReport) -> None:
    """Print what failed, by reason, with the latest pictures."""
    if report.failures_by_reason:
        print_line("Failures, tried again after growing pauses:")
    for reason, count in report.failures_by_reason.items():
        print_line(f"  {count} x {reason}")
        latest = [failure for failure in report.failures if failure.reason == reason][:_PICTURES_SHOWN]
        for failure in latest:
            print_line(f"    {failure.source}: {failure.name}: {failure.message} (again {_when(failure.retry_at)})")
        if count > len(latest):
            print_line(f"    and {count - len(latest)} more: 'immich-facesets status --json' lists the latest")


def _print_unavailable(report: StatusReport) -> None:
    """Print how many pictures of each source are shown as they last were."""
    for source in report.library.sources:
        if source.unavailable:
            print_line(
                f"{source.name}: {counted(source.unavailable, 'picture')} unavailable now (offline, or changed and not "
                "fetched yet); faces, numbers and face sets stay as they were"
            )


def _when(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


async def _status() -> StatusReport:
    settings = load_settings()
    async with open_reading(settings) as store:
        stored = await stored_status(store, configured_users(settings), settings)
        reading = await faces_to_read(store, utc_now())
    return StatusReport(
        library=stored.library,
        runs=stored.runs,
        failures=stored.failures,
        failures_by_reason=dict(sorted((one.reason, one.count) for one in stored.failures_by_reason)),
        guardrails=stored.guardrails,
        nearly_there=stored.nearly_there,
        left_alone=stored.left_alone,
        reembedding=stored.reembedding,
        faces_to_read=reading,
    )


identities = typer.Typer(help="Show and correct the people that were found.", no_args_is_help=True)


@identities.command("list")
def list_all(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List every identity with its number, name, faces and pictures."""
    rows = asyncio.run(_identities())
    if json:
        print_json(rows)
        return
    table = Table("Number", "Name", "Faces", "Pictures", "Origin", box=None)
    for row in rows:
        table.add_row(str(row.number), plain(row.label or ""), str(row.faces), str(row.pictures), row.origin)
    out.print(table)


async def _identities() -> list[IdentityRow]:
    async with open_reading(load_settings()) as store:
        return await store.read(list_identities)


@identities.command("show")
def show(number: int, *, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """
    Show the faces of one identity and their pictures, nearest to its centroid first.

    The sources of the faces are listed too, and the other identities within the match distance of each face.
    """
    found = asyncio.run(_identity(number))
    if found is None:
        raise RequestError(
            f"there is no identity {number} with faces; 'immich-facesets identities list' lists them", status=404
        )
    if json:
        print_json(found)
        return
    table = Table("Distance", "Sure", "Score", "Size", "How", "Also near", "Picture", box=None)
    for row in found.faces:
        places = "; ".join(f"{user}: {path}" for user, _, path in row.places)
        others = ", ".join(f"{one.identity} ({one.distance:.2f})" for one in row.candidates)
        sure = "" if row.confidence is None else f"{row.confidence:.1%}"
        size = f"{row.box.face_short:.0f}"
        table.add_row(f"{row.distance:.2f}", sure, f"{row.det_score:.2f}", size, row.how, others, plain(places))
    out.print(table)
    if len(found.names) > 1:
        names = "; ".join(f"{one.source}: {one.name}{' (shown)' if one.is_shown else ''}" for one in found.names)
        print_line(f"Names: {names}")
    for one in found.provenance:
        ways = ", ".join(f"{count} {how}" for how, count in one.how.items())
        print_line(f"From {one.source}: {counted(one.faces, 'face')} in {counted(one.pictures, 'picture')} ({ways})")


async def _identity(number: int) -> IdentityView | None:
    settings = load_settings()
    async with open_reading(settings) as store:
        return await view_identity(PassContext(store, settings, ProgressBoard(), asyncio.Event()), number)
