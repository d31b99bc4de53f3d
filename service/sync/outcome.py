"""Outcome of a sync, and its message."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from immich_facesets.errors import SetupError, TransientError
from service.sources import SourceAwayError

UP_TO_DATE = "everything is up to date"


class Outcome(StrEnum):
    """How a sync ended."""

    DONE = "done"
    OUTAGE = "outage"
    SETUP = "setup"
    STOPPED = "stopped"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one sync. ``error`` is the error that ended it early, for the caller to handle."""

    outcome: Outcome
    message: str
    counts: dict[str, int]
    error: Exception | None = None


def cut_off(counts: dict[str, int]) -> Result:
    """Return the result of a sync that is cancelled."""
    return Result(Outcome.STOPPED, "cut off by a stop; the next sync goes on from here", counts)


def together(errors: Collection[SetupError | SourceAwayError]) -> SetupError | SourceAwayError:
    """Combine the errors of several sources: those that a user must fix take precedence over transient ones."""
    message = "; ".join(dict.fromkeys(map(str, errors)))
    is_setup = any(isinstance(error, SetupError) for error in errors)
    return SetupError(message) if is_setup else SourceAwayError(message)


def ended_by(error: TransientError | SetupError, counts: dict[str, int]) -> Result:
    outcome = Outcome.OUTAGE if isinstance(error, TransientError) else Outcome.SETUP
    return Result(outcome, str(error), counts, error)
