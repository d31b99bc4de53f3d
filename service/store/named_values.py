"""Small named values: settings that stored results depend on."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select

from immich_facesets.calibration.thresholds import PointsInUse
from immich_facesets.grouping.nearly_there import NearlyThere
from immich_facesets.review.answered import AnsweredQuestion, latest
from immich_facesets.review.mixing import Parting
from service.store.tables import facts
from service.store.upsert import BOOKKEEPING, upsert


def read_value(tx: Connection, name: str) -> Any:
    """Return the value of this name (any JSON value), None when it was never written."""
    return tx.scalar(select(facts.c.value).where(facts.c.name == name))


def write_value(tx: Connection, name: str, value: Any, *, options: Mapping[str, Any] | None = None) -> None:
    """Store a value; ``options`` as `upsert` takes them."""
    upsert(tx, facts, [{"name": name, "value": value}], options=options)


_SCOPE = "grouped"


class Scope(msgspec.Struct, frozen=True):
    """The basis of the last grouping, the highest face id it saw, and when all faces were last examined."""

    basis: str
    upto: int
    whole_at: datetime


def read_scope(tx: Connection) -> Scope | None:
    """Return the scope of the last grouping; None before the first, or when another version wrote it."""
    try:
        return msgspec.convert(read_value(tx, _SCOPE), Scope | None)
    except msgspec.ValidationError:
        return None


def write_scope(tx: Connection, scope: Scope) -> None:
    """Store the scope of a grouping."""
    write_value(tx, _SCOPE, msgspec.to_builtins(scope))


def forget_scope(tx: Connection) -> None:
    """Make the next grouping examine all faces."""
    write_value(tx, _SCOPE, None)


_LAST_COMPLETE_SYNC = "settled"


class CompleteSync(msgspec.Struct, frozen=True):
    """
    The state after a sync that left nothing to do.

    ``state``: of the store; ``basis``: of a sync's other inputs; ``outline``: of the export folder, with its number of
    face sets at that time.
    """

    state: str | None
    basis: str
    outline: str
    facesets: int
    at: datetime


def read_last_complete_sync(tx: Connection) -> CompleteSync | None:
    """Return the state of the last such sync; None before the first, or when another version wrote it."""
    try:
        return msgspec.convert(read_value(tx, _LAST_COMPLETE_SYNC), CompleteSync | None)
    except msgspec.ValidationError:
        return None


def write_last_complete_sync(tx: Connection, sync: CompleteSync | None) -> None:
    """Store the settled state; None clears it until another sync completes."""
    write_value(tx, _LAST_COMPLETE_SYNC, msgspec.to_builtins(sync), options=BOOKKEEPING)


THRESHOLDS = "thresholds"


def read_thresholds(tx: Connection) -> PointsInUse | None:
    """Return the last grouping's thresholds; None before the first, or when another version wrote them."""
    try:
        return msgspec.convert(read_value(tx, THRESHOLDS), PointsInUse | None)
    except msgspec.ValidationError:
        return None


def write_thresholds(tx: Connection, used: PointsInUse) -> None:
    """Store the thresholds in use."""
    write_value(tx, THRESHOLDS, msgspec.to_builtins(used))


_NEARLY_THERE = "nearly_there"


def read_nearly_there(tx: Connection) -> NearlyThere | None:
    """Return who was nearly found at the last grouping; None before the first, or when another version wrote it."""
    try:
        return msgspec.convert(read_value(tx, _NEARLY_THERE), NearlyThere | None)
    except msgspec.ValidationError:
        return None


def write_nearly_there(tx: Connection, found: NearlyThere) -> None:
    """Store who was nearly found."""
    write_value(tx, _NEARLY_THERE, msgspec.to_builtins(found))


_PARTINGS = "partings"


def read_partings(tx: Connection) -> dict[int, Parting]:
    """Return the proposals for identities that seem mixed, by number; none when another version wrote them."""
    try:
        return msgspec.convert(read_value(tx, _PARTINGS) or {}, dict[int, Parting], strict=False)
    except msgspec.ValidationError:
        return {}


def write_partings(tx: Connection, found: Mapping[int, Parting]) -> None:
    """Store these proposals, so that the next grouping computes only those that changed."""
    write_value(tx, _PARTINGS, msgspec.to_builtins(found, str_keys=True), options=BOOKKEEPING)


_ANSWERED = "answered_questions"


def read_answered(tx: Connection) -> list[AnsweredQuestion]:
    """Return the questions that decisions settled, the oldest first; none when another version wrote them."""
    try:
        return msgspec.convert(read_value(tx, _ANSWERED) or [], list[AnsweredQuestion])
    except msgspec.ValidationError:
        return []


def write_answered(tx: Connection, answered: Sequence[AnsweredQuestion]) -> None:
    """Store the latest of these questions."""
    write_value(tx, _ANSWERED, msgspec.to_builtins(latest(answered)), options=BOOKKEEPING)


_DIRECTORIES_TO_ERASE = "directories_to_erase"


def read_directories_to_erase(tx: Connection) -> list[str]:
    """Return the directories that forgotten people ever had in the export folder, while their erasure is open."""
    return list(read_value(tx, _DIRECTORIES_TO_ERASE) or ())


def add_directories_to_erase(tx: Connection, directories: Collection[str]) -> None:
    """Store further directories of people who are forgotten now."""
    known = sorted({*read_directories_to_erase(tx), *directories})
    write_value(tx, _DIRECTORIES_TO_ERASE, known, options=BOOKKEEPING)


def forget_directories_to_erase(tx: Connection) -> None:
    """Leave none of these directories, as nothing of them is there any more."""
    write_value(tx, _DIRECTORIES_TO_ERASE, [], options=BOOKKEEPING)


GUARDRAILS, QUESTIONS = "guardrails", "questions"
"""The facts with sentences for the status: what looks wrong, and what only a user can answer."""


def forget_findings(tx: Connection) -> None:
    """Delete what the last grouping found of single people, and what was answered; the next one finds the rest again."""
    tx.execute(delete(facts).where(facts.c.name.in_((GUARDRAILS, QUESTIONS, _NEARLY_THERE, _PARTINGS, _ANSWERED))))


_ENDED_SESSIONS = "ended_sessions"


def read_ended_sessions(tx: Connection) -> dict[str, int]:
    """Return the ids of sessions of the pages that were logged out, with the second in which each would have expired."""
    return msgspec.convert(read_value(tx, _ENDED_SESSIONS) or {}, dict[str, int])


def write_ended_sessions(tx: Connection, ended: Mapping[str, int]) -> None:
    """Store all ended sessions; the results of syncs do not depend on them."""
    write_value(tx, _ENDED_SESSIONS, dict(ended), options=BOOKKEEPING)
