"""The memory budget of the pictures in progress: their files and their decoded pixels."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class MemoryBudget:
    """
    Counts bytes up to ``most``. A file is accepted or refused at once; pixels wait, because their file is accepted
    already.

    The only picture in progress is always accepted, whatever its size: the limits of one picture are checked elsewhere.
    Up to ``decoders`` pictures are decoded at once, before the sizes of their pixels are counted.
    """

    def __init__(self, most: int, *, decoders: int) -> None:
        self._most = most
        self._files = 0
        self._file_bytes = 0
        self._pictures = 0
        self._pixel_bytes = 0
        self._decoding = asyncio.Semaphore(decoders)
        self._freed = asyncio.Event()

    @property
    def taken(self) -> int:
        """Bytes held now."""
        return self._file_bytes + self._pixel_bytes

    def has_for(self, size_bytes: int) -> bool:
        """Return whether a file of this size may be accepted."""
        return not self._files or self.taken + size_bytes <= self._most

    @contextmanager
    def file(self, size_bytes: int) -> Iterator[None]:
        self._files += 1
        self._file_bytes += size_bytes
        try:
            yield
        finally:
            self._files -= 1
            self._file_bytes -= size_bytes
            self._freed.set()

    @asynccontextmanager
    async def turn_to_decode(self) -> AsyncIterator[None]:
        """Wait until pixels may be added; ``pixels``, called inside, counts their bytes."""
        async with self._decoding:
            while self._pictures and self.taken >= self._most:
                self._freed.clear()
                await self._freed.wait()
            yield

    @contextmanager
    def pixels(self, size_bytes: int) -> Iterator[None]:
        self._pictures += 1
        self._pixel_bytes += size_bytes
        try:
            yield
        finally:
            self._pictures -= 1
            self._pixel_bytes -= size_bytes
            self._freed.set()
