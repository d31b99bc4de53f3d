"""Turns at the crops of a picture: an erasure deletes none that a sync is about to refer to."""

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from weakref import WeakValueDictionary


class PictureTurns:
    """Locks of pictures by SHA-256. A sync holds that of a picture from before its crops are written until its rows are."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, sha256: str) -> asyncio.Lock:
        """Return the lock of a picture."""
        return self._locks.setdefault(sha256, asyncio.Lock())

    async def take_free(self, sha256s: Collection[str], held: AsyncExitStack) -> set[str]:
        """Take the turns of those of these pictures that nobody has, until ``held`` ends; return these pictures."""
        free = [sha256 for sha256 in sha256s if not self.of(sha256).locked()]
        for sha256 in free:
            await held.enter_async_context(self.of(sha256))
        return set(free)
