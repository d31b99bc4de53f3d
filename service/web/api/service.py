"""The service itself: its sources and its settings."""

from aiohttp import web

from service.web import examples
from service.web.api.identities import NOT_AVAILABLE
from service.web.context import CONTEXT
from service.web.library.service import SettingsAnswer, SourcesAnswer
from service.web.routes import Answer, Route, json_answer


async def get_sources(request: web.Request) -> web.StreamResponse:
    return json_answer(await request.app[CONTEXT].library.sources())


async def get_settings(request: web.Request) -> web.StreamResponse:
    return json_answer(await request.app[CONTEXT].library.settings())


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
)
