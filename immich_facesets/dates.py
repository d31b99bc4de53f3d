"""Dates as ISO text, and as days since 1970, and what the date of a picture is worth."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

_EPOCH = date(1970, 1, 1).toordinal()
_SECONDS_PER_DAY = 86400
_DATE_LENGTH = 10  # of YYYY-MM-DD; a time may follow

FIRST_PHOTOGRAPH = date(1826, 1, 1)
"""No photograph is older."""

_CLOCKS = timedelta(days=1)
"""Local dates are ahead of UTC by up to 14 hours, and clocks differ: a date this little in the future is possible."""


class DateKind(StrEnum):
    """
    The worth of the date of a picture.

    ``CAMERA``: a camera wrote it when it took the picture. ``METADATA``: other metadata state when the picture was
    taken, written by a program or a person. ``FILE``: when the file was made, changed, scanned or uploaded.
    ``IMPOSSIBLE``: in the future, or before photography. ``OPEN``: not known yet, because the source could not be asked.
    A date before the birth of a person in the picture is
    impossible too, but only for that person.
    """

    CAMERA = "camera"
    METADATA = "metadata"
    FILE = "file"
    IMPOSSIBLE = "impossible"
    OPEN = "open"


EVIDENCE = (DateKind.CAMERA, DateKind.METADATA)
"""The kinds of dates that tell when a picture was taken, best first. Ages and eras use no others."""

_BEST_FIRST = tuple(DateKind)


@dataclass(frozen=True, slots=True)
class StatedDate:
    """A date that a picture states, and its kind. ``moment``: local time there, aware where the zone is."""

    moment: datetime
    kind: DateKind


def judged(kind: DateKind, day: date, latest: date) -> DateKind:
    """Return the worth of a date; ``latest``: the day when the picture certainly existed, such as today."""
    return kind if day >= FIRST_PHOTOGRAPH and day - _CLOCKS <= latest else DateKind.IMPOSSIBLE


def best_date(stated: Iterable[StatedDate], latest: date) -> StatedDate | None:
    """Return the date that is worth most, the first of equal ones; None without any."""
    found = [StatedDate(one.moment, judged(one.kind, one.moment.date(), latest)) for one in stated]
    return min(found, key=lambda one: _BEST_FIRST.index(one.kind), default=None)


def read_date(text: str | None) -> date | None:
    """Return the date of an ISO date, or of an ISO date and time; None for anything else."""
    try:
        return date.fromisoformat((text or "")[:_DATE_LENGTH])
    except ValueError:
        return None


def day_of(text: str | None) -> float | None:
    """Return the days since 1970 of an ISO date, or of an ISO date and time; None for anything else."""
    day = read_date(text)
    return None if day is None else float(day.toordinal() - _EPOCH)


def day_of_instant(moment: datetime | None) -> float | None:
    """Return the days since 1970 of an instant, in UTC and with the part of the day; None without one."""
    return None if moment is None else moment.timestamp() / _SECONDS_PER_DAY


def date_of(day: float) -> date:
    """Return the date of a number of days since 1970."""
    return date.fromordinal(int(day) + _EPOCH)


def completed_years(born: date, day: date) -> int:
    """Return the age on a day, below 0 before the birth; one born on 29 February has the birthday on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def span_of(text: str | None) -> tuple[float, float]:
    """
    Return the earliest and the latest moment that an ISO date states, in seconds of its own clock.

    A date without a time is a whole day; anything else is all time.
    """
    day = read_date(text)
    if day is None or text is None:
        return (-math.inf, math.inf)
    start = float(day.toordinal() * _SECONDS_PER_DAY)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or len(text) <= _DATE_LENGTH:
        return (start, start + _SECONDS_PER_DAY)
    seconds = start + timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second).total_seconds()
    return (seconds, seconds)
