"""Callers that write HTTP by hand: slowly, wrongly, or not at all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from immich_facesets.runtime.listen_address import Listen

HANG_SECONDS = 20.0
"""When a server has not done what it should: far above every limit of these tests."""


@dataclass(frozen=True, slots=True)
class RawCaller:
    """One connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def drip(self, data: bytes, pause_seconds: float) -> None:
        """Send byte by byte until the server closes the connection."""
        for number in range(len(data)):
            await self.send(data[number : number + 1])
            await asyncio.sleep(pause_seconds)

    async def rest(self) -> bytes:
        """Return what comes until the server closes the connection; a server that never does is a ``TimeoutError``."""
        async with asyncio.timeout(HANG_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def head(self) -> bytes:
        """Return the head of the next response, ``b""`` when the connection is closed instead."""
        async with asyncio.timeout(HANG_SECONDS):
            try:
                return await self.reader.readuntil(b"\r\n\r\n")
            except (ConnectionError, asyncio.IncompleteReadError):
                return b""

    @property
    def is_closed(self) -> bool:
        return self.reader.at_eof() or self.reader.exception() is not None


@contextlib.asynccontextmanager
async def calling(listen: Listen) -> AsyncIterator[RawCaller]:
    reader, writer = await asyncio.open_connection(listen.host, listen.port)
    try:
        yield RawCaller(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def status_of(listen: Listen, path: str = "/healthz") -> int:
    """Return the status of a GET by a new caller, or 0 when the server closes the connection instead."""
    async with calling(listen) as caller:
        await caller.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        words = (await caller.rest()).split(b" ", 2)
    return int(words[1]) if len(words) > 1 else 0
