"""Callers that keep a server waiting, too many of them, and ones that send garbage; all over real sockets."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from journey import until
from raw_http import RawCaller, calling, status_of

from immich_facesets.errors import FacesetsError, RequestError
from immich_facesets.runtime.connections import ConnectionLimits, caller_at
from immich_facesets.runtime.health import add_health, error_response
from immich_facesets.runtime.http_server import serve_app
from immich_facesets.runtime.listen_address import Listen
from immich_facesets.runtime.request_limits import limit_request

SHORT = ConnectionLimits(head_seconds=0.5, idle_seconds=1.5, body_seconds=0.5, send_seconds=0.5, linger_seconds=0.1)
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
ALIVE = b'{"status": "alive"}'
SLEEP = b"GET /sleep HTTP/1.1\r\nHost: localhost\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE_BYTES = 64 << 20


class Gate:
    """Where the handler of ``/wait`` waits until a test opens it."""

    def __init__(self) -> None:
        self.waiting = 0
        self.opened = asyncio.Event()

    async def wait(self, _request: web.Request) -> web.Response:
        self.waiting += 1
        await self.opened.wait()
        return web.Response(text="waited")


async def _ready() -> list[str]:
    await asyncio.sleep(0)
    return []


async def _read(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def _drain(request: web.Request) -> web.Response:
    async for _ in request.content.iter_any():
        pass
    return web.Response(text="all of it")


async def _sleep(_request: web.Request) -> web.Response:
    await asyncio.sleep(1.0)
    return web.Response(text="slept")


async def _abort(request: web.Request) -> web.Response:
    """Write to a caller that has just left, which aiohttp learns of in the next turn of the event loop."""
    assert request.transport is not None
    request.transport.abort()
    response = web.StreamResponse()
    await response.prepare(request)
    raise AssertionError("a closing transport takes nothing")


async def _large(_request: web.Request) -> web.Response:
    await asyncio.sleep(0)
    return web.Response(body=bytes(LARGE_BYTES))


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestError as error:
        return error_response(request, error.status, "refused", str(error))
    except FacesetsError as error:
        return error_response(request, 503, "unavailable", str(error))


@contextlib.asynccontextmanager
async def serving(limits: ConnectionLimits = SHORT, gate: Gate | None = None) -> AsyncIterator[Listen]:
    app = web.Application(middlewares=[_answer_errors, limit_request])
    add_health(app, _ready, None)
    app.router.add_post("/read", _read)
    app.router.add_post("/drain", _drain)
    app.router.add_get("/sleep", _sleep)
    app.router.add_get("/large", _large)
    app.router.add_get("/abort", _abort)
    app.router.add_get("/wait", (gate or Gate()).wait)
    async with serve_app(app, Listen("127.0.0.1", 0), limits, setting="A_SETTING", stop_seconds=2) as listen:
        yield listen


async def seconds_until_closed(caller: RawCaller) -> float:
    started = time.monotonic()
    await caller.rest()
    return time.monotonic() - started


async def test_a_caller_that_sends_nothing_is_left() -> None:
    async with serving() as listen, calling(listen) as caller:
        assert await seconds_until_closed(caller) > 0.3


async def test_a_head_that_arrives_byte_by_byte_is_cut_off() -> None:
    async with serving() as listen, calling(listen) as caller:
        dripping = asyncio.create_task(caller.drip(GET[:-1] * 20, 0.05))
        assert await status_of(listen) == 200
        assert await caller.rest() == b""
        dripping.cancel()


async def test_an_idle_connection_is_kept_for_longer_than_a_head_may_take() -> None:
    async with serving(replace(SHORT, idle_seconds=3.0)) as listen, calling(listen) as caller:
        for _ in range(2):
            await caller.send(GET)
            assert b" 200 " in await caller.head()
            await caller.reader.readexactly(len(ALIVE))
            await asyncio.sleep(0.8)
        assert await caller.rest() == b""


async def test_the_second_head_of_a_connection_has_its_own_time() -> None:
    async with serving(replace(SHORT, idle_seconds=60)) as listen, calling(listen) as caller:
        await caller.send(GET)
        assert b" 200 " in await caller.head()
        await caller.send(GET[:20])
        assert await caller.rest() == ALIVE


async def test_a_body_that_does_not_arrive_is_a_408_and_the_end() -> None:
    async with serving() as listen, calling(listen) as caller:
        await caller.send(b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc")
        answer = await caller.rest()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"took longer than 0.5 seconds" in answer


async def test_a_handler_may_take_longer_than_any_caller() -> None:
    async with serving(replace(SHORT, idle_seconds=0.5)) as listen, calling(listen) as caller:
        await caller.send(SLEEP)
        assert (await caller.rest()).endswith(b"slept")


async def test_a_caller_that_does_not_take_its_response_is_left() -> None:
    async with serving() as listen, calling(listen) as caller:
        await caller.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(1.5)
        assert len(await caller.rest()) < LARGE_BYTES


async def test_a_head_without_end_is_cut_off_whatever_its_speed() -> None:
    async with serving(replace(SHORT, head_seconds=60, header_bytes=1 << 30)) as listen, calling(listen) as caller:
        await caller.send(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (4 << 20))
        assert await caller.rest() == b""


async def test_a_body_above_its_limit_is_cut_off_even_where_the_handler_has_none() -> None:
    async with serving(replace(SHORT, body_bytes=1000, body_seconds=60)) as listen, calling(listen) as caller:
        await caller.send(b"POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))
        assert b" 200 " not in await caller.rest()


async def test_packed_bodies_and_bodies_of_get_are_refused_before_they_are_read() -> None:
    async with serving() as listen:
        for coding in ("gzip", "deflate", "br", "zstd", "identity, gzip"):
            async with calling(listen) as caller:
                head = f"POST /read HTTP/1.1\r\nHost: x\r\nContent-Encoding: {coding}\r\nContent-Length: 3\r\n\r\nabc"
                await caller.send(head.encode())
                assert b" 415 " in await caller.head(), coding
        async with calling(listen) as caller:
            await caller.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            assert b" 400 " in await caller.head()


async def test_a_newcomer_takes_the_place_of_the_connection_that_waited_longest() -> None:
    limits = ConnectionLimits(places=5, places_of_address=5, health_places=1)
    async with serving(limits) as listen, contextlib.AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(listen)) for _ in range(4)]
        for caller in (*callers, callers[0]):
            await caller.send(GET)
            assert b" 200 " in await caller.head()
        assert await status_of(listen) == 200
        assert await callers[1].rest() == ALIVE
        assert not any(callers[number].is_closed for number in (0, 2, 3))


async def test_one_address_has_only_its_share() -> None:
    limits = ConnectionLimits(places=100, places_of_address=3, health_places=10)
    async with serving(limits) as listen, contextlib.AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(listen)) for _ in range(10)]
        closed = [await caller.rest() for caller in callers[:7]]
        assert closed == [b""] * 7
        assert not any(caller.is_closed for caller in callers[7:])


async def test_health_answers_while_every_place_is_busy() -> None:
    limits = ConnectionLimits(places=4, places_of_address=4, health_places=1)
    gate = Gate()
    async with serving(limits, gate) as listen, contextlib.AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(listen)) for _ in range(3)]
        for caller in callers:
            await caller.send(WAIT)
        await until(lambda: gate.waiting == len(callers))
        assert [await status_of(listen, path) for path in ("/healthz", "/readyz", "/wait")] == [200, 200, 503]
        idle = await stack.enter_async_context(calling(listen))
        assert await status_of(listen) == 200
        assert await idle.rest() == b""
        gate.opened.set()
        for caller in callers:
            assert b" 200 " in await caller.head()


async def test_garbage_makes_one_line_without_a_word_of_it() -> None:
    with structlog.testing.capture_logs() as lines:
        async with serving() as listen:
            for _ in range(20):
                async with calling(listen) as caller:
                    await caller.send(b"GET /secret\x00word HTTP/9.9\r\nAuthorization: Bearer secret\r\n\r\n")
                    assert b" 400 " in await caller.head()
    assert [line["event"] for line in lines] == ["malformed_request"]
    assert "secret" not in str(lines)


async def test_a_caller_that_leaves_while_it_is_answered_is_no_bug() -> None:
    with structlog.testing.capture_logs() as lines:
        async with serving() as listen:
            assert await status_of(listen, "/abort") == 0
            assert await status_of(listen) == 200
    assert lines == []


@pytest.mark.parametrize("fault", ["no address", "no socket"])
async def test_a_connection_that_cannot_be_opened_keeps_no_other_out(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, accepted = asyncio.get_running_loop(), list[socket.socket]()
    accept = loop.sock_accept

    async def accept_oddly(listener: socket.socket) -> tuple[socket.socket, Any]:
        peer, address = await accept(listener)
        accepted.append(peer)
        if len(accepted) > 1:
            return peer, address
        if fault == "no socket":
            peer.close()
        return peer, None

    monkeypatch.setattr(loop, "sock_accept", accept_oddly)
    async with serving() as listen, calling(listen) as caller:
        answer = asyncio.create_task(caller.rest())
        assert await status_of(listen) == 200
        if fault == "no socket":
            assert await answer == b""
        else:
            await caller.send(GET)
            assert (await answer).startswith(b"HTTP/1.1 200 ")


def test_limits_leave_half_of_the_descriptors_to_the_rest_of_the_process() -> None:
    usual = ConnectionLimits()
    assert usual.within(None) == usual.within(1024) == usual
    few = usual.within(200)
    assert (few.places, few.places_of_address, few.health_places) == (100, 50, 16)
    assert usual.within(20).places == 10


def test_an_address_counts_for_the_host_that_has_it() -> None:
    assert caller_at("10.0.0.7") == "10.0.0.7"
    assert caller_at("::ffff:10.0.0.7") == "10.0.0.7"
    assert caller_at("2001:db8:1:2:aaaa::1") == caller_at("2001:db8:1:2::9%eth0") == "2001:db8:1:2::/64"
    assert caller_at("2001:db8:1:3::1") != caller_at("2001:db8:1:2::1")
