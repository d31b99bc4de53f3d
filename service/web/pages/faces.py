"""The page of one face: its whole picture with every face, why it is where it is, and whom else it looks like."""

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.library.identities import HistoryAnswer
from service.web.pages.person import HOW, history_view
from service.web.pages.planned_sets import planned_after_decision
from service.web.pages.shell import Done, render_page
from service.web.pages.wording import named
from service.web.parameters import number_in, read_query
from service.web.routes import Access, Answer, Route
from service.web.viewers import VIEWER, library_of


class FaceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of the page of a face."""

    done: Done = ""


async def show_face(request: web.Request) -> web.StreamResponse:
    read_query(request, FaceQuery)
    number, library = number_in(request, "face"), library_of(request)
    found = await library.face(number)
    if found is None:
        raise RequestError(f"There is no face {number}. A new model may have found it anew.", status=404)
    face = found.face
    names = {} if face.identity is None or found.label is None else {face.identity: found.label}
    view: dict[str, object] = {
        "face": face,
        "who": None if face.identity is None else named(face.identity, names),
        "rivals": found.rivals,
        "how": HOW,
        "for_sets": found.for_sets,
    }
    if request[VIEWER].is_administrator:
        view |= await planned_after_decision(request, face.identity)
        view |= await history_view(request, HistoryAnswer(decisions=found.decisions))
    return await render_page(request, "face.html", view)


ROUTES = (
    Route(
        method="GET",
        path="/faces/{face}",
        handler=show_face,
        summary="The page of one face with its whole picture",
        access=Access.USER,
        query=FaceQuery,
        answers={
            200: Answer("The page", media_type="text/html"),
            303: Answer("To the login", redirects=True),
            404: Answer("No such face", media_type="text/html"),
        },
    ),
)
