"""Identities: the list, one, its faces, eras, neighbours and history."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import hdrs, web

from immich_facesets.errors import RequestError
from immich_facesets.exports.identities_file import IDENTITIES, IdentitiesFile
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.base_path import below_base
from service.web.context import CONTEXT
from service.web.library.faces import FacesAnswer
from service.web.library.facesets import PlannedSet, PlannedSetQuery
from service.web.library.identities import (
    ErasAnswer,
    FacesQuery,
    FiguresAnswer,
    HistoryAnswer,
    IdentitiesAnswer,
    IdentitiesQuery,
    IdentityAnswer,
    MergedAnswer,
    NearestAnswer,
    NearestQuery,
    PageQuery,
    TogetherAnswer,
)
from service.web.library.proposals import PartsAnswer, SimilarAnswer, SimilarQuery
from service.web.parameters import number_in, read_query
from service.web.routes import Access, Answer, Route, json_answer
from service.web.viewers import library_of

QueryT = TypeVar("QueryT", bound=msgspec.Struct)


async def get_identities(request: web.Request) -> web.StreamResponse:
    query = read_query(request, IdentitiesQuery)
    return json_answer(await library_of(request).identities(query))


async def get_identities_file(request: web.Request) -> web.StreamResponse:
    body = await library_of(request).identities_file()
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{IDENTITIES}"'}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def get_identity(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "number")
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    found = await library_of(request).identity(number)
    if found is None:
        raise _nobody(number)
    return json_answer(found)


async def get_identity_faces(request: web.Request) -> web.StreamResponse:
    return await _part(request, FacesQuery, library_of(request).faces)


async def get_identity_eras(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "number")
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    return json_answer(await library_of(request).eras(number))


async def get_nearest_identities(request: web.Request) -> web.StreamResponse:
    return await _part(request, NearestQuery, library_of(request).nearest)


async def get_identities_together(request: web.Request) -> web.StreamResponse:
    return await _part(request, PageQuery, library_of(request).together)


async def get_identity_figures(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "number")
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    return json_answer(await library_of(request).figures(number))


async def get_similar_faces(request: web.Request) -> web.StreamResponse:
    return await _part(request, SimilarQuery, library_of(request).similar)


async def get_identity_parts(request: web.Request) -> web.StreamResponse:
    number = number_in(request, "number")
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    return json_answer(await library_of(request).parts(number))


async def get_planned_set(request: web.Request) -> web.StreamResponse:
    return await _part(request, PlannedSetQuery, library_of(request).planned_set)


async def get_identity_history(request: web.Request) -> web.StreamResponse:
    return await _part(request, PageQuery, library_of(request).history)


async def _part(
    request: web.Request, kind: type[QueryT], read: Callable[[int, QueryT], Awaitable[msgspec.Struct]]
) -> web.StreamResponse:
    """Answer for a part of an identity that takes parameters."""
    number, query = number_in(request, "number"), read_query(request, kind)
    if (merged := await redirect_if_merged(request, number)) is not None:
        return merged
    return json_answer(await read(number, query))


async def redirect_if_merged(request: web.Request, number: int) -> web.Response | None:
    """
    Return the redirect from a merged number to the one that has its faces now; None where the number is current.

    It is not to be kept: an undo brings the number back. ``RequestError`` (404) for a number that never was.
    """
    survivor = await library_of(request).survivor(number)
    if survivor is None:
        raise _nobody(number)
    if survivor == number:
        return None
    part = below_base(request).removeprefix(f"/api/identities/{number}")
    target = request.rel_url.with_path(
        f"{request.app[CONTEXT].base_path}/api/identities/{survivor}{part}", keep_query=True
    )
    answer = json_answer(MergedAnswer(number=number, leads_to=survivor), status=308)
    answer.headers[hdrs.LOCATION] = str(target)
    return answer


def _nobody(number: int) -> RequestError:
    return RequestError(f"there is no identity {number}; /api/identities lists them", status=404)


NOT_AVAILABLE = Answer("The database is not available now", body=ErrorBody)
WRONG_QUERY = Answer("A malformed request, or impossible parameters", body=ErrorBody)
OF_ONE = {
    308: Answer(
        "This number was merged; its faces are there", body=MergedAnswer, redirects=True, example=examples.MERGED
    ),
    404: Answer("No such identity", body=ErrorBody),
    503: NOT_AVAILABLE,
}

ROUTES = (
    Route(
        method="GET",
        path="/api/identities",
        handler=get_identities,
        summary="The identities that have faces: searched, filtered, sorted, a page at a time",
        access=Access.USER,
        query=IdentitiesQuery,
        answers={
            200: Answer("A page", body=IdentitiesAnswer, example=examples.IDENTITIES),
            400: WRONG_QUERY,
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path=f"/api/{IDENTITIES}",
        handler=get_identities_file,
        summary="All identities with their members in one file, which docs/exports.md describes",
        answers={
            200: Answer("The file", body=IdentitiesFile, example=examples.IDENTITIES_FILE),
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/identities/{number}",
        handler=get_identity,
        summary="One identity: its names, counts, dates, cover and face sets",
        access=Access.USER,
        answers=OF_ONE | {200: Answer("The identity", body=IdentityAnswer, example=examples.IDENTITY)},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/faces",
        handler=get_identity_faces,
        summary="The faces of an identity, by distance, doubt, quality or time, a page at a time",
        access=Access.USER,
        query=FacesQuery,
        answers=OF_ONE | {200: Answer("A page", body=FacesAnswer, example=examples.FACES), 400: WRONG_QUERY},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/eras",
        handler=get_identity_eras,
        summary="The eras of an identity",
        access=Access.USER,
        answers=OF_ONE | {200: Answer("The eras", body=ErasAnswer, example=examples.ERAS)},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/nearest",
        handler=get_nearest_identities,
        summary="The other identities by the distance of the means of their vectors",
        access=Access.USER,
        query=NearestQuery,
        answers=OF_ONE | {200: Answer("The nearest", body=NearestAnswer, example=examples.NEAREST), 400: WRONG_QUERY},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/figures",
        handler=get_identity_figures,
        summary="How the faces of an identity are spread over years and distances",
        access=Access.USER,
        answers=OF_ONE | {200: Answer("The figures", body=FiguresAnswer, example=examples.FIGURES)},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/together",
        handler=get_identities_together,
        summary="The identities in the same pictures",
        access=Access.USER,
        query=PageQuery,
        answers=OF_ONE | {200: Answer("A page", body=TogetherAnswer, example=examples.TOGETHER), 400: WRONG_QUERY},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/similar",
        handler=get_similar_faces,
        summary="The faces of nobody that look like an identity, the nearest first",
        query=SimilarQuery,
        answers=OF_ONE | {200: Answer("The faces", body=SimilarAnswer, example=examples.SIMILAR), 400: WRONG_QUERY},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/parts",
        handler=get_identity_parts,
        summary="The people that an identity seems to hold, as a proposal for a split",
        answers=OF_ONE | {200: Answer("The parts", body=PartsAnswer, example=examples.PARTS)},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/planned-set",
        handler=get_planned_set,
        summary="A face set of an identity as it would be written now, and what differs from the one that is there",
        query=PlannedSetQuery,
        answers=OF_ONE | {200: Answer("The face set", body=PlannedSet, example=examples.PLANNED_SET), 400: WRONG_QUERY},
    ),
    Route(
        method="GET",
        path="/api/identities/{number}/history",
        handler=get_identity_history,
        summary="The decisions about an identity, newest first",
        query=PageQuery,
        answers=OF_ONE | {200: Answer("A page", body=HistoryAnswer, example=examples.HISTORY), 400: WRONG_QUERY},
    ),
)
