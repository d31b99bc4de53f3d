"""The review queue: what a person should look at. Answers are decisions."""

from aiohttp import web

from service.web import examples
from service.web.api.identities import NOT_AVAILABLE, WRONG_QUERY
from service.web.library.review import ReviewPage, ReviewQuery
from service.web.parameters import read_query
from service.web.routes import Answer, Route, json_answer
from service.web.viewers import library_of


async def get_review(request: web.Request) -> web.StreamResponse:
    query = read_query(request, ReviewQuery)
    return json_answer(await library_of(request).review(query))


ROUTES = (
    Route(
        method="GET",
        path="/api/review",
        handler=get_review,
        summary="What a person should look at, the most beneficial question first, a page at a time",
        query=ReviewQuery,
        answers={
            200: Answer("A page", body=ReviewPage, example=examples.REVIEW),
            400: WRONG_QUERY,
            503: NOT_AVAILABLE,
        },
    ),
)
