"""Decisions: listed, made, previewed, undone and done again."""

from collections.abc import Sequence

from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import RedoDecision, Request, UndoDecision
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.identities import NOT_AVAILABLE, WRONG_QUERY
from service.web.context import CONTEXT
from service.web.deciding import answer_of, author_of, decide, seen_by
from service.web.json_bodies import read_json, with_room
from service.web.library.decisions import (
    ChangedProblem,
    DecisionsAnswer,
    DecisionsPage,
    DecisionsQuery,
    DecisionsQuestion,
    UndoQuestion,
)
from service.web.library.identities import MadeDecision
from service.web.parameters import number_in, read_query
from service.web.preconditions import IDEMPOTENCY_KEY, IF_MATCH, key_of
from service.web.routes import Answer, Route, json_answer
from service.web.viewers import library_of


async def get_decisions(request: web.Request) -> web.StreamResponse:
    query = read_query(request, DecisionsQuery)
    return json_answer(await library_of(request).decisions(query))


async def get_decision(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "decision")
    found = await library_of(request).decision(number)
    if found is None:
        raise RequestError(f"there is no decision {number}; /api/decisions lists them", status=404)
    return json_answer(found)


async def post_decisions(small: web.Request) -> web.StreamResponse:
    request = with_room(small)
    question = await read_json(request, DecisionsQuestion)
    return await decide_and_answer(request, question.decisions, question.reason)


async def post_preview(request: web.Request) -> web.StreamResponse:
    question = await read_json(with_room(request), DecisionsQuestion)
    return json_answer((await request.app[CONTEXT].decisions.preview(question.decisions)).answer)


async def post_undo(request: web.Request) -> web.StreamResponse:
    number, question = number_in(request, "decision"), await read_json(request, UndoQuestion)
    undo = UndoDecision(decision=number, even_if_locked=question.even_if_locked)
    return await decide_and_answer(request, [undo], question.reason)


async def post_redo(request: web.Request) -> web.StreamResponse:
    number, question = number_in(request, "decision"), await read_json(request, UndoQuestion)
    redo = RedoDecision(decision=number, even_if_locked=question.even_if_locked)
    return await decide_and_answer(request, [redo], question.reason)


async def decide_and_answer(request: web.Request, requests: Sequence[Request], reason: str) -> web.StreamResponse:
    """Make decisions once under their key, and only about identities that are as the caller saw them."""
    return answer_of(await decide(request, requests, author_of("api", reason), await key_of(request), seen_by(request)))


DECIDED = Answer("What was changed", body=DecisionsAnswer, example=examples.DECIDED)
_REFUSED = {
    400: Answer("Not a valid request; the message names the field", body=ErrorBody),
    404: Answer("No such identity, face or decision", body=ErrorBody),
    409: Answer("It cannot be, or is so already; the message says what to do", body=ErrorBody),
    410: Answer("The decision erased data, and cannot be undone", body=ErrorBody),
    423: Answer("A locked identity would change", body=ErrorBody),
    503: NOT_AVAILABLE,
}
NOT_DONE = _REFUSED | {
    412: Answer("An identity is not as the caller saw it", body=ChangedProblem, example=examples.CHANGED),
    422: Answer("The key was used for another request", body=ErrorBody),
}

ROUTES = (
    Route(
        method="GET",
        path="/api/decisions",
        handler=get_decisions,
        summary="The decisions that were made, newest first, a page at a time",
        query=DecisionsQuery,
        answers={
            200: Answer("A page", body=DecisionsPage, example=examples.DECISIONS),
            400: WRONG_QUERY,
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/decisions/{decision}",
        handler=get_decision,
        summary="One decision",
        answers={
            200: Answer("The decision", body=MadeDecision, example=examples.DECISIONS.decisions[0]),
            404: Answer("No such decision", body=ErrorBody),
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="POST",
        path="/api/decisions",
        handler=post_decisions,
        summary="Make decisions: all of them, or none",
        question=DecisionsQuestion,
        headers=(IDEMPOTENCY_KEY, IF_MATCH),
        answers=NOT_DONE | {200: DECIDED},
    ),
    Route(
        method="POST",
        path="/api/decisions/preview",
        handler=post_preview,
        summary="What decisions would change; nothing is changed",
        question=DecisionsQuestion,
        answers=_REFUSED | {200: Answer("What would change", body=DecisionsAnswer, example=examples.PREVIEW)},
    ),
    Route(
        method="POST",
        path="/api/decisions/{decision}/undo",
        handler=post_undo,
        summary="Take a decision back, with those that were made in one step with it",
        question=UndoQuestion,
        headers=(IDEMPOTENCY_KEY, IF_MATCH),
        answers=NOT_DONE | {200: DECIDED},
    ),
    Route(
        method="POST",
        path="/api/decisions/{decision}/redo",
        handler=post_redo,
        summary="Bring an undone decision back",
        question=UndoQuestion,
        headers=(IDEMPOTENCY_KEY, IF_MATCH),
        answers=NOT_DONE | {200: DECIDED},
    ),
)
