"""Face sets and their forms: the list, one with its pre-flight, its files, all of them as a zip, and the ledger."""

import asyncio
import mimetypes
from collections.abc import Iterator
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web

from immich_facesets.errors import RequestError, TransientError
from immich_facesets.wire import ErrorBody
from service.web import examples
from service.web.api.identities import NOT_AVAILABLE, WRONG_QUERY
from service.web.etags import TO_BE_ASKED_FOR_AGAIN
from service.web.library.addresses import name_from_path
from service.web.library.facesets import (
    ExportedAnswer,
    ExportedQuery,
    FacesetAnswer,
    FacesetsAnswer,
    FacesetsQuery,
    LedgerAnswer,
    LedgerQuery,
    LeftOutAnswer,
    LeftOutQuery,
)
from service.web.parameters import read_query
from service.web.routes import Answer, Route, json_answer
from service.web.viewers import library_of

log = structlog.get_logger(__name__)

_SHOWN_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "application/json", "text/plain"})
_ANY_TYPE = "application/octet-stream"


async def get_facesets(request: web.Request) -> web.StreamResponse:
    query = read_query(request, FacesetsQuery)
    return json_answer(await library_of(request).facesets(query))


async def get_faceset(request: web.Request) -> web.StreamResponse:
    found = await library_of(request).faceset(name_from_path(request.match_info["directory"]))
    if found is None:
        raise _no_faceset()
    return json_answer(found)


async def get_faceset_file(request: web.Request) -> web.StreamResponse:
    directory, name = (name_from_path(request.match_info[part]) for part in ("directory", "file"))
    path = await library_of(request).faceset_file(directory, name)
    if path is None:
        raise RequestError("there is no such file; the answer about the face set lists its files", status=404)
    guessed = mimetypes.guess_type(path.name)[0]
    headers = {
        hdrs.CONTENT_TYPE: guessed if guessed in _SHOWN_TYPES else _ANY_TYPE,
        hdrs.CONTENT_DISPOSITION: as_attachment(path.name),
        hdrs.CACHE_CONTROL: TO_BE_ASKED_FOR_AGAIN,
    }
    return web.FileResponse(path, headers=headers)


async def get_faceset_zip(request: web.Request) -> web.StreamResponse:
    directory = name_from_path(request.match_info["directory"])
    parts = await library_of(request).faceset_archive(directory)
    if parts is None:
        raise _no_faceset()
    name = f"{directory.rpartition('/')[2]}.zip"
    answer = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: "application/zip", hdrs.CONTENT_DISPOSITION: as_attachment(name)}
    )
    await _send(request, answer, parts)
    return answer


async def _send(request: web.Request, answer: web.StreamResponse, parts: Iterator[bytes]) -> None:
    """
    Send the parts as the caller takes them.

    When a file goes away meanwhile, the connection breaks off: the caller must not take a part for the whole.
    """
    try:
        part = await asyncio.to_thread(next, parts, None)
    except OSError as error:
        raise TransientError("this face set is being written again: try again in a moment", retry_after=1) from error
    await answer.prepare(request)
    try:
        while part is not None:
            await answer.write(part)
            part = await asyncio.to_thread(next, parts, None)
    except OSError as error:
        if not isinstance(error, ConnectionError):
            log.warning("download_broken_off", advice="the face set was written anew meanwhile: download it again")
        if request.transport is not None:
            request.transport.abort()
        return
    await answer.write_eof()


async def get_ledger(request: web.Request) -> web.StreamResponse:
    query = read_query(request, LedgerQuery)
    return json_answer(await library_of(request).ledger(query))


async def get_left_out(request: web.Request) -> web.StreamResponse:
    directory, query = name_from_path(request.match_info["directory"]), read_query(request, LeftOutQuery)
    found = await library_of(request).left_out(directory, query)
    if found is None:
        raise _no_faceset()
    return json_answer(found)


async def get_exported_people(request: web.Request) -> web.StreamResponse:
    query = read_query(request, ExportedQuery)
    return json_answer(await library_of(request).exported(query))


def as_attachment(name: str) -> str:
    """Return the header that has a browser save a file under this name (RFC 6266)."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "-_. ") else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


def _no_faceset() -> RequestError:
    return RequestError("there is no such face set; /api/facesets lists them", status=404)


NO_FACESET = Answer("No such face set", body=ErrorBody)

ROUTES = (
    Route(
        method="GET",
        path="/api/facesets",
        handler=get_facesets,
        summary="The directories of the export folder: face sets, and other export profiles",
        query=FacesetsQuery,
        answers={
            200: Answer("A page", body=FacesetsAnswer, example=examples.FACESETS),
            400: WRONG_QUERY,
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/facesets/{directory}",
        handler=get_faceset,
        summary="One directory: its files, and what it lacks",
        answers={
            200: Answer("The directory", body=FacesetAnswer, example=examples.FACESET),
            404: NO_FACESET,
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/facesets/{directory}/left-out",
        handler=get_left_out,
        summary="The faces that are left out of a face set, each with the reason, a page at a time",
        query=LeftOutQuery,
        answers={
            200: Answer("A page", body=LeftOutAnswer, example=examples.LEFT_OUT),
            400: WRONG_QUERY,
            404: NO_FACESET,
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/facesets/{directory}/files/{file}",
        handler=get_faceset_file,
        summary="One file of a directory, such as a bundle",
        answers={
            200: Answer("The file", media_type=_ANY_TYPE),
            206: Answer("The part that was asked for", media_type=_ANY_TYPE),
            304: Answer("Not changed"),
            404: Answer("No such file", body=ErrorBody),
            412: Answer("Changed", body=ErrorBody),
            416: Answer("It has no such part", body=ErrorBody),
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/facesets/{directory}/zip",
        handler=get_faceset_zip,
        summary="All files of a directory as one zip archive, made while it is sent",
        answers={200: Answer("The archive", media_type="application/zip"), 404: NO_FACESET, 503: NOT_AVAILABLE},
        streams=True,
    ),
    Route(
        method="GET",
        path="/api/exports",
        handler=get_ledger,
        summary="The ledger: every directory that was written or removed, the latest first",
        query=LedgerQuery,
        answers={
            200: Answer("A page", body=LedgerAnswer, example=examples.LEDGER),
            400: WRONG_QUERY,
            503: NOT_AVAILABLE,
        },
    ),
    Route(
        method="GET",
        path="/api/exports/people",
        handler=get_exported_people,
        summary="The people with what of them is in the export folder, or why nothing is, a page at a time",
        query=ExportedQuery,
        answers={
            200: Answer("A page", body=ExportedAnswer, example=examples.EXPORTED),
            400: WRONG_QUERY,
            503: NOT_AVAILABLE,
        },
    ),
)
