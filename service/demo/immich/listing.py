"""Assets in search order, and the pages of a search."""

import bisect
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from service.demo.immich.library import FakeAsset, FakeUser, Library

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Return microseconds since 1970: the precision of database comparisons, finer than in any response."""
    return (moment - EPOCH) // MICROSECOND


class Listing:
    """The assets of one set of owners, ascending by (taken_at, id), at one revision of the library."""

    __slots__ = ("assets", "instants", "revision")

    def __init__(self, library: Library, owners: frozenset[str]) -> None:
        self.revision = library.revision
        self.assets = sorted(
            (asset for asset in library.assets.values() if asset.owner in owners),
            key=lambda asset: (asset.taken_at, asset.asset_id),
        )
        self.instants = array("q", (micros(asset.taken_at) for asset in self.assets))

    def between(self, first: int | None, last: int | None, *, descending: bool) -> Iterator[FakeAsset]:
        """Return the assets taken between two instants (microseconds, both inclusive; None: no bound)."""
        low = 0 if first is None else bisect.bisect_left(self.instants, first)
        high = len(self.instants) if last is None else bisect.bisect_right(self.instants, last)
        places = range(high - 1, low - 1, -1) if descending else range(low, high)
        return (self.assets[place] for place in places)


class Listings:
    """A cache of listings, one per set of owners; a listing is rebuilt when the library has changed."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.known: dict[frozenset[str], Listing] = {}

    def of(self, viewer: FakeUser) -> Listing:
        owners = self.library.visible_owners(viewer)
        listing = self.known.get(owners)
        if listing is None or listing.revision != self.library.revision:
            listing = self.known[owners] = Listing(self.library, owners)
        return listing


def cut_page(
    matches: Iterator[FakeAsset],
    *,
    offset: int,
    size: int,
    shuffle_ties: bool,
    tie_of: Callable[[FakeAsset], object],
) -> tuple[Sequence[FakeAsset], bool]:
    """
    Return the page at ``offset``, and whether more assets follow.

    With ``shuffle_ties`` the order among equal instants differs from page to page, as in a database without a
    tie-breaker. Every second page rotates the tied rows at its edges by one, so that one row is on two pages and
    another on none. The first page, and so keyset paging, is always in order.
    """
    if not shuffle_ties or offset // size % 2 == 0:
        found = list(islice(matches, offset, offset + size + 1))
        return found[:size], len(found) > size
    end = offset + size
    rows: list[FakeAsset] = []
    for row in matches:
        if len(rows) > end and tie_of(row) != tie_of(rows[-1]):
            break
        rows.append(row)
    for edge in (offset, end):
        if 0 < edge < len(rows) and tie_of(rows[edge - 1]) == tie_of(rows[edge]):
            turn_ties(rows, edge, tie_of)
    return rows[offset:end], len(rows) > end


def turn_ties(rows: list[FakeAsset], edge: int, tie_of: Callable[[FakeAsset], object]) -> None:
    """Rotate the run of tied rows around ``edge`` by one place."""
    tie = tie_of(rows[edge])
    first, last = edge, edge
    while first > 0 and tie_of(rows[first - 1]) == tie:
        first -= 1
    while last + 1 < len(rows) and tie_of(rows[last + 1]) == tie:
        last += 1
    rows[first : last + 1] = rows[first + 1 : last + 1] + rows[first : first + 1]
