"""The web application as a whole: its routes, its start and its shutdown."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web
from pydantic import SecretStr

from immich_facesets.runtime.connections import ConnectionLimits
from immich_facesets.runtime.http_server import serve_app
from immich_facesets.runtime.listen_address import Listen, check_exposure
from immich_facesets.runtime.request_limits import limit_request
from service.web import api, auth, events, openapi, pages
from service.web.auth import install_auth
from service.web.base_path import add_routes, enter
from service.web.context import CLOSING, CONTEXT, WebContext
from service.web.error_responses import answer_errors
from service.web.etags import tag_answers
from service.web.openapi import install_document
from service.web.pages.environment import install_pages
from service.web.request_guard import ACCESS, add_headers, guard_request
from service.web.routes import Access, Route
from service.web.uploads import MOST_PICTURE_BYTES, UPLOADS, Uploads

__all__ = ["ROUTES", "WebContext", "build_web", "serve_web"]

ROUTES: tuple[Route, ...] = (*api.ROUTES, *events.ROUTES, *openapi.ROUTES, *pages.ROUTES, *auth.ROUTES)
"""Every route of the application."""

MAX_BODY_BYTES = 64 * 1024
LIMITS = ConnectionLimits(body_bytes=MOST_PICTURE_BYTES)
STOP_SECONDS = 2.0
"""At shutdown, the time a running request has to end, and again the time it has after its cancellation."""


def build_web(context: WebContext) -> web.Application:
    """Return the application, which ``serve_web`` serves."""
    app = web.Application(
        middlewares=[answer_errors, limit_request, guard_request, tag_answers], client_max_size=MAX_BODY_BYTES
    )
    app[CONTEXT] = context
    app[CLOSING] = asyncio.Event()
    app[UPLOADS] = Uploads()
    install_auth(app)
    install_pages(app)
    install_document(app, ROUTES)
    app[ACCESS] = {route.handler: route.access for route in ROUTES} | {enter: Access.USER}
    add_routes(app, ROUTES)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_close_streams)
    return app


async def _close_streams(app: web.Application) -> None:
    app[CLOSING].set()


@contextlib.asynccontextmanager
async def serve_web(context: WebContext, listen: Listen, limits: ConnectionLimits = LIMITS) -> AsyncIterator[Listen]:
    """
    Serve while the context is open; yield the address that was actually bound.

    Raises ``SetupError`` for an address that is taken, or reachable from other hosts without a token.
    """
    token = None if context.token is None else SecretStr(context.token)
    check_exposure(listen, token, token_name="FACESETS_TOKEN")  # noqa: S106  the name of a setting
    async with serve_app(
        build_web(context), listen, limits, setting="FACESETS_LISTEN", stop_seconds=STOP_SECONDS
    ) as bound:
        yield bound
