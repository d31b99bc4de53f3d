"""The dependencies of the web package as plain values and callables, independent of the other packages."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from service.progress import JobKind, ProgressBoard
from service.web.library.decisions import DecisionCalls, KeptAnswers
from service.web.library.eras import EraCalls
from service.web.library.identify import IdentifyAnswer
from service.web.library.reads import LibraryReads
from service.web.library.references import ReferenceCalls
from service.web.login_links import LoginLinks
from service.web.schemas import Readiness, StatusFacts

Begun = asyncio.Future[int | str]
"""The number of a job once it has begun, or why it could not begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebContext:
    """
    The values and callables that the HTTP handlers need.

    ``library`` answers what the library holds, ``decisions`` makes decisions, ``references`` adds reference pictures, and
    ``eras`` changes eras. ``identify(picture, limit)`` names its faces. ``whole_picture(sha256, user)`` returns one of the
    library, for a user one of the own source, reduced, as JPEG. ``answers`` keeps those to other writes.
    ``request_job(kind, source, people)`` starts a job, an export of everybody where ``people`` is None; it returns None where
    one runs, and raises ``RequestError`` for an unknown source. ``cancel_job(number)`` is False where no such job runs.
    ``token`` None disables authentication, which ``serve_web`` allows on loopback only. ``allowed_hosts`` are the names
    accepted in the ``Host`` header beside addresses and ``localhost``. Empty means any name, because DNS rebinding
    gains nothing against a token. ``base_path`` is what all addresses begin with, "" for none. ``ended_sessions`` are the
    ids of sessions that were logged out, with their expiry; ``keep_ended`` keeps them for the next start.
    ``login_links`` are those that sign in once. ``clock`` is the wall clock in seconds, ``uptime`` a monotonic one.

    ``users`` are the Immich users of the settings now, each with a text that is another one where the name is given to
    another account. ``library_for(user)`` answers what one of them may see.
    ``user_of_key`` returns the user that an Immich API key belongs to, and None for a key that Immich refuses.
    ``RequestError`` (403) says why another key signs nobody in, ``TransientError`` that Immich does not answer.
    """

    board: ProgressBoard
    library: LibraryReads
    library_for: Callable[[str], LibraryReads]
    users: Callable[[], Mapping[str, str]]
    user_of_key: Callable[[SecretStr], Awaitable[str | None]]
    decisions: DecisionCalls
    references: ReferenceCalls
    eras: EraCalls
    answers: KeptAnswers
    identify: Callable[[bytes, int], Awaitable[IdentifyAnswer]]
    whole_picture: Callable[[str, str | None], Awaitable[bytes | None]]
    token: str | None = field(repr=False)
    request_job: Callable[[JobKind, str | None, frozenset[int] | None], Begun | None]
    cancel_job: Callable[[int], bool]
    status: Callable[[], Awaitable[StatusFacts]]
    ready: Callable[[], Awaitable[Readiness]]
    registry: CollectorRegistry
    version: str
    allowed_hosts: tuple[str, ...] = ()
    base_path: str = ""
    ended_sessions: Mapping[str, int]
    keep_ended: Callable[[Mapping[str, int]], Awaitable[None]]
    login_links: LoginLinks = field(default_factory=lambda: LoginLinks(time.monotonic))
    clock: Callable[[], float] = time.time
    uptime: Callable[[], float] = time.monotonic


CONTEXT = web.AppKey("context", WebContext)

CLOSING = web.AppKey("closing", asyncio.Event)
"""Set when the server stops, so that open streams end."""
