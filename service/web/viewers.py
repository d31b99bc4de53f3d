"""The one who asks: the administrator, or a user, who is shown what is in the own library only."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from service.web.context import CONTEXT
from service.web.library.reads import LibraryReads


@dataclass(frozen=True, slots=True)
class Viewer:
    """The administrator (``user`` is None), or a user by the name of the source."""

    user: str | None

    @property
    def is_administrator(self) -> bool:
        return self.user is None


ADMINISTRATOR: Final = Viewer(None)

VIEWER = web.RequestKey("viewer", Viewer)
"""Set by the guard: every handler of a route that is not everybody's has it."""


def library_of(request: web.Request) -> LibraryReads:
    """Return the calls that answer what this viewer may see; a ``KeyError`` where the guard let nobody in."""
    viewer, context = request[VIEWER], request.app[CONTEXT]
    return context.library if viewer.user is None else context.library_for(viewer.user)
