"""The part of ``export`` that merges face regions into the sidecars of a folder."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from immich_facesets.errors import RequestError, SetupError
from immich_facesets.runtime.shutdown import ExitCode
from service.cli.terminal import print_line, print_remark
from service.passes.context import utc_now
from service.passes.merge_sidecars import MergeCounts, SidecarChange, merge_into
from service.settings import Settings
from service.source_registry import own_folders
from service.storage import open_own_store, open_reading, prepare_data_dir


async def merge_sidecars(settings: Settings, folder: Path, *, is_dry_run: bool) -> int:
    """Merge into the sidecars below a folder, print every change, and return the exit code."""
    target = await asyncio.to_thread(_checked, folder, settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_reading(settings))
        if not is_dry_run:  # the database is there and up to date: only the ledger is written, also beside a service
            data_dir = await asyncio.to_thread(prepare_data_dir, settings)
            store = stack.enter_context(open_own_store(settings, data_dir, is_locked=False))
        counts = await merge_into(store, target, is_dry_run=is_dry_run, tell=_tell, clock=utc_now)
    _print(counts, is_dry_run=is_dry_run)
    if counts.first_problem is not None:
        raise SetupError(
            f"sidecars that were left as they are: {counts.left_alone['could_not_be_read']}, all others are up to date. "
            f"Mend or move them; the first is {counts.first_problem}"
        )
    return ExitCode.STOPPED


def _checked(folder: Path, settings: Settings) -> Path:
    """Return the absolute path of a folder that is neither in nor around our own."""
    target = folder.expanduser().absolute()
    for own in own_folders(settings):
        here, there = target.resolve(), own.resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            raise RequestError(f"--merge-into must lead elsewhere than to {own}, a folder of this program")
    return target


def _tell(change: SidecarChange) -> None:
    if change.problem is not None:
        print_remark(f"{change.name}: left as it is: {change.problem}")
    else:
        print_line(f"{change.name}: regions added {change.added}, removed {change.removed}")


def _print(counts: MergeCounts, *, is_dry_run: bool) -> None:
    done = "Nothing was written. It would be" if is_dry_run else "Done"
    print_line(
        f"{done}: {counts.sidecars} sidecars, {counts.changed} changed, regions added {counts.added}, removed "
        f"{counts.removed}."
    )
    if counts.foreign:
        print_line(f"People who have a foreign region already: {counts.foreign}.")
    for reason, count in sorted(counts.left_alone.items()):
        print_line(f"Left as they are, {reason.replace('_', ' ')}: {count}.")
