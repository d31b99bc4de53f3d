"""Answers of read functions that one reader keeps until anything changes."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from service.store.browsing.summaries import Summary, signatures, summaries
from service.store.change_tracking import Version, read_version

P = ParamSpec("P")
T = TypeVar("T")

MOST_ANSWERS = 128
"""The answers about single identities and faces that are kept: those of the latest questions."""


class Kept:
    """
    The answers of read functions for the version of the data that was read last, and the summaries of identities.

    It belongs to one reader: two readers that see different parts of a library need one each. Threads may share it. Answers
    are shared, so nobody changes one. No version covers the tables that `change_tracking` leaves out: never keep an answer
    that is read from them.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._version: Version | None = None
        self._answers: dict[Any, Any] = {}
        self._summaries: dict[int, Summary] = {}

    def at(self, tx: Connection) -> "Now":
        """Return what is kept of the data that a transaction sees."""
        version = read_version(tx)
        with self._turn:
            if version != self._version:  # a new one: a thread may use the old one
                self._version, self._answers = version, {}
            return Now(tx, version, self._answers, self._summaries, self._turn)


@dataclass(frozen=True, slots=True)
class Now:
    """The kept answers for the data that one transaction sees."""

    tx: Connection
    version: Version
    _answers: dict[Any, Any]
    _summaries: dict[int, Summary]
    _turn: threading.Lock

    def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer of a read function to these arguments; it runs once for each version."""
        return self._once((function, *args, *sorted(kwargs.items())), lambda: function(self.tx, *args, **kwargs))

    def derive(self, function: "Callable[[Now], T]") -> T:
        """Return what a function makes of kept answers; it runs once for each version."""
        return self._once((function,), lambda: function(self))

    def _once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        with self._turn:
            if key in self._answers:
                answer: T = self._answers.pop(key)
                self._answers[key] = answer  # the last one to go
                return answer
        found = make()
        with self._turn:
            self._answers[key] = found
            if len(self._answers) > MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
        return found

    def summaries(self, numbers: Collection[int]) -> dict[int, Summary]:
        """Return the summary of each of these identities that has members."""
        everybody = self.read(signatures)
        current = {number: everybody[number] for number in numbers if number in everybody}
        with self._turn:
            known = {number: self._summaries[number] for number in current if number in self._summaries}
        found = summaries(self.tx, current, known, self.version.assets)
        with self._turn:
            self._summaries.update(found)
        return found
