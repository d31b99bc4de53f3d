"""The embedder's HTTP handlers, which answer requests with faces or with ``wire.ErrorBody``."""

import asyncio
import importlib.metadata
import secrets
import time

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from embedder.metrics import EmbedderMetrics
from embedder.pipeline import BusyError, Pipeline
from embedder.settings import EmbedderSettings
from embedder.upload import MOST_FORM_BYTES, read_upload
from immich_facesets import face_requests, wire
from immich_facesets.errors import ItemError, RequestError, SetupError, TransientError
from immich_facesets.runtime.connections import ConnectionLimits
from immich_facesets.runtime.health import add_health, error_response, require_token
from immich_facesets.runtime.request_limits import limit_request

log = structlog.get_logger(__name__)

UPLOAD_SECONDS = 120.0
"""How long a caller may take to send a picture, which occupies a permit meanwhile."""

READY_SECONDS = 5.0
"""How long a result of ``/readyz`` is cached."""

_PLACES = 256
"""Connections beside those of requests in flight: of callers that are told to wait, and idle ones."""
_MOST_HEADER_BYTES = 1 << 17  # a thousand boxes with all their decimals
_PIPELINE: web.AppKey[Pipeline] = web.AppKey("pipeline", Pipeline)
_LIMITS: web.AppKey[wire.Limits] = web.AppKey("limits", wire.Limits)
_LANES: web.AppKey[wire.Lanes] = web.AppKey("lanes", wire.Lanes)
_ENRICHMENT_MODELS: web.AppKey[tuple[wire.ModelInfo, ...]] = web.AppKey("enrichment_models", tuple)
_STOPPING: web.AppKey[asyncio.Event] = web.AppKey("stopping", asyncio.Event)
_METRICS: web.AppKey[EmbedderMetrics] = web.AppKey("metrics", EmbedderMetrics)


class Readiness:
    """Whether the models work, checked at most every few seconds regardless of the number of callers."""

    def __init__(self, pipeline: Pipeline, stopping: asyncio.Event, *, longest_seconds: float) -> None:
        """``longest_seconds``: how long one picture may take to arrive and to be decoded."""
        self._pipeline = pipeline
        self._longest_seconds = longest_seconds
        self._stopping = stopping
        self._asking = asyncio.Lock()
        self._objections: list[str] = []
        self._asked_at = float("-inf")

    async def objections(self) -> list[str]:
        if self._stopping.is_set():
            return ["the embedder is stopping"]
        if (seconds := self._pipeline.standstill_seconds) > self._longest_seconds:
            return [f"no picture was answered for {seconds:.0f} seconds, though some are in progress"]
        async with self._asking:
            if time.monotonic() - self._asked_at >= READY_SECONDS:
                try:
                    await self._pipeline.self_check()
                    self._objections = []
                except (ItemError, TransientError) as error:
                    self._objections = [str(error)]
                self._asked_at = time.monotonic()
            return self._objections


def build_app(settings: EmbedderSettings, pipeline: Pipeline, metrics: EmbedderMetrics) -> web.Application:
    """Return the web application of one embedder. It refuses new pictures once the event under ``stopping`` is set."""
    app = web.Application(
        middlewares=[_answer_errors, limit_request, require_token(settings.token)],
        client_max_size=settings.max_bytes + MOST_FORM_BYTES,
    )
    stopping = asyncio.Event()
    app[_PIPELINE], app[_METRICS], app[_STOPPING] = pipeline, metrics, stopping
    app[_LIMITS] = wire.Limits(
        max_pixels=settings.max_pixels,
        max_bytes=settings.max_bytes,
        max_in_flight=settings.max_in_flight,
        max_memory=settings.max_memory,
        decode_seconds=settings.decode_seconds,
    )
    app[_LANES] = wire.Lanes(
        workers=pipeline.size.workers,
        detectors=pipeline.size.detectors,
        recognisers=pipeline.size.recognisers,
        batch=pipeline.size.batch,
        threads=pipeline.size.threads,
        precision=settings.precision,
    )
    app[_ENRICHMENT_MODELS] = pipeline.enrichment.files.infos()
    readiness = Readiness(pipeline, stopping, longest_seconds=UPLOAD_SECONDS + 2 * settings.decode_seconds)
    add_health(app, readiness.objections, settings.token)
    app.router.add_post("/v1/faces", _faces)
    app.router.add_get("/v1/info", _info)
    app.router.add_get("/metrics", _metrics)
    return app


