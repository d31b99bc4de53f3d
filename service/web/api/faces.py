"""Single faces, and the search for people and pictures."""

from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.identities import NOT_AVAILABLE, WRONG_QUERY
from service.web.library.faces import FaceAnswer, SearchAnswer, SearchQuery
from service.web.parameters import number_in, read_query
from service.web.routes import Access, Answer, Route, json_answer
from service.web.viewers import library_of


async def get_face(request: web.Request) -> web.StreamResponse:
    face = number_in(request, "face")
    found = await library_of(request).face(face)
    if found is None:
        raise RequestError(f"there is no face {face}: it is gone, or was found again under another id", status=404)
    return json_answer(found)


async def search(request: web.Request) -> web.StreamResponse:
    query = read_query(request, SearchQuery)
    return json_answer(await library_of(request).search(query))


ROUTES = (
    Route(
        method="GET",
        path="/api/faces/{face}",
        handler=get_face,
        summary="One face: its picture, box and crop, the identities near to it, and the decisions about it",
        access=Access.USER,
        answers={
            200: Answer("The face", body=FaceAnswer, example=examples.FACE),
            404: Answer("No such face", body=ErrorBody),
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/search",
        handler=search,
        summary="People by name or number, pictures by date or file name",
        access=Access.USER,
        query=SearchQuery,
        answers={
            200: Answer("What was found", body=SearchAnswer, example=examples.SEARCH),
            400: WRONG_QUERY,
            503: NOT_AVAILABLE,
        },
    ),
)
