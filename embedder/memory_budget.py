"""The memory budget of the pictures in progress: their files, their decoding and their pixels."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from immich_facesets.errors import ItemError

FILES_SHARE = 4
"""Waiting files take up to a quarter of the budget: the rest is for the decoding."""


class Room:
    """The memory of one picture, from its decoding on."""

    def __init__(self, budget: "MemoryBudget") -> None:
        self._budget = budget
        self.size_bytes = 0

    async def take(self, size_bytes: int) -> None:
        """Wait until so many bytes are free; ``ItemError`` when they never are."""
        await self._budget.take(self, size_bytes)

    async def wait(self) -> None:
        """Wait until any bytes are free, where their number is not known yet."""
        await self._budget.take(self, 0)

    def keep(self, size_bytes: int) -> None:
        """Count so many bytes from now on."""
        self._budget.keep(self, size_bytes)


class MemoryBudget:
    """
    Counts bytes up to ``most``. A file is accepted or refused at once; its decoding waits, because it is accepted
    already, and the first one that waits goes first.

    The only file in progress is always accepted: its size is limited elsewhere.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._files = 0
        self._file_bytes = 0
        self._rooms = set[Room]()
        self._entry = asyncio.Lock()
        self._freed = asyncio.Event()

    @property
    def taken(self) -> int:
        """Bytes held now."""
        return self._file_bytes + sum(room.size_bytes for room in self._rooms)

    def has_for(self, size_bytes: int) -> bool:
        """Return whether a file of this size may be accepted."""
        fits = self._file_bytes + size_bytes <= self._most // FILES_SHARE and self.taken + size_bytes <= self._most
        return not self._files or fits

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

    @contextmanager
    def room(self) -> Iterator[Room]:
        """The room of one picture; nothing is counted in it yet."""
        room = Room(self)
        try:
            yield room
        finally:
            self._rooms.discard(room)
            self._freed.set()

    async def take(self, room: Room, size_bytes: int) -> None:
        most = self._most - self._most // FILES_SHARE
        if size_bytes > most:
            raise ItemError(
                f"decoding the picture takes {size_bytes >> 20} MiB, more than the {most >> 20} MiB that are left for one "
                "(three quarters of FACESETS_EMBEDDER_MAX_MEMORY)",
                reason="too_much_memory",
            )
        async with self._entry:
            while self._others(room) and (self.taken + size_bytes > self._most or self.taken >= self._most):
                self._freed.clear()
                await self._freed.wait()
            self._rooms.add(room)
            room.size_bytes = size_bytes

    def _others(self, room: Room) -> bool:
        """Return whether any other picture holds memory."""
        return any(other.size_bytes for other in self._rooms if other is not room)

    def keep(self, room: Room, size_bytes: int) -> None:
        room.size_bytes = size_bytes
        self._freed.set()
