"""
A keyset sweep that lists every picture once, newest first, although Immich's pages drift.

Each query begins where the last answer ended: at its last time plus a millisecond, because times are cut to
milliseconds. It always reads the first page, and duplicates are dropped. Pages are walked only when a whole page
shares one instant. A window that Immich cannot list is halved until the bad spot is small; it is reported and skipped.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from immich_facesets.errors import SetupError, TransientError
from service.sources.immich.api_errors import AnswerError
from service.sources.immich.api_versions import Dialect, Query, as_text
from service.sources.immich.conversion import FIRST_INSTANT, LAST_INSTANT, instant
from service.sources.immich.payloads import AssetPayload, AssetSection

MILLISECOND = timedelta(milliseconds=1)

WALK_SIZES = (1.0, 0.7, 0.5, 0.3)
"""Page sizes, as fractions of the full page, for rereading a tie: 2.7 loses different rows at different edges."""

MOST_FAILED_QUESTIONS = 500
"""The most failed queries of a sweep. One bad spot takes some 50; beyond this, bad spots are not the cause."""

MOST_AT_ONCE = 2_000_000
"""The most rows of pictures that share one instant."""

Ask = Callable[[Query], Awaitable[AssetSection]]
"""A function that sends one query and returns the answer; ``AnswerError`` if Immich cannot answer it."""


@dataclass(slots=True)
class Found:
    """
    Part of a sweep: pictures new to it, or a window that could not be listed, in words.

    ``impossible``: ids, "" where there is none, and reasons of the pictures whose data break their type.
    """

    items: tuple[AssetPayload, ...] = ()
    impossible: tuple[tuple[str, str], ...] = ()
    bad_spot: str | None = None


@dataclass(slots=True)
class Sweep:
    """
    One sweep. ``seen`` holds the ids already listed and may be shared by several sweeps of one listing.

    ``ask_once`` sends a query without retries: for locating a bad spot, where failures are expected.
    """

    dialect: Dialect
    query: Query
    ask: Ask
    ask_once: Ask
    seen: set[str] = field(default_factory=set)
    _failed: int = 0

    async def run(self) -> AsyncIterator[Found]:
        """Yield all results of ``query``; raises ``SetupError`` if Immich ignores its conditions."""
        async for found in self._window(self.query.taken_from, self.query.taken_to, self.ask):
            yield found

    async def _window(self, first: datetime | None, last: datetime | None, ask: Ask) -> AsyncIterator[Found]:
        """Yield all pictures taken between two instants, both inclusive; None is unbounded."""
        while True:
            query = self.query.between(first, last)
            try:
                section = await self._checked(ask, query)
            except AnswerError as error:
                if error.reason != "server_error":
                    raise
                async for found in self._halves(first, last, error):
                    yield found
                return
            yield Found(self._unseen(section.items), section.impossible)
            if self.dialect.next_place(section) is None or not section.items:
                return
            oldest = _whole_milliseconds(instant(section.items[-1].file_created_at))
            following = _later(oldest)
            if last is None or following < last:
                last = following
                continue
            async for found in self._tie(oldest, len(section.items), ask):
                yield found
            if oldest - FIRST_INSTANT <= MILLISECOND:
                return
            last = oldest - MILLISECOND

    async def _tie(self, moment: datetime, page_size: int, ask: Ask) -> AsyncIterator[Found]:
        """
        Walk the pages of one instant that is shared by more pictures than fit on a page.

        2.7 has no order among them: one row can appear twice and another never. The pages together hold as many rows
        as there are pictures, which reveals missing ones. Pages of another size find them.
        """
        query = self.query.between(_earlier(moment), _later(moment))
        ids: set[str] = set()
        rows = 0
        for part in WALK_SIZES:
            rows = 0
            place: str | None = None
            while True:
                question = replace(query, place=place, size=max(1, int(page_size * part)))
                try:
                    section = await self._checked(ask, question)
                except AnswerError as error:
                    if error.reason != "server_error":
                        raise
                    yield Found(bad_spot=f"some of the pictures taken at {as_text(moment)} ({error})")
                    return
                rows += len(section.items)
                if rows > MOST_AT_ONCE:
                    raise SetupError(
                        f"Immich lists more than {MOST_AT_ONCE:,} pictures of one instant: is this Immich?"
                    )
                ids.update(item.id for item in section.items)
                yield Found(self._unseen(section.items), section.impossible)
                place = self.dialect.next_place(section)
                if place is None or not section.items:
                    break
            if len(ids) >= rows:
                return
        yield Found(bad_spot=f"{rows - len(ids)} of the {rows} pictures taken at {as_text(moment)}")

    async def _halves(self, first: datetime | None, last: datetime | None, error: AnswerError) -> AsyncIterator[Found]:
        """Halve a window that Immich cannot list, newer half first, down to a bad spot of a millisecond."""
        low, high = first or FIRST_INSTANT, last or LAST_INSTANT
        if self._failed == 0:
            await self._make_sure_that_searches_work(error)
        self._failed += 1
        if self._failed > MOST_FAILED_QUESTIONS:
            raise TransientError(f"Immich cannot list this library: {error}") from error
        if high - low <= MILLISECOND:
            yield Found(bad_spot=f"the pictures taken from {as_text(low)} to {as_text(high)} ({error})")
            return
        middle = _whole_milliseconds(low + (high - low) / 2)
        for start, end in ((middle, high), (low, middle)):
            async for found in self._window(start, end, self.ask_once):
                yield found

    async def _make_sure_that_searches_work(self, error: AnswerError) -> None:
        """Search a window that is empty in every library; if even that fails, no window is the cause."""
        try:
            await self.ask(self.query.between(FIRST_INSTANT, FIRST_INSTANT + MILLISECOND))
        except AnswerError:
            raise TransientError(f"Immich cannot search at all: {error}") from error

    async def _checked(self, ask: Ask, query: Query) -> AssetSection:
        section = await ask(query)
        if broken := broken_promise(section.items, query):
            raise SetupError(
                f"Immich ignored a condition of the search ({broken}), so its listing cannot be trusted; is its version "
                "newer than this program, or is a cache in front of it?"
            )
        if section.impossible and not section.items and self.dialect.next_place(section) is not None:
            raise SetupError(
                f"Immich lists {len(section.impossible)} pictures and each breaks its type, the first: "
                f"{section.impossible[0][1]}; is its version newer than this program?"
            )
        return section

    def _unseen(self, items: tuple[AssetPayload, ...]) -> tuple[AssetPayload, ...]:
        fresh = []
        for item in items:
            if item.id not in self.seen:
                self.seen.add(item.id)
                fresh.append(item)
        return tuple(fresh)


def broken_promise(items: tuple[AssetPayload, ...], query: Query) -> str | None:
    """Return the first condition of the query that its answer violates, in words, or None."""
    if len(items) > query.size:
        return f"{query.size} pictures were asked for, {len(items)} came"
    if items and (broken := _broken_order(items, query)):
        return broken
    return next((broken for item in items if (broken := _broken_condition(item, query))), None)


def _broken_order(items: tuple[AssetPayload, ...], query: Query) -> str | None:
    times = [item.file_created_at for item in items]
    # The texts have one format, so they nearly always compare like the times themselves.
    if any(older > newer and instant(older) > instant(newer) for newer, older in pairwise(times)):
        return "newest first"
    if query.taken_to is not None and instant(times[0]) > _later(query.taken_to):
        return f"taken until {as_text(query.taken_to)}"
    if query.taken_from is not None and instant(times[-1]) < _earlier(query.taken_from):
        return f"taken from {as_text(query.taken_from)}"
    return None


def _broken_condition(item: AssetPayload, query: Query) -> str | None:
    if item.type != query.kind:
        return f"{'pictures' if query.kind == 'IMAGE' else 'videos'} only, and a {item.type} came"
    if item.visibility not in query.visibilities:
        return f"visibility {' or '.join(query.visibilities)}, and {item.visibility} came"
    if query.offline and not item.is_offline:
        return "offline only"
    if item.is_trashed and not query.offline:
        return "without the trash"
    if query.updated_after is not None and instant(item.updated_at) < query.updated_after - MILLISECOND:
        return f"changed since {as_text(query.updated_after)}"
    return None


def _later(moment: datetime) -> datetime:
    return moment + MILLISECOND if LAST_INSTANT - moment > MILLISECOND else LAST_INSTANT


def _earlier(moment: datetime) -> datetime:
    return moment - MILLISECOND if moment - FIRST_INSTANT > MILLISECOND else FIRST_INSTANT


def _whole_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
