"""The limits of every request, before a handler reads its body."""

import asyncio
import contextlib

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from immich_facesets.errors import RequestError, TransientError
from immich_facesets.runtime.connections import Connection
from immich_facesets.runtime.health import OPEN_PATHS

_WITHOUT_BODY = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


@web.middleware
async def limit_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """
    Refuse what no handler takes, and a body that does not arrive in time. Place it within the handler of errors.

    No handler takes a packed body: pictures are packed already, and a few bytes could unpack to any number.
    """
    connection = request.protocol
    if not isinstance(connection, Connection):
        raise TypeError("limit_request needs a server of serve_app")
    if connection.place.is_for_health and request.path not in OPEN_PATHS:
        raise TransientError("there are too many connections; try again in a moment", retry_after=5)
    if request.match_info.http_exception is not None:  # no such address, or not with this method
        return await handler(request)
    if request.body_exists and request.method in _WITHOUT_BODY:
        raise RequestError(f"a {request.method} request has no body: send it without one", status=400)
    coding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if request.body_exists and coding != "identity":
        raise RequestError("packed bodies are not taken: send it without a Content-Encoding", status=415)
    return await _with_body_in_time(request, handler, connection.limits.body_seconds)


async def _with_body_in_time(request: web.Request, handler: Handler, seconds: float) -> web.StreamResponse:
    """Call the handler; ``seconds`` end with the last byte of the body, and what the handler does then is not timed."""
    try:
        async with asyncio.timeout(seconds) as timer:

            def stop_timer() -> None:
                with contextlib.suppress(RuntimeError):  # the handler has ended, or its time has
                    timer.reschedule(None)

            request.content.on_eof(stop_timer)
            return await handler(request)
    except TimeoutError:
        if not timer.expired():
            raise
        raise RequestError(f"the body took longer than {seconds:g} seconds to arrive", status=408) from None
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise RequestError("the body is malformed, or ended before its length", status=400) from error
    except ConnectionError as error:
        if request.transport is not None and not request.transport.is_closing():
            raise
        raise RequestError("the caller has left", status=400) from error
