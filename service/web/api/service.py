"""The service itself: its sources, its settings, and its jobs."""

from aiohttp import web

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.identities import NOT_AVAILABLE
from service.web.context import CONTEXT
from service.web.library.service import Job, JobsAnswer, SettingsAnswer, SourcesAnswer
from service.web.parameters import number_in
from service.web.routes import Answer, Route, json_answer


async def get_sources(request: web.Request) -> web.StreamResponse:
    return json_answer(await request.app[CONTEXT].library.sources())


async def get_settings(request: web.Request) -> web.StreamResponse:
    return json_answer(await request.app[CONTEXT].library.settings())


async def get_jobs(request: web.Request) -> web.StreamResponse:
    return json_answer(await request.app[CONTEXT].library.jobs())


async def get_job(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "job")
    found = await request.app[CONTEXT].library.job(number)
    if found is None:
        raise RequestError(f"there is no job {number}; /api/jobs lists the latest", status=404)
    return json_answer(found)


ROUTES = (
    Route(
        method="GET",
        path="/api/sources",
        handler=get_sources,
        summary="Where pictures come from, with counts",
        answers={200: Answer("The sources", body=SourcesAnswer, example=examples.SOURCES), 503: NOT_AVAILABLE},
    ),
    Route(
        method="GET",
        path="/api/settings",
        handler=get_settings,
        summary="The settings in force; secrets are never shown",
        answers={200: Answer("The settings", body=SettingsAnswer, example=examples.SETTINGS)},
    ),
    Route(
        method="GET",
        path="/api/jobs",
        handler=get_jobs,
        summary="The latest syncs, newest first, and the stages of a running one",
        answers={200: Answer("The jobs", body=JobsAnswer, example=examples.JOBS), 503: NOT_AVAILABLE},
    ),
    Route(
        method="GET",
        path="/api/jobs/{job}",
        handler=get_job,
        summary="One sync",
        answers={
            200: Answer("The job", body=Job, example=examples.JOBS.jobs[0]),
            404: Answer("No such job", body=ErrorBody),
            503: NOT_AVAILABLE,
        },
    ),
)
