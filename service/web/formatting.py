"""Text formatting for the pages: numbers, times, and the headline that sums up the state."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from immich_facesets.wording import counted
from service.progress import Progress, RemoteState, Stage, StageProgress
from service.web.schemas import Objection, Run

Tone = Literal["good", "busy", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Headline:
    """The overall state in one line; ``tone`` is its colour."""

    tone: Tone
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class StageWords:
    """The texts of a stage: its title, its purpose, and the headline while it runs."""

    title: str
    meaning: str
    doing: str


STAGE_WORDS: dict[Stage, StageWords] = {
    "discover": StageWords("Discover", "asks your sources what is new", "Looking for new pictures"),
    "embed": StageWords("Embed", "reads the faces in new pictures", "Reading faces"),
    "group": StageWords("Group", "sorts the faces by person", "Sorting faces by person"),
    "publish": StageWords("Publish", "writes the face sets", "Writing face sets"),
}

STAGE_STATES = {
    "waiting": "Waiting",
    "running": "Running",
    "done": "Done",
    "failed": "Stopped",
    "left_out": "Not in this job",
}

CIRCUIT_STATES = {"closed": "Connected", "probing": "Trying again", "open": "Not reachable"}

OUTCOMES: dict[str, tuple[Tone, str]] = {
    "done": ("good", "Done"),
    "stopped": ("warn", "Stopped"),
    "killed": ("warn", "Interrupted"),
    "outage": ("bad", "Outage"),
    "setup": ("bad", "Needs setup"),
    "bug": ("bad", "Fault"),
}


def outcome_words(outcome: str | None) -> tuple[Tone, str]:
    """Return tone and word for the outcome of a run; None is a run in progress."""
    return ("busy", "Running") if outcome is None else OUTCOMES.get(outcome, ("warn", spaced(outcome).capitalize()))


def spaced(code: str) -> str:
    """Return a code as words: ``too_large`` becomes "too large"."""
    return code.replace("_", " ")


def number(value: int) -> str:
    return f"{value:,}"


def size(count: int) -> str:
    """Return a number of bytes as readable text, in powers of 1024."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def duration(span: timedelta) -> str:
    """Return a duration in its two largest units: ``4 min 12 s``, ``2 h 5 min``, ``3 d 1 h``."""
    seconds = max(0, round(span.total_seconds()))
    steps = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (large, large_unit), (small, small_unit) in itertools.pairwise(steps):
        if seconds >= large:
            rest = seconds % large // small
            return f"{seconds // large} {large_unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{seconds} s"


def relative(moment: datetime, now: datetime) -> str:
    """Return a time relative to ``now``, in one fitting unit: ``12 min ago``, ``in 3 h``, ``just now``."""
    seconds = (moment - now).total_seconds()
    distance = abs(seconds)
    if distance < 5:
        return "just now" if seconds <= 0 else "now"
    text = _in_one_unit(distance)
    return f"in {text}" if seconds > 0 else f"{text} ago"


def time_left(seconds: float) -> str:
    """Return an estimate in one fitting unit: ``about 12 min left``."""
    return f"about {_in_one_unit(max(1, seconds))} left"


def pace(per_second: float) -> str:
    """Return a rate as readable text: ``12 a second``, ``3.4 a second``, ``20 a minute``."""
    if per_second >= 10:
        return f"{per_second:,.0f} a second"
    return f"{per_second:.1f} a second" if per_second >= 1 else f"{60 * per_second:.0f} a minute"


def stage_note(stage: StageProgress) -> str:
    """Return the note of a stage; while it runs, with its rate and the estimate of the time left."""
    parts = [stage.note]
    if stage.state == "running":
        parts.append("" if stage.per_second is None else pace(stage.per_second))
        parts.append("" if stage.seconds_left is None else time_left(stage.seconds_left))
    return ", ".join(filter(None, parts))


def _in_one_unit(seconds: float) -> str:
    steps = ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h"), (math.inf, 86400, "d"))
    unit_seconds, unit = next((unit_seconds, unit) for limit, unit_seconds, unit in steps if seconds < limit)
    return f"{round(seconds / unit_seconds)} {unit}"


def exact(moment: datetime) -> str:
    """Return a time in full, in its own zone (UTC everywhere in this program)."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _unreachable(remotes: Sequence[RemoteState]) -> Headline | None:
    down = [remote.name for remote in remotes if remote.circuit != "closed"]
    if not down:
        return None
    names = down[0] if len(down) == 1 else ", ".join(down[:-1]) + " and " + down[-1]
    return Headline("bad", f"{names} cannot be reached", "Nothing is lost: work goes on where it stopped.")


def headline(progress: Progress, last: Run | None, objections: Sequence[Objection], now: datetime) -> Headline:
    """Return the most important fact for the user. ``last`` is the latest run that ended."""
    if objections:
        title = "Something needs you" if len(objections) == 1 else f"{len(objections)} things need you"
        return Headline("bad", title, "Until then, syncs cannot do their work.")
    unreachable = _unreachable(progress.remotes)
    if unreachable is not None:
        return unreachable
    if progress.run_id is not None:
        running = [STAGE_WORDS[item.stage] for item in progress.stages if item.state == "running"]
        since = "" if progress.started_at is None else f", started {relative(progress.started_at, now)}"
        kind = progress.kind.capitalize() or "A"
        first = STAGE_WORDS["publish"].doing if progress.kind == "export" else "Syncing"
        title = running[0].doing if running else first
        return Headline("busy", title, f"{kind}{since}" if progress.kind == "export" else f"{kind} sync{since}")
    following = "" if progress.next_sync_at is None else f"Next sync {relative(progress.next_sync_at, now)}"
    if last is None:
        return Headline("good", "Ready for the first sync", following)
    ended = f"Last sync {relative(last.ended_at or last.started_at, now)}"
    detail = f"{ended} · {following}" if following else ended
    unread = last.counts.get("embed_unread", 0)
    if last.outcome == "done" and not unread:
        return Headline("good", "Up to date", detail)
    told = (
        f"{counted(unread, 'picture')} could not be read" if last.outcome == "done" else "The last sync did not finish"
    )
    return Headline("warn", told, detail)
