"""Live progress as server-sent events: JSON for programs, HTML fragments for the status page."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from immich_facesets.errors import FacesetsError
from service.progress import Progress, ProgressBoard
from service.web.context import CLOSING, CONTEXT
from service.web.pages.status import page_state, render_part, status_view
from service.web.routes import Answer, Route
from service.web.sessions import KEYRING

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 0.25
"""The minimum time between two snapshots; changes in between are part of the next one."""

HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 20.0
"""A client that accepts no data for this long is disconnected."""

REFRESH_SECONDS = 30.0
"""The interval at which the status page gets current store facts and times, even without any progress."""

RECONNECT_MILLISECONDS = 2000


async def snapshots(
    board: ProgressBoard, closing: asyncio.Event, *, idle_seconds: float | None = None
) -> AsyncGenerator[Progress]:
    """
    Yield the current progress, then each change, at most one per ``PAUSE_SECONDS``; end when ``closing`` is set.

    With ``idle_seconds``, the latest snapshot is repeated after that time without a change.
    """
    changes = board.changes()
    closed = asyncio.ensure_future(closing.wait())
    change = asyncio.ensure_future(anext(changes))
    try:
        while True:
            await asyncio.wait({change, closed}, timeout=idle_seconds, return_when=asyncio.FIRST_COMPLETED)
            if closing.is_set():
                return
            if change.done():
                change.result()
                change = asyncio.ensure_future(anext(changes))
            yield board.now
            await asyncio.wait({closed}, timeout=PAUSE_SECONDS)
    finally:
        change.cancel()
        closed.cancel()
        await asyncio.gather(change, closed, return_exceptions=True)
        await changes.aclose()


def _moment(progress: Progress) -> str:
    """Return the id of an event. Snapshots are complete, so a reconnecting client needs only the latest."""
    return progress.changed_at.isoformat()


def _occasion(progress: Progress) -> tuple[int | None, tuple[str, ...]]:
    """Return a key of run and circuits; when it changes, store facts and readiness may have changed too."""
    return progress.run_id, tuple(remote.circuit for remote in progress.remotes)


@contextlib.asynccontextmanager
async def _stream(request: web.Request) -> AsyncIterator[EventSourceResponse]:
    """
    Open an event stream; it ends without an error when the client disconnects or stops reading.

    A ``ConnectionError`` when the client has left before it was opened.
    """
    stream: EventSourceResponse | None = None
    try:
        async with sse_response(request, ping_interval=HEARTBEAT_SECONDS, send_timeout=SEND_SECONDS) as stream:
            yield stream
    except (ConnectionError, TimeoutError):
        if stream is None:
            raise


async def stream_progress(request: web.Request) -> web.StreamResponse:
    board, closing = request.app[CONTEXT].board, request.app[CLOSING]
    async with _stream(request) as stream, contextlib.aclosing(snapshots(board, closing)) as latest:
        async for progress in latest:
            if not request.app[KEYRING].is_administrator(request):
                break
            await stream.send(
                msgspec.json.encode(progress).decode(),
                event="progress",
                id=_moment(progress),
                retry=RECONNECT_MILLISECONDS,
            )
    return stream


async def stream_page(request: web.Request) -> web.StreamResponse:
    """
    Send the parts of the status page: the progress part at every change, at the latest after ``REFRESH_SECONDS``.

    The other part follows when it may have changed, and every ``REFRESH_SECONDS``. A logout ends the stream.
    """
    context, closing = request.app[CONTEXT], request.app[CLOSING]
    occasion, asked_at = _occasion(context.board.now), context.uptime()
    state = await page_state(context)
    async with (
        _stream(request) as stream,
        contextlib.aclosing(snapshots(context.board, closing, idle_seconds=REFRESH_SECONDS)) as latest,
    ):
        await stream.send(context.version, event="version", retry=RECONNECT_MILLISECONDS)
        async for progress in latest:
            if not request.app[KEYRING].is_administrator(request):
                break
            if _occasion(progress) != occasion or context.uptime() - asked_at >= REFRESH_SECONDS:
                occasion, asked_at = _occasion(progress), context.uptime()
                try:
                    state = await page_state(context)
                except FacesetsError as error:
                    log.warning("status_unknown", message=str(error))
                    break
                await stream.send(
                    render_part(request, "standing", status_view(context, progress, state)), event="standing"
                )
            view = status_view(context, progress, state)
            await stream.send(render_part(request, "progress", view), event="progress", id=_moment(progress))
    return stream


ROUTES = (
    Route(
        method="GET",
        path="/api/events",
        handler=stream_progress,
        summary="Server-sent events: a `progress` event with the whole Progress at every change, at most 4 a second",
        answers={200: Answer("The events", body=Progress, media_type="text/event-stream")},
        streams=True,
    ),
    Route(
        method="GET",
        path="/events",
        handler=stream_page,
        summary="Server-sent events for the status page: its parts as HTML",
        answers={200: Answer("The events", media_type="text/event-stream")},
        streams=True,
    ),
)
