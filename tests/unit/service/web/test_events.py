"""Server-sent events: content, rate, and the end of connections at shutdown."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import ClientConnectionError, ClientResponse, ClientSession, web
from aiohttp_sse import EventSourceResponse
from web_scene import ANY_PORT, BEARER, Scene, busy_scene, visit

from immich_facesets.errors import TransientError
from service.progress import Progress, ProgressBoard, RemoteState
from service.web import server
from service.web.events import snapshots
from service.web.schemas import LibraryCounts, Objection, Readiness, StatusFacts
from service.web.server import serve_web


async def read_events(answer: ClientResponse) -> AsyncIterator[tuple[str, str]]:
    """(event, data) of each event, as a browser reads them."""
    name, data = "message", list[str]()
    async for raw in answer.content:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "message", []
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data.append(line.removeprefix("data: "))


async def next_progress(events: AsyncIterator[tuple[str, str]]) -> Progress:
    name, data = await asyncio.wait_for(anext(events), 5)
    assert name == "progress"
    return msgspec.json.decode(data, type=Progress)


@pytest.mark.parametrize("last_id", [None, "2026-01-01T00:00:00+00:00", "nonsense", "-1"])
async def test_a_listener_gets_the_snapshot_and_each_change(last_id: str | None) -> None:
    scene = busy_scene()
    headers = BEARER if last_id is None else {**BEARER, "Last-Event-ID": last_id}
    async with visit(scene) as client, client.get("/api/events", headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        events = read_events(answer)
        assert await next_progress(events) == scene.board.now
        scene.board.update_stage("embed", done=777)
        assert (await next_progress(events)).stages[1].done == 777


async def test_a_storm_of_changes_is_four_snapshots_a_second_and_ends_with_the_last_one() -> None:
    scene = Scene()
    seen: list[int] = []
    async with visit(scene) as client, client.get("/api/events", headers=BEARER) as answer:
        events = read_events(answer)
        begin = time.monotonic()

        async def storm() -> None:
            for done in range(1, 201):
                scene.board.update_stage("embed", done=done)
                await asyncio.sleep(0.005)

        async with asyncio.TaskGroup() as group:
            group.create_task(storm())
            while not seen or seen[-1] != 200:
                seen.append((await next_progress(events)).stages[1].done)
        seconds = time.monotonic() - begin
    assert len(seen) <= seconds * 4 + 2


async def test_the_status_page_gets_updates_of_its_parts() -> None:
    scene = busy_scene()
    async with visit(scene) as client, client.get("/events", headers=BEARER) as answer:
        events = read_events(answer)
        assert await anext(events) == ("version", "1.2.3")
        name, html = await anext(events)
        assert (name, "204" in html) == ("progress", True)
        scene.board.update_stage("embed", done=555)
        name, html = await asyncio.wait_for(anext(events), 5)
        assert (name, "555" in html) == ("progress", True)
        scene.facts = StatusFacts(library=LibraryCounts(facesets=4321))
        scene.board.end("")
        name, html = await asyncio.wait_for(anext(events), 5)
        assert (name, "4,321" in html) == ("standing", True)


async def test_the_status_page_gets_problems_when_a_connection_comes_or_goes() -> None:
    scene = busy_scene()
    async with visit(scene) as client, client.get("/events", headers=BEARER) as answer:
        events = read_events(answer)
        await anext(events)
        await anext(events)
        scene.readiness = Readiness(objections=(Objection(message="The disk is full."),))
        scene.board.update_remote(RemoteState(name="Immich", circuit="open"))
        names = [await asyncio.wait_for(anext(events), 5) for _ in range(2)]
    assert [name for name, _ in names] == ["standing", "progress"]
    assert "The disk is full." in names[1][1]


async def test_a_feed_that_is_left_lets_go_of_the_board_at_once() -> None:
    board = ProgressBoard()
    feed = snapshots(board, asyncio.Event())
    await anext(feed)
    board.update_stage("embed", done=1)
    await asyncio.sleep(0.01)  # the change has arrived and is queued
    await feed.aclose()
    assert not board._wakers


async def test_when_the_store_cannot_be_asked_the_page_is_left_to_come_back() -> None:
    scene = busy_scene()
    async with visit(scene) as client, client.get("/events", headers=BEARER) as answer:
        events = read_events(answer)
        await anext(events)
        await anext(events)
        scene.trouble = TransientError("The database is busy.")
        scene.board.end("")
        assert [event async for event in events] == []


async def test_listeners_that_left_are_forgotten() -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        for _ in range(3):
            async with client.get("/api/events", headers=BEARER) as answer:
                await next_progress(read_events(answer))
                assert len(scene.board._wakers) == 1
            for _ in range(100):
                if not scene.board._wakers:
                    break
                await asyncio.sleep(0.02)
            assert not scene.board._wakers


async def test_the_service_stops_at_once_though_streams_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STOP_SECONDS", 60.0)
    scene = busy_scene()
    async with ClientSession() as client:
        async with serve_web(scene.context(), ANY_PORT) as listen:
            streams = [
                await client.get(f"http://{listen}{path}", headers=BEARER) for path in ("/api/events", "/events") * 3
            ]
            for stream in streams:
                await anext(read_events(stream))
            begin = time.monotonic()
        assert time.monotonic() - begin < server.STOP_SECONDS / 2
        for stream in streams:
            assert [event async for event in read_events(stream) if event[0] == "error"] == []
            stream.close()
    assert not scene.board._wakers


@pytest.mark.slow
async def test_a_listener_that_takes_nothing_does_not_hold_the_stop() -> None:
    scene = Scene()
    async with serve_web(scene.context(), ANY_PORT) as listen:
        reader, writer = await asyncio.open_connection(listen.host, listen.port, limit=1024)
        writer.write(
            f"GET /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: {BEARER['Authorization']}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        note = "x" * 2_000_000
        for done in range(8):
            scene.board.update_stage("embed", done=done, note=note)
            await asyncio.sleep(0.3)
        begin = time.monotonic()
    seconds = time.monotonic() - begin
    writer.transport.abort()
    await asyncio.sleep(0.1)  # the server's end of the socket is closed
    assert seconds < 5


@pytest.mark.parametrize("path", ["/events", "/api/events"])
async def test_a_listener_that_leaves_before_its_stream_is_open_is_no_bug(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = EventSourceResponse.prepare

    async def prepare_too_late(stream: EventSourceResponse, request: web.BaseRequest) -> Any:
        assert request.transport is not None
        request.transport.abort()
        return await prepare(stream, request)

    monkeypatch.setattr(EventSourceResponse, "prepare", prepare_too_late)
    with structlog.testing.capture_logs() as lines:
        async with visit(busy_scene()) as client:
            with pytest.raises(ClientConnectionError):
                await client.get(path, headers=BEARER)
            async with client.get("/healthz") as answer:
                assert answer.status == 200
    assert lines == []
