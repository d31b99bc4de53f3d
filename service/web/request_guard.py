"""The checks of every request (host, origin, viewer), and the headers of every response."""

import ipaddress
import re
import uuid
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as AnyHandler

from immich_facesets.errors import RequestError
from immich_facesets.runtime.connections import caller_at
from service.web.auth import WRONG_TOKENS
from service.web.base_path import is_of_api
from service.web.context import CONTEXT
from service.web.routes import Access, Handler
from service.web.sessions import KEYRING
from service.web.viewers import VIEWER, Viewer

ACCESS = web.AppKey("access", Mapping[Handler, Access])
"""The access to each handler; one that is not named is the administrator's."""

OF_THE_ADMINISTRATOR = "This is the administrator's. You see the people in your own pictures, and change nothing."

REQUEST_ID = web.RequestKey("request_id", str)

# ``same-origin`` sends other sites as little as ``no-referrer`` does. With ``no-referrer``, browsers send
# ``Origin: null`` with the forms of our own pages, and the origin could no longer be checked.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def wants_html(request: web.Request) -> bool:
    """Whether the response should be HTML: the caller accepts it, and the path is not one of the API."""
    return not is_of_api(request) and "text/html" in request.headers.get(hdrs.ACCEPT, "")


def is_known_host(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a ``Host`` header is an address, ``localhost`` or an allowed name (against DNS rebinding)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name in {entry.lower() for entry in allowed}:
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_cross_origin(request: web.Request) -> bool:
    """
    Whether a browser sent this request on behalf of another site.

    Every browser sends ``Origin`` with a POST, and most also ``Sec-Fetch-Site`` (on https and localhost); programs
    send neither. Behind a proxy, the host name known to the browser may only be in ``X-Forwarded-Host``, which no
    other site can set.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return False
    hosts = {request.headers.get(hdrs.HOST), request.headers.get(hdrs.X_FORWARDED_HOST)}
    try:
        return urlsplit(origin).netloc not in hosts
    except ValueError:  # such as http://[
        return True


@web.middleware
async def guard_request(request: web.Request, handler: AnyHandler) -> web.StreamResponse:
    """Check host, origin and viewer; browsers without a session are redirected to the login page."""
    context, keyring = request.app[CONTEXT], request.app[KEYRING]
    if (keyring.is_open or context.allowed_hosts) and not is_known_host(
        request.headers.get(hdrs.HOST, ""), context.allowed_hosts
    ):
        raise RequestError("this service does not answer to this host name; open it by its address", status=421)
    viewer = keyring.viewer_of(request)
    if viewer is not None:
        request[VIEWER] = viewer
    if request.match_info.http_exception is not None:
        return await handler(request)
    if request.method == hdrs.METH_POST and not keyring.shows_bearer(request) and is_cross_origin(request):
        raise RequestError("another site sent this request; use the pages of this service", status=403)
    _check_access(request, viewer)
    return await handler(request)


def _check_access(request: web.Request, viewer: Viewer | None) -> None:
    """Refuse a viewer whose this address is not; what the routes do not name is the administrator's."""
    access = request.app[ACCESS].get(request.match_info.handler, Access.ADMINISTRATOR)
    if access is Access.EVERYBODY:
        return
    if viewer is None:
        raise _refusal(request)
    if access is not Access.USER and not viewer.is_administrator:
        raise RequestError(OF_THE_ADMINISTRATOR, status=403)


def _refusal(request: web.Request) -> web.HTTPException:
    """Return the way to the login for a browser, or a 401."""
    if request.headers.get(hdrs.AUTHORIZATION, "").lower().startswith("bearer"):
        request.app[WRONG_TOKENS].warn("wrong_token", caller=caller_at(request.remote or ""))
    if wants_html(request):
        start = f"{request.app[CONTEXT].base_path}/"
        goal = request.path_qs if request.method == hdrs.METH_GET else start
        wanted = "" if goal == start else f"?next={quote(goal, safe='/')}"
        return web.HTTPSeeOther(f"{start}login{wanted}")
    return web.HTTPUnauthorized(headers={hdrs.WWW_AUTHENTICATE: "Bearer"})


def request_id(request: web.Request) -> str:
    """Return the caller's ``X-Request-Id`` when it has only safe characters, else a new id."""
    given = request.headers.get("X-Request-Id", "")
    return given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else uuid.uuid4().hex[:16]


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the common headers to a response, streams and errors included; a signal handler."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
