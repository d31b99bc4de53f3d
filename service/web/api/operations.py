"""Operations: health, metrics, and the content of the status page as JSON."""

import asyncio

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from immich_facesets.runtime.health import HEALTHZ, READYZ
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.context import CONTEXT
from service.web.library.service import FailuresQuery
from service.web.parameters import read_query
from service.web.routes import Access, Answer, Route, json_answer
from service.web.schemas import (
    FailuresAnswer,
    Health,
    ReadinessAnswer,
    StatusAnswer,
)
from service.web.sessions import KEYRING
from service.web.viewers import library_of

METRICS = "/metrics"


async def get_health(request: web.Request) -> web.StreamResponse:
    del request
    return json_answer(Health())


async def get_readiness(request: web.Request) -> web.StreamResponse:
    """Return 503 while there are objections; only the administrator sees them."""
    readiness = await request.app[CONTEXT].ready()
    is_known = request.app[KEYRING].is_administrator(request)
    answer = ReadinessAnswer(
        status="not ready" if readiness.objections else "ready",
        objections=readiness.objections if is_known else (),
    )
    return json_answer(answer, status=503 if readiness.objections else 200)


async def get_metrics(request: web.Request) -> web.StreamResponse:
    return await make_aiohttp_handler(request.app[CONTEXT].registry)(request)


async def get_status(request: web.Request) -> web.StreamResponse:
    context = request.app[CONTEXT]
    facts, readiness = await asyncio.gather(context.status(), context.ready())
    return json_answer(
        StatusAnswer(
            version=context.version,
            ready=not readiness.objections,
            objections=readiness.objections,
            progress=context.board.now,
            facts=facts,
        )
    )


async def get_failures(request: web.Request) -> web.StreamResponse:
    return json_answer(await library_of(request).failures(read_query(request, FailuresQuery)))


NOT_AVAILABLE = Answer("Not available now; the message gives the reason", body=ErrorBody)

ROUTES = (
    Route(
        method="GET",
        path=HEALTHZ,
        at_root=True,
        handler=get_health,
        summary="Whether the process answers",
        access=Access.EVERYBODY,
        answers={200: Answer("It does", body=Health)},
    ),
    Route(
        method="GET",
        path=READYZ,
        at_root=True,
        handler=get_readiness,
        summary="Whether the service can do its work, and if not, what to do (told to callers with the token)",
        access=Access.EVERYBODY,
        answers={200: Answer("It can", body=ReadinessAnswer), 503: Answer("It cannot", body=ReadinessAnswer)},
    ),
    Route(
        method="GET",
        path=METRICS,
        at_root=True,
        handler=get_metrics,
        summary="Metrics for Prometheus",
        answers={200: Answer("The metrics", media_type="text/plain")},
    ),
    Route(
        method="GET",
        path="/api/status",
        handler=get_status,
        summary="Everything the status page shows",
        answers={200: Answer("The status", body=StatusAnswer, example=examples.STATUS), 503: NOT_AVAILABLE},
    ),
    Route(
        method="GET",
        path="/api/failures",
        handler=get_failures,
        summary="What failed and will be tried again, latest first",
        query=FailuresQuery,
        answers={200: Answer("The failures", body=FailuresAnswer, example=examples.FAILURES), 503: NOT_AVAILABLE},
    ),
)
