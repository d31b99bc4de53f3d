"""Conditions of writes: ``Idempotency-Key``, so that nothing is done twice, and ``If-Match``, so that no news is lost."""

import hashlib
import re

from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.library.decisions import WriteKey
from service.web.routes import Header

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "a text of your own choice: the same request with it is done once, and answered in the same way again for 7 days",
)
IF_MATCH = Header("If-Match", "the ETags of the identities that change: a 412 where one is not as the caller saw it")


async def key_of(request: web.Request, body: bytes | None = None) -> WriteKey | None:
    """
    Return the key of a request; None without one, ``RequestError`` (400) for one that is empty, long or strange.

    ``body``: what was asked, where it is more than the body or was read already.
    """
    given = request.headers.getall(IDEMPOTENCY_KEY.name, [])
    if not given:
        return None
    if len(given) > 1 or re.fullmatch(r"[\x21-\x7e]{1,255}", given[0]) is None:
        raise RequestError("one Idempotency-Key has 1 to 255 characters of ASCII without blanks", status=400)
    asked = await request.read() if body is None else body
    asked = b"\n".join((request.method.encode(), request.path.encode("utf-8", "replace"), asked))
    return WriteKey(given[0], hashlib.sha256(asked).hexdigest())
