"""
The HTTP server of a process: it listens, accepts connections within limits, and stops.

The event loop's own server retries its accepts in a storm once descriptors run out, and logs each with a traceback
(CPython's issue 151615). Hence the loop here, which closes a waiting connection instead.
"""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog
from aiohttp import hdrs, web

from immich_facesets.errors import SetupError
from immich_facesets.runtime.connections import (
    Connection,
    ConnectionLimits,
    Connections,
    caller_at,
    descriptor_limit,
)
from immich_facesets.runtime.listen_address import Listen
from immich_facesets.runtime.rare_log import RareLog

log = structlog.get_logger(__name__)

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_EXPECTED = "100-continue"
_BACKLOG = 512
_ACCEPT_PAUSE_SECONDS = 0.05
_OUT_OF_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_SUCH_ADDRESS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def serve_app(
    app: web.Application, listen: Listen, limits: ConnectionLimits, *, setting: str, stop_seconds: float
) -> AsyncIterator[Listen]:
    """
    Serve the application while the context is open; yield the address that was actually bound.

    A caller's disconnect cancels its handler, and nothing is logged per request. At the end, requests under way have
    ``stop_seconds``, and again as long after their cancellation. Raises ``SetupError`` for an address that is taken,
    and names the ``setting`` that chooses another.
    """
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=stop_seconds)
    await runner.setup()
    try:
        server = runner.server
        if server is None:
            raise RuntimeError("the runner has no server after its setup")
        server.request_handler = _beginning(server.request_handler)
        fitting = limits.within(descriptor_limit())
        if fitting != limits:
            log.info("few_descriptors", connections=fitting.places, usual=limits.places)
        connections = Connections(fitting, RareLog())
        with contextlib.ExitStack() as opened:
            listeners = [opened.enter_context(listener) for listener in await _open_listeners(listen, setting)]
            async with _accepting(server, connections, listeners):
                yield Listen(listen.host, int(listeners[0].getsockname()[1]))
    finally:
        await runner.cleanup()


def _beginning(handle: Handle) -> Handle:
    """Return the handler of the application behind the steps that come before its routes."""

    async def begin(request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.protocol, Connection):
            request.protocol.begin(request)
        # aiohttp quotes a strange one in its answer, which fails where it is not UTF-8.
        if request.headers.get(hdrs.EXPECT, _EXPECTED).lower() != _EXPECTED:
            return web.Response(status=417, text=f"only {_EXPECTED} can be expected")
        return await handle(request)

    return begin


async def _open_listeners(listen: Listen, setting: str) -> list[socket.socket]:
    """Bind every address of the host's name that this machine has; ``localhost`` has one or two."""
    loop = asyncio.get_running_loop()
    opened, failures = list[socket.socket](), list[OSError]()
    try:
        for family, _, _, _, address in dict.fromkeys(
            await loop.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            try:
                opened.append(_open_listener(family, address))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                failures.append(error)
        if not opened:
            raise failures[0]
    except OSError as error:
        for listener in opened:
            listener.close()
        raise SetupError(
            f"cannot listen on {listen}: {error.strerror or error}; choose another address with {setting}"
        ) from error
    return opened


def _open_listener(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two processes share the address
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def _accepting(
    server: web.Server, connections: Connections, listeners: list[socket.socket]
) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_accept(server, connections, listener)) for listener in listeners]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):  # a bug, as cancellation is none
                raise ended


async def _accept(server: web.Server, connections: Connections, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            peer, address = await loop.sock_accept(listener)
        except OSError as error:
            _warn_of(error, connections)
            has_room = error.errno in _OUT_OF_ROOM and connections.make_room()
            await asyncio.sleep(0 if has_room else _ACCEPT_PAUSE_SECONDS)  # the descriptor is free after one turn
            continue
        try:
            await _connect(server, connections, peer, address)
        except Exception as error:  # noqa: BLE001  whatever one connection meets, the next one is accepted
            peer.close()
            _warn_of(error, connections)


def _warn_of(error: Exception, connections: Connections) -> None:
    """Log that there is no connection; one without a reason of the system is a bug, and has its traceback."""
    is_bug = not isinstance(error, OSError)
    why = getattr(error, "strerror", None) or type(error).__name__
    connections.troubles.warn("no_connection", error=error if is_bug else None, why=why)


async def _connect(server: web.Server, connections: Connections, peer: socket.socket, address: Any) -> None:
    """Open the connection of a socket. macOS has no address of a caller that left already."""
    place = connections.admit(caller_at(str(address[0]) if address else ""))
    if place is None:
        _refuse(peer)
        return
    await asyncio.get_running_loop().connect_accepted_socket(lambda: Connection(server, connections, place), peer)


def _refuse(peer: socket.socket) -> None:
    """Tell a caller for whom there is no place, as far as that is possible without waiting."""
    with peer, contextlib.suppress(OSError):
        peer.send(_REFUSAL)
