"""Concurrent work on many items, by tasks with an owner."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

ROUNDS = 3
"""Number of rounds over the items; each further one repeats those that failed because of a remote."""

QUESTIONS_AT_ONCE = 16
"""How many questions about single assets or people one source is asked at once, at most; its pacing may admit fewer."""


async def fan_out(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], *, workers: int, stop: asyncio.Event
) -> None:
    """
    Pass every item to ``work``, ``workers`` at a time, in order of arrival.

    The first error cancels the other tasks and is raised itself, not in a group. Once ``stop`` is set no new item is
    started; items in progress are finished.
    """
    turn = asyncio.Lock()

    async def draw() -> T | None:
        async with turn:
            if stop.is_set():
                return None
            return await anext(items, None)

    async def worker() -> None:
        while (item := await draw()) is not None:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(worker())
    except BaseExceptionGroup as error:
        raise first_error(error) from None


async def each(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items, for ``fan_out``."""
    for item in items:
        yield item


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first single error of a group, which a caller can handle."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
