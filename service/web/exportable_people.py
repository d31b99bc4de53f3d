"""The people of a request to write face sets: each must be there, and may be exported."""

from collections.abc import Sequence

from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.viewers import library_of


async def exportable_people(request: web.Request, numbers: Sequence[int]) -> frozenset[int] | None:
    """Return the people, None for everybody; ``RequestError`` for one who is unknown, merged, or never exported."""
    library = library_of(request)
    for number in numbers:
        survivor = await library.survivor(number)
        if survivor is not None and survivor != number:
            raise RequestError(f"identity {number} was merged: it is identity {survivor} now", status=404)
        found = None if survivor is None else await library.identity(number)
        if found is None:
            raise RequestError(f"there is no identity {number}; /api/identities lists them", status=404)
        if found.identity.is_never_exported or found.is_stranger:
            raise RequestError(f"identity {number} must never be exported, so there is nothing to write", status=409)
    return frozenset(numbers) or None
