"""The frame of all pages: who looks, the navigation, and the decision that was just made, with its undo."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import aiohttp_jinja2
import msgspec
from aiohttp import web

from service.web.library.identities import MadeDecision
from service.web.pages.wording import decision_words, numbers_in
from service.web.viewers import VIEWER, library_of

DONE = "done"
"""The parameter of a page that names the decision just made."""


Done = Annotated[str, msgspec.Meta(max_length=20, description="the decision just made, which the page offers to undo")]


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation: its path, title, and the key that leads there after ``g``; ``is_of_users`` too."""

    path: str
    title: str
    key: str
    is_of_users: bool = False


NAVIGATION = (
    Place("/people", "People", "p", is_of_users=True),
    Place("/review", "Review", "r"),
    Place("/facesets", "Face sets", "f"),
    Place("/identify", "Identify", "i"),
    Place("/", "Status", "h"),
    Place("/syncs", "Syncs", "s"),
    Place("/system", "System", "y"),
    Place("/help", "Help", "e", is_of_users=True),
)


@dataclass(frozen=True, slots=True)
class Toast:
    """The words of the decision that was just made, undone or done again. ``made``: the decision itself."""

    words: str
    made: MadeDecision


def frame_of(request: web.Request) -> Mapping[str, Any]:
    """Return what the frame of a page needs: who looks, if that is known, and where they may go."""
    viewer = request.get(VIEWER)
    of_users = () if viewer is None else tuple(place for place in NAVIGATION if place.is_of_users)
    is_administrator = viewer is not None and viewer.is_administrator
    return {"viewer": viewer, "navigation": NAVIGATION if is_administrator else of_users}


async def render_page(
    request: web.Request, template: str, view: Mapping[str, Any], *, status: int = 200
) -> web.Response:
    """Return a page. ``key``: a new one for its forms, so that each is done once."""
    here = str(request.rel_url.without_query_params(DONE))
    shared = {**frame_of(request), "here": here, "toast": await _toast(request), "key": secrets.token_urlsafe(12)}
    return aiohttp_jinja2.render_template(template, request, {**shared, **view}, status=status)


@dataclass(frozen=True, slots=True)
class JustMade:
    """The decision that a page shows. ``undone``: how often it was undone and done again; ``more`` were made with it."""

    made: MadeDecision
    undone: int
    more: int


async def just_made(request: web.Request) -> JustMade | None:
    """
    Return the decision that was just made, by its number and how many were made in one step, as in ``17.2``.

    None where there is none, and for everybody but the administrator.
    """
    given = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?", request.query.get(DONE, ""))
    if given is None or not request[VIEWER].is_administrator:
        return None
    library = library_of(request)
    made, undone = await library.decision(int(given[1])), 0
    while made is not None and made.kind == "undo":
        made, undone = await library.decision(int(made.body["decision"])), undone + 1
    return None if made is None else JustMade(made, undone, int(given[2] or 1) - 1)


async def _toast(request: web.Request) -> Toast | None:
    """Return the toast of the decision that was just made."""
    step = await just_made(request)
    if step is None:
        return None
    words = decision_words(step.made, await library_of(request).labels(numbers_in([step.made])))
    begin = "" if step.undone == 0 else "Undone: " if step.undone % 2 else "Done again: "
    return Toast(f"{begin}{words}{f', and {step.more} more' if step.more > 0 else ''}", step.made)
