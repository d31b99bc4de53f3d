"""Many at once, or one alone: turns at something that several share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SharedLock:
    """``together`` lets everybody in who asks; ``alone`` waits until nobody is in, and lets nobody else in meanwhile."""

    def __init__(self) -> None:
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._open = asyncio.Event()
        self._open.set()
        self._line = asyncio.Lock()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        while not self._open.is_set():  # again: another may have closed it between the call and our turn
            await self._open.wait()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._line:
            self._open.clear()
            try:
                await self._empty.wait()
                yield
            finally:
                self._open.set()