def connection_limits(settings: EmbedderSettings) -> ConnectionLimits:
    """Return the limits of connections: places for every request that may be in flight, and long headers with boxes."""
    return ConnectionLimits(
        places=_PLACES + settings.max_in_flight,
        places_of_address=_PLACES // 2 + settings.max_in_flight,
        body_seconds=UPLOAD_SECONDS,
        body_bytes=settings.max_bytes + MOST_FORM_BYTES,
        header_bytes=_MOST_HEADER_BYTES,
    )


def stop_accepting(app: web.Application) -> None:
    app[_STOPPING].set()


def version() -> str:
    try:
        return importlib.metadata.version("immich-facesets")
    except importlib.metadata.PackageNotFoundError:  # run from a tree that was never installed
        return "0+unknown"


async def _faces(request: web.Request) -> web.Response:
    if request.app[_STOPPING].is_set():
        raise TransientError("the embedder is stopping", retry_after=5)
    pipeline = request.app[_PIPELINE]
    limit = request.app[_LIMITS].max_bytes
    with pipeline.permit(limit if request.content_length is None else request.content_length):
        picture, boxes = await read_upload(request, limit)
        wanted = face_requests.FacesRequest.from_http(request.query, request.headers, boxes)
        pipeline.enrichment.files.check(wanted.enrich)
        answer = await pipeline.answer(picture, wanted)
        body, content_type = wire.encode(answer, accept=request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, content_type=content_type)


async def _info(request: web.Request) -> web.Response:
    pipeline = request.app[_PIPELINE]
    facts = pipeline.engine.facts
    info = wire.Info(
        space=pipeline.space,
        family=facts.family,
        dimension=facts.dimension,
        engine=facts.kind,
        pack=facts.pack,
        licence=facts.licence,
        models=(*facts.models, *request.app[_ENRICHMENT_MODELS]),
        provider=facts.provider,
        limits=request.app[_LIMITS],
        version=version(),
        distances=facts.distances,
        enrich=pipeline.enrichment.files.offers,
        lanes=request.app[_LANES],
        flip=facts.space.flip,
        blank=pipeline.blank,
    )
    asked = request.headers.get(hdrs.ACCEPT, "")
    body, content_type = wire.encode(info, accept=wire.MSGPACK if wire.MSGPACK in asked else wire.JSON)
    return web.Response(body=body, content_type=content_type)


async def _metrics(request: web.Request) -> web.Response:
    body, content_type = request.app[_METRICS].page()
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn an exception into an answer; a bug gets a reference, and its traceback is logged."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001  the one place where a bug of a request ends
        return _error_answer(request, error)


def _error_answer(request: web.Request, error: Exception) -> web.Response:
    pause: float | None = None
    message = str(error)
    match error:
        case ItemError():
            status, reason = 422, error.reason
        case RequestError():
            status, reason = error.status, "bad_question"
        case BusyError():
            status, reason, pause = 429, "busy", error.retry_after or 1
        case TransientError():
            status, reason, pause = 503, "not_ready", error.retry_after or 5
        case SetupError():
            status, reason = 503, "setup"
        case web.HTTPRequestEntityTooLarge():
            limit = request.app[_LIMITS].max_bytes
            status, reason = 413, "too_large"
            message = f"the body is larger than the {limit} bytes this embedder takes"
        case web.HTTPException():
            status, reason, message = error.status, "no_such_door", error.reason
        case _:
            reference = secrets.token_hex(8)
            log.error("bug", reference=reference, path=request.path, exc_info=error)
            status, reason = 500, "bug"
            message = f"an error of the embedder itself; its log has the reference {reference}"
    return error_response(request, status, reason, message, retry_after=pause)
