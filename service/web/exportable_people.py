"""The people of a request to write face sets: each must be there, and may be exported."""

from collections.abc import Sequence

from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.viewers import library_of


async def exportable_people(request: web.Request, numbers: Sequence[int]) -> frozenset[int] | None:
    """Return the people, None for everybody; ``RequestError`` for one who is unknown, merged, or never exported."""
    for number in numbers:
        found = await library_of(request).identity(number)
        if found is None or found.identity.number != number:
            raise RequestError(f"there is no identity {number} now; /api/identities lists them", status=404)
        if found.identity.is_never_exported or found.is_stranger:
            raise RequestError(f"identity {number} must never be exported, so there is nothing to write", status=409)
    return frozenset(numbers) or None
