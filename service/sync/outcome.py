"""How a sync ended, and in which words."""

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
    """One sync, when it is over. ``error`` is what ended it early, for whoever must react."""

    outcome: Outcome
    message: str
    counts: dict[str, int]
    error: Exception | None = None


def cut_off(counts: dict[str, int]) -> Result:
    """What becomes of a sync that is cancelled."""
    return Result(Outcome.STOPPED, "cut off by a stop; the next sync goes on from here", counts)


def together(errors: Collection[SetupError | SourceAwayError]) -> SetupError | SourceAwayError:
    """Several sources' trouble as one: what a person must change counts more than what may pass."""
    message = "; ".join(dict.fromkeys(map(str, errors)))
    is_setup = any(isinstance(error, SetupError) for error in errors)
    return SetupError(message) if is_setup else SourceAwayError(message)


def ended_by(error: TransientError | SetupError, counts: dict[str, int]) -> Result:
    outcome = Outcome.OUTAGE if isinstance(error, TransientError) else Outcome.SETUP
    return Result(outcome, str(error), counts, error)
