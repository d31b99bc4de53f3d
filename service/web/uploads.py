"""Pictures in the bodies of requests: read whole, and few at once, so that the memory is bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from immich_facesets.errors import RequestError, TransientError

MOST_PICTURE_BYTES = 32 * 1024 * 1024
"""The largest picture of a request."""

MOST_AT_ONCE = 4
"""The most pictures that are held at once."""

TOO_LARGE = f"the picture has more than {MOST_PICTURE_BYTES // 2**20} MiB: send a smaller copy of it"

PICTURE_TYPE = "application/octet-stream"


class Uploads:
    """The pictures of the requests that are being answered."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def picture(self, request: web.Request) -> AsyncIterator[bytes]:
        """
        Context manager with the picture in the body of a request; it is held until the end of the context.

        A type that no picture has is a 415: a form of another site can send only such. Too many bytes are a 413, an empty
        body is a 400, and ``TransientError`` says that too many pictures are held.
        """
        if request.content_type != PICTURE_TYPE and not request.content_type.startswith("image/"):
            raise RequestError(f"the body is a picture: send its bytes as {PICTURE_TYPE}", status=415)
        if self._held >= MOST_AT_ONCE:
            raise TransientError("too many pictures are being answered: try again in a moment", retry_after=2)
        self._held += 1
        try:
            yield await _whole(request)
        finally:
            self._held -= 1


async def _whole(request: web.Request) -> bytes:
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > MOST_PICTURE_BYTES:
            raise RequestError(TOO_LARGE, status=413)
    if not body:
        raise RequestError("the body is empty: send the bytes of one picture", status=400)
    return bytes(body)


UPLOADS = web.AppKey("uploads", Uploads)
