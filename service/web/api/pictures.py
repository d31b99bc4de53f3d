"""Stored crops and thumbnails, and whole pictures, at addresses that never show anything else."""

import re

from aiohttp import hdrs, web

from immich_facesets.errors import RequestError
from immich_facesets.wire import ErrorBody
from service.web.context import CONTEXT
from service.web.etags import is_current
from service.web.library.addresses import CROP_NAME, THUMBNAIL_SIDES
from service.web.routes import Access, Answer, Route
from service.web.viewers import VIEWER, library_of

SHA256 = re.compile("[0-9a-f]{64}")

FOR_GOOD = "private, max-age=31536000, immutable"
"""Kept by the browser alone, and for good: the address has the digest of the bytes."""


async def get_crop(request: web.Request) -> web.StreamResponse:
    name = picture_name(request)
    return _picture(request, await library_of(request).crop(name), name)


async def get_thumbnail(request: web.Request) -> web.StreamResponse:
    name, side = picture_name(request), request.match_info["side"]
    if side not in map(str, THUMBNAIL_SIDES):
        raise RequestError(f"there are thumbnails of {', '.join(map(str, THUMBNAIL_SIDES))} pixels a side", status=404)
    return _picture(request, await library_of(request).thumbnail(name, int(side)), f"{side}/{name}")


async def get_picture(request: web.Request) -> web.StreamResponse:
    sha256 = request.match_info["sha256"]
    if SHA256.fullmatch(sha256) is None:
        raise _no_picture()
    is_seen = await library_of(request).has_picture(sha256)
    image = await request.app[CONTEXT].whole_picture(sha256, request[VIEWER].user) if is_seen else None
    if image is None:
        raise _no_picture()
    return picture_answer(request, image, sha256)


def _no_picture() -> RequestError:
    return RequestError("there is no such picture with a face, or no source has it now", status=404)


def picture_name(request: web.Request) -> str:
    name = request.match_info["crop"]
    if CROP_NAME.fullmatch(name) is None:
        raise no_crop()
    return name


def no_crop() -> RequestError:
    return RequestError("there is no such crop: the answer about the face has its present address", status=404)


def _picture(request: web.Request, image: bytes | None, name: str) -> web.Response:
    if image is None:
        raise no_crop()
    return picture_answer(request, image, name)


def picture_answer(request: web.Request, image: bytes, name: str) -> web.Response:
    answer = (
        web.Response(status=304) if is_current(request, name) else web.Response(body=image, content_type="image/jpeg")
    )
    answer.etag = name
    answer.headers[hdrs.CACHE_CONTROL] = FOR_GOOD
    answer.headers[hdrs.VARY] = hdrs.COOKIE
    return answer


OF_PICTURE = {
    200: Answer("The picture", media_type="image/jpeg"),
    304: Answer("The caller has it"),
    404: Answer("No such crop", body=ErrorBody),
}

ROUTES = (
    Route(
        method="GET",
        path="/api/crops/{crop}",
        handler=get_crop,
        summary="The stored crop of a face",
        access=Access.USER,
        answers=OF_PICTURE,
    ),
    Route(
        method="GET",
        path="/api/thumbnails/{side}/{crop}",
        handler=get_thumbnail,
        summary="A stored crop, reduced",
        access=Access.USER,
        answers=OF_PICTURE,
    ),
    Route(
        method="GET",
        path="/api/pictures/{sha256}",
        handler=get_picture,
        summary="A whole picture with a face, upright and reduced, fetched from its source now",
        access=Access.USER,
        answers={
            200: Answer("The picture", media_type="image/jpeg"),
            304: Answer("The caller has it"),
            404: Answer("No such picture", body=ErrorBody),
            422: Answer("It cannot be read", body=ErrorBody),
            503: Answer("Its source or the embedder does not answer now", body=ErrorBody),
        },
    ),
)
