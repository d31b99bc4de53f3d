"""Jobs: syncs and exports; the latest, one, a start, and a cancellation."""

import asyncio

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.identities import NOT_AVAILABLE
from service.web.context import CONTEXT
from service.web.exportable_people import exportable_people
from service.web.json_bodies import decode_json
from service.web.library.service import Job, JobsAnswer, JobsQuery
from service.web.parameters import number_in, read_query
from service.web.preconditions import IDEMPOTENCY_KEY, key_of
from service.web.problems import problem_response
from service.web.routes import Answer, Route, json_answer
from service.web.schemas import CancelAnswer, JobAnswer, JobQuestion
from service.web.viewers import library_of

BEGINS_WITHIN = 5.0
"""Seconds that an answer waits for the number of its job. A job begins at once unless a remote is down."""


async def get_jobs(request: web.Request) -> web.StreamResponse:
    return json_answer(await library_of(request).jobs(read_query(request, JobsQuery)))


async def get_job(request: web.Request) -> web.StreamResponse:
    return json_answer(await _job(request))


async def post_job(request: web.Request) -> web.StreamResponse:
    question = decode_json(await request.read(), JobQuestion)
    answers, key = request.app[CONTEXT].answers, await key_of(request)
    if key is not None and (known := await answers.known(key)) is not None:
        return json_answer(msgspec.json.decode(known, type=JobAnswer), status=202)
    people = await exportable_people(request, question.people)
    begun = request.app[CONTEXT].request_job(question.kind, question.source, people)
    if begun is None:
        return problem_response(409, "already_running", "A job is running already.")
    await asyncio.wait({begun}, timeout=BEGINS_WITHIN)
    number = begun.result() if begun.done() else None
    if isinstance(number, str):
        return problem_response(503, "not_begun", number)
    answer = JobAnswer(id=number)
    if key is not None:
        await answers.keep(key, msgspec.json.encode(answer))
    return json_answer(answer, status=202)


async def cancel_job(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "job")
    if not request.app[CONTEXT].cancel_job(number):
        job = await _job(request)
        state = "is ending" if job.outcome is None else f"has ended: {job.outcome}"
        raise RequestError(f"job {job.id} {state}", status=409)
    return json_answer(CancelAnswer(cancelling=number), status=202)


async def _job(request: web.Request) -> Job:
    number = number_in(request, "job")
    found = await library_of(request).job(number)
    if found is None:
        raise RequestError(f"there is no job {number}; /api/jobs lists the latest", status=404)
    return found


NO_SUCH_JOB = Answer("No such job", body=ErrorBody)

ROUTES = (
    Route(
        method="GET",
        path="/api/jobs",
        handler=get_jobs,
        summary="Syncs and exports, newest first, and the stages of a running one",
        query=JobsQuery,
        answers={200: Answer("The jobs", body=JobsAnswer, example=examples.JOBS), 503: NOT_AVAILABLE},
    ),
    Route(
        method="POST",
        path="/api/jobs",
        handler=post_job,
        summary="Start a sync or an export now; an empty body asks for an incremental sync of every source",
        question=JobQuestion,
        headers=(IDEMPOTENCY_KEY,),
        answers={
            202: Answer("Started", body=JobAnswer, example=examples.JOB_REQUESTED),
            400: Answer("Not a valid request for a job", body=ErrorBody),
            404: Answer("No such source or person", body=ErrorBody),
            409: Answer("A job is running already, or a person is never exported", body=ErrorBody),
            422: Answer("The key was used for another request", body=ErrorBody),
            503: Answer("The database is down, or the job could not begin", body=ErrorBody),
        },
    ),
    Route(
        method="GET",
        path="/api/jobs/{job}",
        handler=get_job,
        summary="One sync or export",
        answers={
            200: Answer("The job", body=Job, example=examples.JOBS.jobs[0]),
            404: NO_SUCH_JOB,
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="POST",
        path="/api/jobs/{job}/cancel",
        handler=cancel_job,
        summary="End a running job between two items; the next one goes on from there",
        answers={
            202: Answer("It ends soon", body=CancelAnswer, example=examples.CANCELLED),
            404: NO_SUCH_JOB,
            409: Answer("It has ended already", body=ErrorBody),
            503: NOT_AVAILABLE,
        },
    ),
)
