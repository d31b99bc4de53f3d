"""ETags of the representations of the API: callers that have the current one get a 304 without a body."""

import hashlib

from aiohttp import ETag, hdrs, web
from aiohttp.typedefs import Handler

from service.web.base_path import is_of_api

TO_BE_ASKED_FOR_AGAIN = "private, no-cache"
"""Kept by the caller alone, and asked for again each time: what it shows may have changed. It is another for each viewer."""

_JSON = "application/json"


@web.middleware
async def tag_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give each JSON answer of the API an ETag of its bytes; innermost middleware."""
    answer = await handler(request)
    if not (
        is_of_api(request)
        and request.method in {hdrs.METH_GET, hdrs.METH_HEAD}
        and isinstance(answer, web.Response)
        and answer.status == 200
        and isinstance(answer.body, bytes)
        and answer.content_type == _JSON
    ):
        return answer
    tag = tag_of(answer.body)
    if is_current(request, tag):
        answer = web.Response(status=304)
    answer.etag = tag
    answer.headers.setdefault(hdrs.CACHE_CONTROL, TO_BE_ASKED_FOR_AGAIN)
    answer.headers[hdrs.VARY] = hdrs.COOKIE
    return answer


def tag_of(body: bytes) -> str:
    """Return the ETag of an answer with these bytes, without its quotes."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def is_current(request: web.Request, tag: str) -> bool:
    """Whether a caller has the representation with this tag already (``If-None-Match``, RFC 9110, section 13.1.2)."""
    known: tuple[ETag, ...] | None = request.if_none_match
    return known is not None and any(one.value in {tag, "*"} for one in known)
