"""Eras of an identity: looked at closely, and changed."""

import msgspec
from aiohttp import web

from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.identities import NOT_AVAILABLE, OF_ONE, redirect_if_merged
from service.web.context import CONTEXT
from service.web.deciding import author_of
from service.web.json_bodies import read_json
from service.web.library.eras import EraPlanAnswer, EraProbe, EraQuestion
from service.web.parameters import number_in
from service.web.preconditions import IDEMPOTENCY_KEY, key_of
from service.web.routes import Answer, Route, json_answer


async def get_probe(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "number")
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    return json_answer(await request.app[CONTEXT].eras.probe(number))


async def post_eras_preview(request: web.Request) -> web.StreamResponse:
    number, question = number_in(request, "number"), await read_json(request, EraQuestion)
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    return json_answer(await request.app[CONTEXT].eras.plan(number, question.change))


async def post_eras(request: web.Request) -> web.StreamResponse:
    number, question = number_in(request, "number"), await read_json(request, EraQuestion)
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    answers, key = request.app[CONTEXT].answers, await key_of(request)
    if key is not None and (known := await answers.known(key)) is not None:
        return json_answer(msgspec.json.decode(known, type=EraPlanAnswer))
    answer = await request.app[CONTEXT].eras.make(number, question, author_of("api", question.reason))
    if key is not None:
        await answers.keep(key, msgspec.json.encode(answer))
    return json_answer(answer)


_PLAN = Answer("The eras before and after it", body=EraPlanAnswer, example=examples.ERA_PLAN)
_REFUSED = OF_ONE | {
    400: Answer("Not a valid change; the message names the field", body=ErrorBody),
    404: Answer("No such identity or era, or it may not be exported", body=ErrorBody),
    409: Answer("It cannot be; the message says what to do", body=ErrorBody),
    503: NOT_AVAILABLE,
}

ROUTES = (
    Route(
        method="GET",
        path="/api/identities/{number}/eras/probe",
        handler=get_probe,
        summary="Whether an identity can be sorted by age: distances, groups that look alike, and their years",
        answers=OF_ONE | {200: Answer("The probe", body=EraProbe, example=examples.ERA_PROBE)},
    ),
    Route(
        method="POST",
        path="/api/identities/{number}/eras/preview",
        handler=post_eras_preview,
        summary="What a change of eras would do; nothing is changed",
        question=EraQuestion,
        answers=_REFUSED | {200: _PLAN},
    ),
    Route(
        method="POST",
        path="/api/identities/{number}/eras",
        handler=post_eras,
        summary="Split the eras of an identity anew, rename one, or make several one: a decision",
        question=EraQuestion,
        headers=(IDEMPOTENCY_KEY,),
        answers=_REFUSED
        | {
            200: _PLAN,
            412: Answer("The eras are not as the caller saw them", body=ErrorBody),
            422: Answer("The key was used for another request", body=ErrorBody),
        },
    ),
)
