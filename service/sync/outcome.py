"""Outcome of a sync, and its message."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from immich_facesets.errors import SetupError, TransientError
from service.remote.guard import CircuitOpenError
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


def together(errors: Mapping[str, SetupError | TransientError], *, of: int) -> SetupError | CircuitOpenError:
    """
    Combine the errors of several sources, by name; ``of`` sources were to be synced.

    Errors for a user to fix take precedence over an outage. A ``SourceAwayError`` means that there is more to sync than
    what is away.
    """
    message = "; ".join(dict.fromkeys(map(str, errors.values())))
    if any(isinstance(error, SetupError) for error in errors.values()):
        return SetupError(message)
    if len(errors) < of or any(isinstance(error, SourceAwayError) for error in errors.values()):
        return SourceAwayError(message, sources=errors)
    return CircuitOpenError(message)


def ended_by(error: TransientError | SetupError, counts: dict[str, int]) -> Result:
    outcome = Outcome.OUTAGE if isinstance(error, TransientError) else Outcome.SETUP
    return Result(outcome, str(error), counts, error)
