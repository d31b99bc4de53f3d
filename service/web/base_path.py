"""The path that all addresses begin with, for a service behind a reverse proxy beside others."""

from collections.abc import Iterable

from aiohttp import web

from service.web.context import CONTEXT
from service.web.routes import Route


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Serve each route below the base path, those ``at_root`` also without it, and the bare path as the way in."""
    base = app[CONTEXT].base_path
    for route in routes:
        for path in {base + route.path, route.path} if route.at_root else {base + route.path}:
            if route.method == "GET":
                app.router.add_get(path, route.handler, allow_head=not route.streams)
            else:
                app.router.add_post(path, route.handler)
    if base:
        app.router.add_get(base, enter)


async def enter(request: web.Request) -> web.StreamResponse:
    raise web.HTTPPermanentRedirect(f"{request.app[CONTEXT].base_path}/")


def below_base(request: web.Request) -> str:
    """Return the path of a request as the routes have it."""
    return request.path.removeprefix(request.app[CONTEXT].base_path)


def is_of_api(request: web.Request) -> bool:
    """Whether a request asks the API, which answers programs alone."""
    return below_base(request).startswith("/api/")


def outside_base(request: web.Request) -> str | None:
    """
    Return what to say of a path that is not below the base path; None where it is.

    A redirect would be no help: a proxy that takes the base path away would send it back here, without an end.
    """
    base = request.app[CONTEXT].base_path
    if not base or request.path.startswith(f"{base}/"):
        return None
    return (
        f"This service answers below {base}/ (FACESETS_BASE_PATH), and this request asked for another path. "
        f"A reverse proxy in front must pass {base} on, and not take it away."
    )
