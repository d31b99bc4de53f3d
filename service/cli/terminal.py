"""Progress output of a command: one live line per stage on a terminal, plain lines elsewhere."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from immich_facesets.runtime.shutdown import ExitCode
from service.progress import STAGES, ProgressBoard, Stage
from service.progress import Progress as Snapshot
from service.web.formatting import counted, stage_note, time_left

WORDS: dict[Stage, str] = {
    "discover": "Looking for new pictures",
    "embed": "Recognising faces",
    "group": "Grouping faces",
    "publish": "Writing face sets",
}

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def plain(text: str) -> Text:
    """Return untrusted text for output: never parsed as markup, control characters replaced by spaces."""
    return Text(_UNSHOWN.sub(" ", text), overflow="fold")


def print_line(line: str) -> None:
    """Print one line of untrusted text; the terminal wraps it, so that copies of it have no line breaks."""
    out.print(plain(line), soft_wrap=True)


def print_stopped() -> int:
    """Print that a requested stop ended the command, and return the exit code for it."""
    err.print("stopped: by request; the same command goes on from here")
    return ExitCode.STOPPED


@asynccontextmanager
async def shown(board: ProgressBoard) -> AsyncIterator[None]:
    """Show the progress of ``board`` on stderr while the context is open."""
    watching = asyncio.create_task(_live(board) if err.is_terminal else _lines(board))
    try:
        yield
    finally:
        await asyncio.sleep(0)  # lets the last change be shown
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _live(board: ProgressBoard) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, transient=False) as bars:
        tasks: dict[Stage, TaskID] = {}
        async for now in board.changes():
            _draw(bars, tasks, now)
            await asyncio.sleep(0.1)


def _draw(bars: Progress, tasks: dict[Stage, TaskID], now: Snapshot) -> None:
    for stage in now.stages:
        if stage.state == "waiting":
            continue
        if stage.stage not in tasks:
            tasks[stage.stage] = bars.add_task(WORDS[stage.stage], total=None, note="")
        note = stage_note(stage) if not stage.failed else f"{stage_note(stage)} {stage.failed} failed".strip()
        bars.update(tasks[stage.stage], completed=stage.done, total=stage.total, note=note)
        if stage.state == "done" and stage.total is None:
            bars.update(tasks[stage.stage], total=stage.done)


async def _lines(board: ProgressBoard) -> None:
    """Print a line when a stage begins and ends, and at most every ten seconds in between."""
    reported: dict[Stage, tuple[str, float]] = dict.fromkeys(STAGES, ("waiting", 0.0))
    clock = asyncio.get_running_loop().time
    async for now in board.changes():
        for stage in now.stages:
            state, at = reported[stage.stage]
            if stage.state == "waiting" or (stage.state == state and clock() - at < 10):
                continue
            if stage.state == state and state != "running":
                continue
            reported[stage.stage] = (stage.state, clock())
            numbers = f"{stage.done}" if stage.total is None else f"{stage.done} of {stage.total}"
            if stage.state == "done" and not stage.done and stage.note:
                numbers = stage.note
            failed = f", {stage.failed} failed" if stage.failed else ""
            left = "" if stage.seconds_left is None else f", {time_left(stage.seconds_left)}"
            err.print(f"{WORDS[stage.stage]}: {stage.state}, {numbers}{failed}{left}")


def kept_note(count: int) -> str:
    """Return the sentence about files of others that a publish kept."""
    return f"Kept in the export folder: {counted(count, 'file')} that somebody added or changed."
