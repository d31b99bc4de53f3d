"""The log of requests, so that a test can assert "this run downloads nothing"."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Asked(NamedTuple):
    """One request. ``route`` is the short name (``search``, ``faces``, ``original``, ...), ``body`` decoded JSON."""

    method: str
    route: str
    asset_id: str | None
    query: str
    body: object


@dataclass(slots=True)
class RequestLog:
    """All requests in order of arrival, and the number in flight."""

    entries: list[Asked] = field(default_factory=list)
    by_route: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    peak_in_flight: int = 0

    def arrived(self, asked: Asked) -> None:
        self.entries.append(asked)
        self.by_route[asked.route] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def left(self) -> None:
        self.in_flight -= 1

    def count(self, *routes: str) -> int:
        """Return the number of requests on these routes; on all routes when none is named."""
        return sum(self.by_route[route] for route in routes) if routes else len(self.entries)

    def assets(self, route: str) -> list[str]:
        """Return the asset ids requested on this route, in order, with repetitions."""
        return [asked.asset_id for asked in self.entries if asked.route == route and asked.asset_id is not None]

    def bodies(self, route: str = "search") -> list[object]:
        return [asked.body for asked in self.entries if asked.route == route]

    def clear(self) -> None:
        self.entries.clear()
        self.by_route.clear()
        self.peak_in_flight = self.in_flight

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Asked]:
        return iter(self.entries)
