"""Identification of the faces in a picture: the body is the picture, and nothing of it is kept."""

from aiohttp import web

from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.identities import NOT_AVAILABLE
from service.web.context import CONTEXT
from service.web.library.identify import IdentifyAnswer, IdentifyQuery
from service.web.parameters import read_query
from service.web.routes import Answer, Route, json_answer
from service.web.uploads import PICTURE_TYPE, UPLOADS


async def post_identify(request: web.Request) -> web.StreamResponse:
    query = read_query(request, IdentifyQuery)
    async with request.app[UPLOADS].picture(request) as picture:
        return json_answer(await request.app[CONTEXT].identify(picture, query.limit))


ROUTES = (
    Route(
        method="POST",
        path="/api/identify",
        handler=post_identify,
        summary="Whose faces a picture shows: identities with their probability, or nobody known; nothing is stored",
        query=IdentifyQuery,
        upload=PICTURE_TYPE,
        answers={
            200: Answer("The faces, largest first", body=IdentifyAnswer, example=examples.IDENTIFIED),
            400: Answer("A malformed request, impossible parameters, or no body", body=ErrorBody),
            422: Answer("No picture that can be read; the message gives the reason", body=ErrorBody),
            503: NOT_AVAILABLE,
        },
    ),
)
