"""The service itself: its sources, its settings, and what it stores."""

from aiohttp import web

from service.web import examples
from service.web.api.identities import NOT_AVAILABLE
from service.web.library.service import SettingsAnswer, SourcesAnswer, StorageAnswer
from service.web.routes import Answer, Route, json_answer
from service.web.viewers import library_of


async def get_sources(request: web.Request) -> web.StreamResponse:
    return json_answer(await library_of(request).sources())


async def get_settings(request: web.Request) -> web.StreamResponse:
    return json_answer(await library_of(request).settings())


async def get_storage(request: web.Request) -> web.StreamResponse:
    return json_answer(await library_of(request).storage())


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
        path="/api/storage",
        handler=get_storage,
        summary="How much room database, crops and face sets take, and how much is free",
        answers={200: Answer("The sizes", body=StorageAnswer, example=examples.STORAGE), 503: NOT_AVAILABLE},
    ),
)
