"""Conditions of writes: ``Idempotency-Key``, so that nothing is done twice, and ``If-Match``, so that no news is lost."""

import hashlib
import re
from collections.abc import Iterable

import msgspec
from aiohttp import web

from immich_facesets.errors import RequestError
from service.web.context import CONTEXT
from service.web.etags import tag_of
from service.web.library.decisions import ChangedIdentity, ChangedProblem, WriteKey
from service.web.library.identities import PageQuery
from service.web.problems import PROBLEM_TYPE, problem_of
from service.web.routes import Header

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "a text of your own choice: the same request with it is done once, and answered in the same way again for 7 days",
)
IF_MATCH = Header("If-Match", "the ETags of the identities that change: a 412 where one is not as the caller saw it")


async def key_of(request: web.Request) -> WriteKey | None:
    """Return the key of a request; None without one, ``RequestError`` (400) for one that is empty, long or strange."""
    given = request.headers.getall(IDEMPOTENCY_KEY.name, [])
    if not given:
        return None
    if len(given) > 1 or re.fullmatch(r"[\x21-\x7e]{1,255}", given[0]) is None:
        raise RequestError("one Idempotency-Key has 1 to 255 characters of ASCII without blanks", status=400)
    asked = b"\n".join((request.method.encode(), request.path.encode("utf-8", "replace"), await request.read()))
    return WriteKey(given[0], hashlib.sha256(asked).hexdigest())


async def changed_since(request: web.Request, numbers: Iterable[int]) -> web.Response | None:
    """Return the answer to a caller that did not see these identities as they are now; None where it did."""
    known = {tag.value for tag in request.if_match or () if not tag.is_weak}
    if "*" in known:
        return None
    library, changed = request.app[CONTEXT].library, dict[int, ChangedIdentity]()
    for named in numbers:
        number = await library.survivor(named)
        now = None if number is None else await library.identity(number)
        if number is None or now is None or (tag := tag_of(msgspec.json.encode(now))) in known:
            continue
        latest = (await library.history(number, PageQuery(limit=1))).decisions
        changed[number] = ChangedIdentity(number=number, etag=f'"{tag}"', now=now, latest=latest[0] if latest else None)
    if not changed:
        return None
    told = ", ".join(map(str, changed))
    problem = problem_of(
        412,
        f"identity {told} is not as you saw it, or its ETag is not in If-Match: look at `changed`, and send the request "
        "again with these ETags if it still holds",
    )
    body = ChangedProblem(**msgspec.structs.asdict(problem), changed=tuple(changed.values()))
    return web.Response(status=412, body=msgspec.json.encode(body), content_type=PROBLEM_TYPE)
