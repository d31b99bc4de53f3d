"""
The output of the commands: the one way to a terminal, and the progress, live there and in plain lines elsewhere.

Most of what is printed was written by others: names, paths, licences, answers of Immich. ``out`` and ``err`` print every
character of it that a terminal would obey by its number (``visible_text``).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import msgspec
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.text import Text

from immich_facesets.runtime.shutdown import ExitCode
from immich_facesets.runtime.visible_text import visible, visible_json
from immich_facesets.wording import counted
from service.progress import STAGES, ProgressBoard, Stage
from service.progress import Progress as Snapshot
from service.web.formatting import pace, stage_note, time_left

WORDS: dict[Stage, str] = {
    "discover": "Looking for new pictures",
    "embed": "Recognising faces",
    "group": "Grouping faces",
    "publish": "Writing face sets",
}


class VisibleConsole(Console):
    """A console that prints the escape sequences of its own styles and movements, and none within a text."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text, keep_lines=True), segment.style)


out = VisibleConsole()
err = VisibleConsole(stderr=True)


def plain(text: str) -> Text:
    """Return untrusted text for one place of the output, such as a cell of a table, where it takes one line."""
    return Text(visible(" ".join(text.splitlines())), overflow="fold")


def print_line(line: str) -> None:
    """Print one line of untrusted text; the terminal wraps it, so that copies of it have no line breaks."""
    out.print(plain(line), soft_wrap=True)


def print_remark(line: str) -> None:
    """Print one line of untrusted text to stderr."""
    err.print(plain(line), soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(visible_json(msgspec.json.format(msgspec.json.encode(value)).decode()))


def print_stopped() -> int:
    """Print that a requested stop ended the command, and return the exit code for it."""
    print_remark("stopped: on request; the same command continues from here")
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
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=err, transient=False) as bars:
        tasks: dict[Stage, TaskID] = {}
        async for now in board.changes():
            _draw(bars, tasks, now)
            await asyncio.sleep(0.1)


def _draw(bars: Progress, tasks: dict[Stage, TaskID], now: Snapshot) -> None:
    for stage in now.stages:
        if stage.state in {"waiting", "left_out"}:
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
            if stage.state in {"waiting", "left_out"} or (stage.state == state and clock() - at < 10):
                continue
            if stage.state == state and state != "running":
                continue
            reported[stage.stage] = (stage.state, clock())
            numbers = f"{stage.done}" if stage.total is None else f"{stage.done} of {stage.total}"
            if stage.state == "done" and not stage.done and stage.note:
                numbers = stage.note
            failed = f", {stage.failed} failed" if stage.failed else ""
            rate = "" if stage.per_second is None else f", {pace(stage.per_second)}"
            left = "" if stage.seconds_left is None else f", {time_left(stage.seconds_left)}"
            print_remark(f"{WORDS[stage.stage]}: {stage.state}, {numbers}{failed}{rate}{left}")


def as_sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def kept_note(count: int) -> str:
    """Return the sentence about files of others that a publish kept."""
    return f"Kept in the export folder: {counted(count, 'file')} that somebody added or changed."
