"""Slices of long lists by key: a slice begins behind the last key of the one before, whatever was added or removed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, select, tuple_

T = TypeVar("T")

Key = tuple[float | str, int]
"""The value that a list is sorted by, and a number that is unique in it."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a list is wanted: at most ``limit`` entries behind the key ``after``; None: from the beginning."""

    limit: int
    after: Key | None = None
    is_reversed: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The entries of a slice; ``last``: the key of the last one, None where nothing follows."""

    items: tuple[T, ...]
    last: Key | None = None


def page_of(entries: Iterable[T], key: Callable[[T], Key], wanted: Slice) -> Page[T]:
    """Return the page of entries in any order; those of equal values come in the order of their numbers."""
    ordered = sorted(entries, key=key, reverse=wanted.is_reversed)
    if (after := wanted.after) is not None:
        ordered = [one for one in ordered if (key(one) < after if wanted.is_reversed else key(one) > after)]
    return cut_page(ordered, key, wanted)


def cut_page(ordered: Sequence[T], key: Callable[[T], Key], wanted: Slice) -> Page[T]:
    """Return the page from entries behind its beginning, of which one more than its limit tells that others follow."""
    items = tuple(ordered[: wanted.limit])
    return Page(items, key(items[-1]) if len(ordered) > wanted.limit else None)


def sliced(keys: Select[Any], wanted: Slice) -> Select[Any]:
    """Return the statement for a slice, and one entry more; ``keys`` selects ``key``, never null, and ``number``."""
    found = keys.subquery()
    statement = select(found)
    if wanted.after is not None:
        here, there = tuple_(found.c.key, found.c.number), tuple_(*wanted.after)
        statement = statement.where(here < there if wanted.is_reversed else here > there)
    order = (found.c.key, found.c.number)
    ordered = statement.order_by(*(one.desc() for one in order) if wanted.is_reversed else order)
    return ordered.limit(wanted.limit + 1)
