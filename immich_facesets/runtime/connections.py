"""
The connections of an HTTP server: how many there may be, and how long each may wait for its caller.

aiohttp alone closes only idle connections, after an hour, and has no limit to their number.
"""

import asyncio
import ipaddress
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from immich_facesets.runtime.rare_log import RareLog

HEAD_BYTES = 1 << 20
"""The most that may arrive before a request begins: its headers, and the part of its body that comes with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """
    The limits of one server, which ``docs/operations.md`` lists.

    ``places`` counts all connections, ``health_places`` of which take only ``/healthz`` and ``/readyz``.
    ``body_seconds`` and ``body_bytes`` are for one request, ``header_bytes`` for one header.
    """

    places: int = 512
    places_of_address: int = 256
    health_places: int = 16
    head_seconds: float = 20.0
    idle_seconds: float = 75.0
    send_seconds: float = 30.0
    linger_seconds: float = 5.0
    body_seconds: float = 20.0
    body_bytes: int = 1 << 20
    header_bytes: int = 8190
    headers: int = 64

    def within(self, descriptors: int | None) -> Self:
        """Return the limits with at most half of the descriptors for connections; None is any number of them."""
        if descriptors is None or descriptors // 2 >= self.places:
            return self
        places = max(8, descriptors // 2)
        return replace(
            self,
            places=places,
            places_of_address=min(self.places_of_address, places // 2),
            health_places=min(self.health_places, places // 4),
        )


def descriptor_limit() -> int | None:
    """Return how many files and sockets this process may have open; None without a limit."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  Windows lacks it

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def caller_at(address: str) -> str:
    """Return whom an address counts for: an IPv4 address, or the /64 of an IPv6 one, which one host has whole."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a connection: the caller it counts for, and whether it serves the health paths only."""

    caller: str
    is_for_health: bool = False


class Connections:
    """
    All connections of one server.

    A new one that finds no place takes that of the connection that has waited longest for its caller. Where none waits,
    as all are being answered, the health places are left.
    """

    def __init__(self, limits: ConnectionLimits, troubles: RareLog) -> None:
        self.limits = limits
        self.troubles = troubles
        self._held: dict[Connection, Place] = {}
        self._of_caller: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, caller: str) -> Place | None:
        """Return the place of a new connection, or None when there is none left."""
        limits, health = self.limits, sum(place.is_for_health for place in self._held.values())
        is_crowded = self._of_caller[caller] >= limits.places_of_address
        if not is_crowded and len(self._held) - health < limits.places - limits.health_places:
            return Place(caller)
        self.troubles.warn("connections_full", held=len(self._held), of_one_address=is_crowded)
        if self.make_room(lambda place: not place.is_for_health and (not is_crowded or place.caller == caller)):
            return Place(caller)
        if health < limits.health_places or self.make_room(lambda place: place.is_for_health):
            return Place(caller, is_for_health=True)
        return None

    def make_room(self, is_meant: Callable[[Place], bool] = lambda _place: True) -> bool:
        """Close the connection that has waited longest, of those given; return False where none waits."""
        waiting = [held for held, place in self._held.items() if held.is_waiting and is_meant(place)]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda connection: connection.waits_since)
        self.remove(oldest)
        oldest.abort()
        return True

    def add(self, connection: "Connection", place: Place) -> None:
        self._held[connection] = place
        if not place.is_for_health:
            self._of_caller[place.caller] += 1

    def remove(self, connection: "Connection") -> None:
        place = self._held.pop(connection, None)
        if place is not None and not place.is_for_health:
            self._of_caller[place.caller] -= 1
            if not self._of_caller[place.caller]:
                del self._of_caller[place.caller]


class Connection(web.RequestHandler):
    """
    One connection, closed when its caller keeps it waiting.

    aiohttp calls the overridden methods. The server calls ``begin`` once the head of a request has arrived.
    """

    def __init__(self, server: web.Server, connections: Connections, place: Place) -> None:
        limits = connections.limits
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            lingering_time=limits.linger_seconds,
            access_log=None,  # type: ignore[arg-type]  # None is no access log, as with a runner
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
            auto_decompress=False,
        )
        self.limits = limits
        self.place = place
        self._connections = connections
        self._request: web.BaseRequest | None = None
        """The request that is being answered."""
        self._incomplete: web.BaseRequest | None = None
        """The request whose body has not arrived; aiohttp waits for it for a moment after the response, too."""
        self._is_sending = False
        self._has_begun_head = True  # a connection is opened in order to send one
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self.waits_since = self._loop.time()

    @property
    def is_waiting(self) -> bool:
        """Whether the next step is the caller's: to send a request, the rest of one, or to take the response."""
        return self._request is None or self._incomplete is not None or self._is_sending

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self, self.place)
        self._close_after(self.limits.head_seconds)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._request is not None:
            self._count(len(data), HEAD_BYTES + self.limits.body_bytes)
        elif self._incomplete is None and data:
            self._count(len(data), HEAD_BYTES)
            if not self._has_begun_head:
                self._has_begun_head = True
                self._close_after(self.limits.head_seconds)
        super().data_received(data)

    def _count(self, size: int, limit: int) -> None:
        self._bytes += size
        if self._bytes > limit:
            self._connections.troubles.warn("request_too_large", limit_bytes=limit)
            self.abort()

    def begin(self, request: web.BaseRequest) -> None:
        """Record that the head of a request has arrived. Its body may be under way."""
        self._stop_timer()
        self._request = self._incomplete = request
        self.waits_since = self._loop.time()
        request.content.on_eof(lambda: self._arrived(request))

    def _arrived(self, request: web.BaseRequest) -> None:
        if self._incomplete is request:
            self._incomplete = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the response; a caller that does not take it within ``send_seconds`` loses the connection."""
        self._is_sending, self.waits_since = True, self._loop.time()
        if self.place.is_for_health:
            resp.force_close()
        try:
            async with asyncio.timeout(self.limits.send_seconds):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self._connections.troubles.warn("slow_reader", seconds=self.limits.send_seconds)
            self.abort()
            raise ConnectionError("the caller did not take the response") from None
        finally:
            self._request, self._is_sending, self._has_begun_head = None, False, False
            self._bytes, self.waits_since = 0, self._loop.time()
            self._close_after(self.limits.idle_seconds)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what aiohttp could not handle: a malformed request without its content, the rest with its traceback."""
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError):
            self._connections.troubles.warn("malformed_request", fault=type(error).__name__)
        else:
            known = error if isinstance(error, BaseException) else None
            self._connections.troubles.warn("request_failed", error=known, what=str(args[0]) if args else "")

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()

    def _close_after(self, seconds: float) -> None:
        self._stop_timer()
        if self.transport is not None:
            self._timer = self._loop.call_later(seconds, self._run_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run_out(self) -> None:
        if self._has_begun_head:
            self._connections.troubles.warn("slow_request", seconds=self.limits.head_seconds)
        self.abort()
