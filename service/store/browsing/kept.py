"""Answers of read functions that one reader keeps until a table changes that they are read from."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from service.store.browsing.summaries import Summary, signatures, summaries
from service.store.change_tracking import (
    LOG_TABLES,
    OF_NOBODY,
    VERSIONED,
    Versions,
    note_read,
    read_versions,
    reading,
)

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

MOST_ANSWERS = 128
"""The answers about single identities and faces that are kept: those of the latest questions."""


_ABOUT_PEOPLE: set[Callable[..., Any]] = set()


def about_people(function: F) -> F:
    """Mark a read function that sees pictures, faces and crops of members alone: nothing of nobody changes its answer."""
    _ABOUT_PEOPLE.add(function)
    return function


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer with the versions that it was read at, and the names of these."""

    answer: Any
    names: frozenset[str]
    basis: tuple[str | None, ...]


class Kept:
    """
    The answers of read functions, each with the versions of the tables that its statements named, and the summaries of
    identities.

    It belongs to one reader: two readers that see different parts of a library need one each. Threads may share it. Answers
    are shared, so nobody changes one. An answer that is read from a table without a version is not kept.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._answers: dict[Any, _Answer] = {}
        self._summaries: dict[int, Summary] = {}

    def at(self, tx: Connection) -> "Now":
        """Return what is kept of the data that a transaction sees."""
        is_of_views = "schema_translate_map" in tx.get_execution_options()
        return Now(tx, read_versions(tx), self._answers, self._summaries, self._turn, is_of_views)


@dataclass(frozen=True, slots=True)
class Now:
    """
    The kept answers for the data that one transaction sees.

    ``is_of_views``: views stand in the place of the tables. Any of them may read any table, so each answer depends on all.
    """

    tx: Connection
    versions: Versions
    _answers: dict[Any, _Answer]
    _summaries: dict[int, Summary]
    _turn: threading.Lock
    is_of_views: bool = False

    def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer of a read function to these arguments; it runs once for the versions that it depends on."""
        unseen = {OF_NOBODY} if function in _ABOUT_PEOPLE else set[str]()
        key = (function, *args, *sorted(kwargs.items()))
        return self._once(key, lambda: function(self.tx, *args, **kwargs), unseen)

    def derive(self, function: "Callable[[Now], T]") -> T:
        """Return what a function makes of kept answers; it runs once for the versions that these depend on."""
        return self._once((function,), lambda: function(self), set())

    def _once(self, key: tuple[Any, ...], make: Callable[[], T], unseen: set[str]) -> T:
        with self._turn:
            known = self._answers.pop(key, None)
            if known is not None:
                self._answers[key] = known  # the last one to go
        if known is None or known.basis != self._at(known.names):
            with reading(self.tx) as read:
                found = make()
            known = self._kept(key, found, frozenset(read - unseen))
        note_read(self.tx, known.names)
        answer: T = known.answer
        return answer

    def _kept(self, key: tuple[Any, ...], found: Any, names: frozenset[str]) -> _Answer:
        """Keep an answer, if each table that it is read from has a version."""
        new = _Answer(found, names, self._at(names))
        with self._turn:
            self._answers.pop(key, None)
            if names.isdisjoint(LOG_TABLES):
                self._answers[key] = new
            if len(self._answers) > MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
        return new

    def _at(self, names: frozenset[str]) -> tuple[str | None, ...]:
        """Return the versions of these names now."""
        wanted = VERSIONED if self.is_of_views else names
        return tuple(self.versions.get(name) for name in sorted(wanted))

    def summaries(self, numbers: Collection[int]) -> dict[int, Summary]:
        """Return the summary of each of these identities that has members."""
        everybody = self.read(signatures)
        current = {number: everybody[number] for number in numbers if number in everybody}
        with self._turn:
            known = {number: self._summaries[number] for number in current if number in self._summaries}
        found = summaries(self.tx, current, known, self.versions)
        with self._turn:
            self._summaries.update(found)
        return found
