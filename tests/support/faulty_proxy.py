"""A TCP proxy in front of a server: it forwards connections, or fails in one of the ways in which servers fail."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from service.demo.immich.listener import close_listener, reset

Fault = Literal["refused", "hanging", "unavailable"]

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FaultyProxy:
    """
    A TCP proxy on a port of its own.

    ``trip`` sets the fault at the n-th request of a kind; that request never gets an answer.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._behind = (parts.hostname, parts.port)
        self._fault: Fault | None = None
        self._only = b""
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._awaited, self._left = b"", 0
        self._action: Callable[[], Awaitable[None]] | None = None
        self.tripped = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def trip(self, request: str, nth: int, action: Callable[[], Awaitable[None]]) -> None:
        """Call this at the ``nth`` request from now on whose head begins with ``request``."""
        self._awaited, self._left, self._action = request.encode(), nth, action

    async def open(self) -> None:
        """Forward everything (again)."""
        self._fault = None
        await self._listen()

    async def shut(self, fault: Fault, *, only: str = "") -> None:
        """Break every open connection, and give new ones this fault, or ``only`` requests like this."""
        self._fault, self._only = fault, only.encode()
        if fault == "refused" and self._listener is not None:
            await close_listener(self._listener)
            self._listener = None
        for writer in self._writers:
            reset(writer.transport)  # type: ignore[arg-type]  # a stream's transport is an asyncio.Transport

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
            self._port = self._listener.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Not a coroutine: a task that is cancelled before its first step would leave its connection open."""
        self._writers.add(writer)
        connection = asyncio.create_task(self._handle(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._fault is None or self._only:
                await self._forward(reader, writer)
            elif self._fault == "unavailable":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_UNAVAILABLE)
                await writer.drain()
            else:
                while await reader.read(65536):
                    pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side may close the connection
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*self._behind)
        self._writers.add(inner_writer)
        try:
            there = asyncio.create_task(self._copy(reader, inner_writer, is_asking=True))
            back = asyncio.create_task(self._copy(inner_reader, writer))
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            there.cancel()
            back.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            self._writers.discard(inner_writer)
            inner_writer.close()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_asking: bool = False
    ) -> None:
        while block := await reader.read(65536):
            if is_asking and self._action is not None and block.startswith(self._awaited):
                self._left -= 1
                if self._left <= 0:
                    action, self._action = self._action, None
                    await action()
                    self.tripped.set()
                    return
            if is_asking and self._fault is not None and block.startswith(self._only):
                return  # to the client it looks as if the server broke off
            writer.write(block)
            await writer.drain()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shut("refused")
        if self._connections:
            await asyncio.wait(self._connections)
