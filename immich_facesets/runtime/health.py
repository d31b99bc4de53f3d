"""Endpoints and access check of every process: ``/healthz``, ``/readyz``, and the token for all others."""

import hmac
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from immich_facesets import wire

HEALTHZ, READYZ = "/healthz", "/readyz"

ReadyCheck = Callable[[], Awaitable[Sequence[str]]]
"""Returns the reasons why the process is not ready, one sentence each; empty when it is ready."""


def error_response(
    request: web.Request, status: int, reason: str, message: str, *, retry_after: float | None = None
) -> web.Response:
    """Return an error response: ``wire.ErrorBody``, as JSON unless the caller prefers msgpack."""
    asked = request.headers.get(hdrs.ACCEPT, "")
    body, content_type = wire.encode(
        wire.ErrorBody(reason=reason, message=message), accept=wire.MSGPACK if wire.MSGPACK in asked else wire.JSON
    )
    headers = {} if retry_after is None else {hdrs.RETRY_AFTER: str(max(1, round(retry_after)))}
    return web.Response(status=status, body=body, content_type=content_type, headers=headers)


OPEN_PATHS = frozenset({HEALTHZ, READYZ})
"""Paths that need no token. ``/readyz`` gives its reasons only to callers that have it."""


def admits(token: SecretStr | None, request: web.Request) -> bool:
    """Return whether a request has ``Authorization: Bearer <token>``; without a token all requests are admitted."""
    if token is None:
        return True
    given = request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, f"Bearer {token.get_secret_value()}".encode())


def require_token(token: SecretStr | None) -> Middleware:
    """Return a middleware that answers 401 where ``admits`` refuses, except for the open paths."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN_PATHS or admits(token, request):
            return await handler(request)
        answer = error_response(request, 401, "unauthorized", "a bearer token is required, and this is not it")
        answer.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return answer

    return check


def add_health(app: web.Application, ready: ReadyCheck, token: SecretStr | None) -> None:
    """
    Add ``/healthz`` (this process responds) and ``/readyz`` (503 while ``ready`` returns any reason).

    Only callers with the token get the reasons.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(request: web.Request) -> web.Response:
        objections = list(await ready())
        reasons = {"objections": objections} if admits(token, request) else {}
        status = "not ready" if objections else "ready"
        return web.json_response({"status": status, **reasons}, status=503 if objections else 200)

    app.router.add_get(HEALTHZ, healthz)
    app.router.add_get(READYZ, readyz)
