"""Styles, scripts and pictures of the pages."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from immich_facesets.wire import ErrorBody
from service.web.routes import Access, Answer, Route

FOLDER = Path(__file__).parents[1] / "static"
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """
    The static files by name.

    Their addresses contain ``version``, a digest of all, so that browsers may cache them permanently. It is a folder of the
    address: scripts that import each other reach the same version, and each is loaded once.
    """

    paths: Mapping[str, Path]
    version: str


STATIC = web.AppKey("static", StaticFiles)


def read_static(folder: Path) -> StaticFiles:
    paths = {path.name: path for path in sorted(folder.iterdir())}
    digest = hashlib.sha256()
    for name, path in paths.items():
        digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return StaticFiles(paths, digest.hexdigest()[:12])


async def serve_static(request: web.Request) -> web.StreamResponse:
    files = request.app[STATIC]
    path = files.paths.get(request.match_info["name"])
    if path is None:
        raise web.HTTPNotFound
    is_current = request.match_info["version"] == files.version
    keep = f"public, max-age={YEAR_SECONDS}, immutable" if is_current else "no-cache"
    return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: keep})


ROUTES = (
    Route(
        method="GET",
        path="/static/{version}/{name}",
        handler=serve_static,
        summary="Styles, scripts and pictures of the pages",
        access=Access.EVERYBODY,
        answers={
            200: Answer("The file", media_type="application/octet-stream"),
            206: Answer("The part that was asked for", media_type="application/octet-stream"),
            304: Answer("Not changed"),
            404: Answer("No such file", body=ErrorBody),
            412: Answer("Changed", body=ErrorBody),
            416: Answer("It has no such part", body=ErrorBody),
        },
    ),
)
