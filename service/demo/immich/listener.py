"""The address of the fake server: where it listens, its outages, and connections that break."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

NODE_KEEPALIVE_SECONDS = 6.0
"""The idle time after which real servers close a connection."""

_TURNS_TO_ARRIVE = 3  # event loop iterations from an accepted connection to its protocol


async def close_listener(listener: asyncio.Server) -> None:
    """Close the listener once accepted connections have their protocol; up to Python 3.12 they would stay open."""
    loop = asyncio.get_running_loop()
    for sock in listener.sockets:
        loop.remove_reader(sock.fileno())
    for _ in range(_TURNS_TO_ARRIVE):
        await asyncio.sleep(0)
    listener.close()


def reset(transport: asyncio.Transport | None) -> None:
    """Abort a connection with a TCP reset instead of an orderly close."""
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def break_off(request: web.BaseRequest) -> None:
    """Reset the connection and block until the handler is cancelled with it."""
    reset(request.transport)
    await asyncio.Event().wait()


class Listener:
    """A server on one address, which can be away for a while. ``keepalive_timeout`` is in seconds."""

    def __init__(self, keepalive_timeout: float) -> None:
        self._keepalive_timeout = keepalive_timeout
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._host, self._port = "127.0.0.1", 0
        self._requests_to_live: int | None = None

    async def start(
        self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], host: str, port: int
    ) -> str:
        """Listen and return the address."""
        self._web = web.Server(
            handle, handler_cancellation=True, keepalive_timeout=self._keepalive_timeout, access_log=None
        )
        self._host, self._port = host, port
        await self.resume()
        return f"http://{host}:{self._port}"

    async def stop(self) -> None:
        await self.refuse()
        if self._web is not None:
            await self._web.shutdown(1.0)

    async def refuse(self) -> None:
        """Start an outage: open connections are reset, new ones refused."""
        if self._listener is not None:
            await close_listener(self._listener)
            self._listener = None
        for connection in self._web.connections if self._web is not None else ():
            reset(connection.transport)
        await asyncio.sleep(0)

    async def resume(self) -> None:
        """End an outage: listen again, on the same port."""
        if self._web is None:
            raise RuntimeError("start the server first")
        self._requests_to_live = None
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._web, self._host, self._port, backlog=512)
        self._port = self._listener.sockets[0].getsockname()[1]

    def die_after(self, requests: int) -> None:
        """Answer this many further requests, then reset connections and refuse new ones until ``resume``."""
        self._requests_to_live = requests

    async def live_or_die(self, request: web.BaseRequest) -> None:
        """Count a request; the first one too many starts the outage."""
        if self._requests_to_live is not None:
            self._requests_to_live -= 1
            if self._requests_to_live < 0:
                await self.refuse()
                await break_off(request)
