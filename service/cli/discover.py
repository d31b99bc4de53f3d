"""The ``discover`` command: it groups the stored faces, or previews what that would do."""

import asyncio
from collections.abc import Iterable
from typing import Annotated

import typer

from immich_facesets.errors import RequestError
from immich_facesets.runtime.logging import configure_logging
from immich_facesets.runtime.shutdown import ExitCode, stop_event
from immich_facesets.wording import counted
from service.app import chosen_users, open_app
from service.cli.terminal import print_json, print_line, print_stopped, shown
from service.passes.context import PassContext
from service.passes.group_inputs.inputs import current_faces, decide, space_in_use
from service.progress import ProgressBoard
from service.reports.grouping_preview import GroupingPreview, preview
from service.settings import Settings, load_settings
from service.storage import open_reading
from service.sync.stopping import unless_stopped

_SHOWN = 20


def discover(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON; with --dry-run.")] = False,
) -> int:
    """
    Group the stored faces as the next sync would, without querying any source for changes.

    With --dry-run nothing changes, and a service may run at the same time.
    """
    if json and not dry_run:
        raise RequestError("--json needs --dry-run")
    settings = load_settings()
    configure_logging(level=settings.log_level if settings.log_level == "DEBUG" else "WARNING")
    if not dry_run:
        return asyncio.run(_discover(settings))
    found = asyncio.run(_preview(settings))
    if json:
        print_json(found)
    else:
        _print(found)
    return ExitCode.STOPPED


async def _preview(settings: Settings) -> GroupingPreview:
    async with open_reading(settings) as store:
        context = PassContext(store, settings, ProgressBoard(), asyncio.Event())
        space = await space_in_use(context)
        table = await current_faces(store, space)
        return await preview(context, space.space, await decide(context, space, table))


async def _discover(settings: Settings) -> int:
    stop = stop_event()
    async with open_app(settings, chosen_users(settings), stop) as app, shown(app.board):
        counts = await unless_stopped(app.runner.group_now(), stop)
    if counts is None:
        return print_stopped()
    print_line(
        f"Done: {counted(counts.joined, 'face')} joined, {counted(counts.left, 'face')} left, "
        f"{counted(counts.new_identities, 'new identity', 'new identities')}. 'immich-facesets export' writes their face sets."
    )
    return ExitCode.STOPPED


def _print(found: GroupingPreview) -> None:
    left, cut = found.survivors, found.distances
    scope = "all faces" if found.looks_at_all else "what came since the last grouping, and what it is near to"
    print_line(
        f"A look at {scope}: {counted(found.faces, 'face')}, cut {cut.cluster:g}, match {cut.match:g}. Nothing changes."
    )
    print_line(
        f"Faces of nobody: {left.faces:,}; large enough {left.large:,}, of these sharp enough {left.sharp:,}, light "
        f"enough {left.lit:,}, surely a face {left.sure:,}, and unlike poor ones {left.clear:,}"
    )
    print_line(f"New identities: {len(found.new):,} (from {found.min_faces} different pictures on)")
    for one in found.new[:_SHOWN]:
        gates = one.gates
        how = one.origin if gates is None else _gates(gates.faces, gates.clear, gates.near, gates.pictures)
        print_line(f"  {one.identity:>5}: {counted(one.faces, 'face')} in {counted(one.pictures, 'picture')}; {how}")
    _rest(found.new)
    print_line(f"Existing identities that get faces: {len(found.joins):,}")
    for joining in found.joins[:_SHOWN]:
        ways = ", ".join(f"{count} {how}" for how, count in sorted(joining.how.items()))
        print_line(f"  {joining.identity:>5} {joining.label or ''}: {counted(joining.faces, 'face')} ({ways})")
    _rest(found.joins)
    if found.leaves:
        print_line(f"Faces that leave their identity: {found.leaves:,}")
    print_line(f"Clusters that stay nobody: {len(found.clusters):,}")
    for cluster in found.clusters[:_SHOWN]:
        print_line(f"  {_gates(cluster.faces, cluster.clear, cluster.near, cluster.pictures)}")
    _rest(found.clusters)
    print_line(f"Left to you: {found.undecided:,} equally near to two identities, {found.waiting:,} kept out by a lock")
    for message in found.guardrails:
        print_line(f"Look at this: {message}")


def _gates(faces: int, clear: int, near: int, pictures: int) -> str:
    return (
        f"cluster of {counted(faces, 'face')}: {clear} clear, {near} near the centroid, {counted(pictures, 'picture')}"
    )


def _rest(several: Iterable[object]) -> None:
    count = len(tuple(several)) - _SHOWN
    if count > 0:
        print_line(f"  and {count:,} more: --json lists all")
