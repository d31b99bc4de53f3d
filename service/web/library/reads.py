"""The calls that answer questions about the library."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.web.library.faces import FaceAnswer, FacesAnswer, SearchAnswer, SearchQuery
from service.web.library.identities import (
    ErasAnswer,
    FacesQuery,
    HistoryAnswer,
    IdentitiesAnswer,
    IdentitiesQuery,
    IdentityAnswer,
    NearestAnswer,
    NearestQuery,
    PageQuery,
    TogetherAnswer,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryReads:
    """
    The calls behind the reading routes.

    ``survivor(number)`` returns the number that leads to an identity now: itself, that of a merge, or None for one that
    never was. The calls with a number expect such a survivor.
    """

    identities: Callable[[IdentitiesQuery], Awaitable[IdentitiesAnswer]]
    survivor: Callable[[int], Awaitable[int | None]]
    identity: Callable[[int], Awaitable[IdentityAnswer | None]]
    faces: Callable[[int, FacesQuery], Awaitable[FacesAnswer]]
    eras: Callable[[int], Awaitable[ErasAnswer]]
    nearest: Callable[[int, NearestQuery], Awaitable[NearestAnswer]]
    together: Callable[[int, PageQuery], Awaitable[TogetherAnswer]]
    history: Callable[[int, PageQuery], Awaitable[HistoryAnswer]]
    face: Callable[[int], Awaitable[FaceAnswer | None]]
    search: Callable[[SearchQuery], Awaitable[SearchAnswer]]
