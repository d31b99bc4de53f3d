"""The page of the faces that are left out of a face set, by reason."""

from typing import Annotated

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.library.addresses import name_from_path
from service.web.library.facesets import LeftOutQuery
from service.web.pages import export_words as words
from service.web.pages.facesets import set_view
from service.web.pages.planned_sets import planned_after_decision
from service.web.pages.shell import Done, render_page
from service.web.pages.wording import name_of
from service.web.parameters import read_query
from service.web.routes import Answer, Route
from service.web.viewers import library_of

FACES_OF_A_PAGE = 60


class LeftOutPageQuery(LeftOutQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which faces are shown."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200, description="the most faces of the page")] = FACES_OF_A_PAGE
    done: Done = ""


async def show_left_out(request: web.Request) -> web.StreamResponse:
    query, library = read_query(request, LeftOutPageQuery), library_of(request)
    directory = name_from_path(request.match_info["directory"])
    described, found = await library.faceset(directory), await library.left_out(directory, query)
    number = None if described is None else described.faceset.identity
    person = None if number is None else await library.identity(number)
    if described is None or found is None or person is None:
        raise RequestError(f"There is no face set {directory} of a person any more.", status=404)
    view = {
        "query": query,
        "faceset": described.faceset,
        "person": person.identity,
        "name": name_of(person.identity),
        "reasons": [one for one in words.left_out_of(described.preflight) if one.is_listed],
        "reason": words.reason_words(query.reason) if query.reason else None,
        "found": found,
        "next": None if found.next is None else str(request.rel_url.update_query(cursor=found.next)),
    }
    view |= await planned_after_decision(request, person.identity.number)
    return await render_page(request, "left_out.html", view | set_view())


ROUTES = (
    Route(
        method="GET",
        path="/facesets/{directory}/left-out",
        handler=show_left_out,
        summary="The page of the faces that are left out of a face set",
        query=LeftOutPageQuery,
        answers={
            200: Answer("The page", media_type="text/html"),
            303: Answer("To the login", redirects=True),
            404: Answer("No such directory", media_type="text/html"),
        },
    ),
)
