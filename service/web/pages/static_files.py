"""Styles, scripts and pictures of the pages."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from immich_facesets.wire import ErrorBody
from service.web.etags import is_current
from service.web.routes import Access, Answer, Route

FOLDER = Path(__file__).parents[1] / "static"
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, held in memory: its bytes, the same with gzip, its media type, and its ETag."""

    body: bytes
    zipped: bytes
    kind: str
    etag: str


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """
    The static files by name.

    Their addresses contain ``version``, a digest of all, so that browsers may cache them permanently. It is a folder of the
    address: scripts that import each other reach the same version, and each is loaded once.
    """

    files: Mapping[str, StaticFile]
    version: str


STATIC = web.AppKey("static", StaticFiles)


def read_static(folder: Path) -> StaticFiles:
    """Read all files of a folder. They are few and small, and so no request waits for a disk."""
    files = {path.name: _read(path) for path in sorted(folder.iterdir())}
    told = "".join(f"{name} {file.etag}\n" for name, file in files.items())
    return StaticFiles(files, hashlib.sha256(told.encode()).hexdigest()[:12])


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return StaticFile(body, gzip.compress(body, mtime=0), kind, hashlib.sha256(body).hexdigest()[:16])


def address_of(base: str, known: StaticFiles, name: str) -> str:
    """Return the address of a file below the base path; a ``KeyError`` where there is none of this name."""
    if name not in known.files:
        raise KeyError(name)
    return f"{base}/static/{known.version}/{name}"


async def serve_static(request: web.Request) -> web.StreamResponse:
    known = request.app[STATIC]
    file = known.files.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    is_zipped = "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
    if is_current(request, file.etag):
        answer = web.Response(status=304)
    else:
        answer = web.Response(body=file.zipped if is_zipped else file.body, content_type=file.kind)
        if file.kind.startswith("text/"):
            answer.charset = "utf-8"
        if is_zipped:
            answer.headers[hdrs.CONTENT_ENCODING] = "gzip"
    answer.etag = file.etag
    answer.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    is_latest = request.match_info["version"] == known.version
    answer.headers[hdrs.CACHE_CONTROL] = f"public, max-age={YEAR_SECONDS}, immutable" if is_latest else "no-cache"
    return answer


ROUTES = (
    Route(
        method="GET",
        path="/static/{version}/{name}",
        handler=serve_static,
        summary="Styles, scripts and pictures of the pages",
        access=Access.EVERYBODY,
        answers={
            200: Answer("The file", media_type="application/octet-stream"),
            304: Answer("Not changed"),
            404: Answer("No such file", body=ErrorBody),
        },
    ),
)
