"""
Links that sign in a browser of this machine, once: ``http://127.0.0.1:8785/login#TICKET``.

The ticket is the fragment, which no browser sends, so that no log of a server or proxy has it. The script of the login
page posts it. Only digests of tickets are kept, and only in memory: a restart ends them all.
"""

import hashlib
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

LINK_SECONDS: Final = 600.0
MOST_LINKS: Final = 16
"""The most links that are valid at once; a further one ends the oldest."""

_PROXY_HEADERS: Final = (
    hdrs.FORWARDED,
    hdrs.X_FORWARDED_FOR,
    hdrs.X_FORWARDED_HOST,
    hdrs.X_FORWARDED_PROTO,
    hdrs.VIA,
    "X-Real-IP",
)
"""The headers of a proxy: behind one on this machine, every caller has the address of this machine."""


@dataclass(slots=True)
class LoginLinks:
    """The tickets that are valid now. ``uptime`` is a monotonic clock in seconds."""

    uptime: Callable[[], float]
    _until: dict[bytes, float] = field(default_factory=dict, repr=False)

    def issue(self) -> str:
        """Return a new ticket."""
        ticket = secrets.token_urlsafe(32)
        self._until[_digest(ticket)] = self.uptime() + LINK_SECONDS
        if len(self._until) > MOST_LINKS:
            del self._until[next(iter(self._until))]
        return ticket

    def take(self, ticket: str, request: web.Request) -> bool:
        """Return whether this ticket signs in the sender of ``request``. Shown once, it is over, to whatever sender."""
        until = self._until.pop(_digest(ticket), None)
        return until is not None and self.uptime() < until and is_from_here(request)


def is_from_here(request: web.Request) -> bool:
    """Return whether a browser of this machine sent this request, to an address of this machine, through no proxy."""
    if any(name in request.headers for name in _PROXY_HEADERS):
        return False
    try:
        host = urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname or ""
    except ValueError:  # such as [::1
        return False
    return _is_loopback(request.remote or "") and (host == "localhost" or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()
