"""Dates as ISO text, and as days since 1970."""

from datetime import date, datetime

_EPOCH = date(1970, 1, 1).toordinal()
_SECONDS_PER_DAY = 86400
_DATE_LENGTH = 10  # of YYYY-MM-DD; a time may follow


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
