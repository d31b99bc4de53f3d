"""Fault injection: which requests fail, how, and how often."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["status", "reset", "hang", "slow", "truncate", "html", "corrupt", "wrong_length"]

NEVER_ANY = frozenset({"ping", "version"})
"""Routes that `route="any"` does not affect: real servers answer them even while the database is down."""


@dataclass(slots=True)
class Fault:
    """
    One kind of fault on one route.

    ``after`` matching requests pass first; then every ``every``-th fails, ``times`` in all (None: without limit).
    ``delay`` is in seconds and only for ``slow``; ``status`` and ``retry_after`` (seconds) for ``status`` and ``html``.
    """

    route: str
    kind: Kind
    status: int = 503
    times: int | None = None
    after: int = 0
    every: int = 1
    retry_after: float | None = None
    delay: float = 1.0
    asset_id: str | None = None
    when: Callable[[str, object], bool] | None = None
    seen: int = 0
    """The number of matching requests so far."""
    struck: int = 0
    """The number of requests to which this fault was applied so far."""

    def strikes(self, route: str, asset_id: str | None, query: str, body: object) -> bool:
        if self.route == "any":
            if route in NEVER_ANY:
                return False
        elif self.route not in {route, "all"}:
            return False
        if self.asset_id is not None and asset_id != self.asset_id:
            return False
        if self.when is not None and not self.when(query, body):
            return False
        self.seen += 1
        due = self.seen - self.after
        if due < 1 or due % self.every or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True


@dataclass(slots=True)
class FaultPlan:
    """The active faults. Every matching one counts the request; the first that is due applies."""

    faults: list[Fault] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def add(
        self,
        route: str,
        kind: Kind,
        *,
        status: int = 503,
        times: int | None = None,
        after: int = 0,
        every: int = 1,
        retry_after: float | None = None,
        delay: float = 1.0,
        asset_id: str | None = None,
        when: Callable[[str, object], bool] | None = None,
    ) -> Fault:
        """
        Add a fault on ``route``: a route name of the request log, ``any`` (all but ping and version) or ``all``.

        ``when(query, body)`` narrows it further; ``body`` is the decoded JSON of a search, otherwise None.
        """
        if kind not in get_args(Kind):
            raise ValueError(f"no such kind of fault: {kind!r}")
        fault = Fault(route, kind, status, times, after, every, retry_after, delay, asset_id, when)
        self.faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults; hanging requests are answered."""
        self.faults.clear()
        self.released.set()
        self.released = asyncio.Event()

    def strike(self, route: str, asset_id: str | None, query: str, body: object) -> Fault | None:
        """Return the fault that applies to this request, if any."""
        hits = [fault for fault in self.faults if fault.strikes(route, asset_id, query, body)]
        return hits[0] if hits else None
