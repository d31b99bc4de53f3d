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
class StaticFile:
    """A static file. Its URL contains ``digest``, so that browsers may cache it permanently."""

    path: Path
    digest: str


STATIC = web.AppKey("static", Mapping[str, StaticFile])


def read_static(folder: Path) -> dict[str, StaticFile]:
    return {
        path.name: StaticFile(path, hashlib.sha256(path.read_bytes()).hexdigest()[:12])
        for path in sorted(folder.iterdir())
    }


async def serve_static(request: web.Request) -> web.StreamResponse:
    file = request.app[STATIC].get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    is_current = request.query.get("v") == file.digest
    keep = f"public, max-age={YEAR_SECONDS}, immutable" if is_current else "no-cache"
    return web.FileResponse(file.path, headers={hdrs.CACHE_CONTROL: keep})


ROUTES = (
    Route(
        method="GET",
        path="/static/{name}",
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
