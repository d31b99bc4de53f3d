"""Decisions from requests of programs and of pages: made once, and only about identities that the caller saw as they are."""

from collections.abc import Collection, Iterable, Sequence

import msgspec
from aiohttp import web

from immich_facesets.moderation.records import Author, MadeFrom
from immich_facesets.moderation.requests import Request
from service.web.context import CONTEXT
from service.web.etags import tag_of
from service.web.library.decisions import ChangedIdentity, ChangedProblem, DecisionsAnswer, WriteKey
from service.web.library.identities import IdentityAnswer, PageQuery
from service.web.problems import PROBLEM_TYPE, problem_of
from service.web.routes import json_answer
from service.web.viewers import library_of

MADE_BY = "token"
"""The author of all decisions over HTTP: there is one token, and no accounts."""

ANY = "*"
"""The ETag that stands for each."""


def author_of(made_from: MadeFrom, reason: str = "") -> Author:
    """Return the author of decisions that are made in this way."""
    return Author(MADE_BY, made_from, reason)


def seen_by(request: web.Request) -> frozenset[str] | None:
    """Return the ETags of the identities as a caller saw them (``If-Match``); None where it does not matter."""
    return None if request.if_match is None else frozenset(tag.value for tag in request.if_match if not tag.is_weak)


def etag_of(identity: IdentityAnswer) -> str:
    """Return the ETag of an identity, without its quotes: that of its answer in the API."""
    return tag_of(msgspec.json.encode(identity))


async def decide(
    request: web.Request,
    requests: Sequence[Request],
    author: Author,
    key: WriteKey | None,
    seen: Collection[str] | None,
) -> DecisionsAnswer | tuple[ChangedIdentity, ...]:
    """
    Make decisions, once under their key; return the identities that changed where nothing was done because of them.

    ``seen``: the ETags of the identities as the caller saw them; None: whatever they are now.
    """
    calls = request.app[CONTEXT].decisions
    if key is not None and (known := await calls.known(key, author)) is not None:
        return known
    while True:  # ends: each further round follows a decision of another caller
        after: int | None = None
        if seen is not None:
            preview = await calls.preview(requests)
            if changed := await changed_since(request, preview.touched, seen):
                return changed
            after = preview.last
        made = await calls.make(requests, author, key, after)
        if made is not None:
            return made


def answer_of(found: DecisionsAnswer | tuple[ChangedIdentity, ...]) -> web.Response:
    """Return the answer of the API: what was decided, or a 412 with what changed."""
    if isinstance(found, DecisionsAnswer):
        return json_answer(found)
    return changed_answer(found)


def changed_answer(found: Collection[ChangedIdentity]) -> web.Response:
    """Return a 412 with the identities that are not as the caller saw them."""
    told = ", ".join(str(one.number) for one in found)
    problem = problem_of(
        412,
        f"identity {told} is not as you saw it, or its ETag is not in If-Match: look at `changed`, and send the request "
        "again with these ETags if it still holds",
    )
    body = ChangedProblem(**msgspec.structs.asdict(problem), changed=tuple(found))
    return web.Response(status=412, body=msgspec.json.encode(body), content_type=PROBLEM_TYPE)


async def changed_since(
    request: web.Request, numbers: Iterable[int], seen: Collection[str]
) -> tuple[ChangedIdentity, ...]:
    """Return those of these identities that are not as they were seen."""
    if ANY in seen:
        return ()
    library, changed = library_of(request), dict[int, ChangedIdentity]()
    for named in numbers:
        number = await library.survivor(named)
        now = None if number is None else await library.identity(number)
        if number is None or now is None or (tag := etag_of(now)) in seen:
            continue
        latest = (await library.history(number, PageQuery(limit=1))).decisions
        changed[number] = ChangedIdentity(number=number, etag=f'"{tag}"', now=now, latest=latest[0] if latest else None)
    return tuple(changed.values())
