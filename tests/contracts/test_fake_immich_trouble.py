"""Faults that the fake Immich injects, and its log of requests."""

import asyncio
import gc
import socket
import time
import warnings
from urllib.parse import urlsplit

import httpx
import pytest
from contract_scene import VERSIONS, full_scene, key_of, scene

from service.demo.immich import FakeImmich


async def test_the_log_knows_what_was_asked_for() -> None:
    async with full_scene("3.1.0") as made:
        asked = made.immich.requests
        await made.search({"size": 5})
        await made.original("plain")
        await made.original("plain")
        await made.get(f"/api/faces?id={made.assets['loose'].asset_id}")
        assert asked.count("original") == 2
        assert asked.assets("original") == [made.assets["plain"].asset_id] * 2
        assert asked.assets("faces") == [made.assets["loose"].asset_id]
        assert asked.bodies() == [{"size": 5}]
        assert (len(asked), asked.by_route["thumbnail"], asked.count("search", "faces")) == (4, 0, 2)
        assert asked.in_flight == 0
        sent = made.immich.bytes_sent
        assert sent > 2 * 1024
        asked.clear()
        assert asked.count() == 0


async def test_the_log_knows_how_many_asked_at_once() -> None:
    async with full_scene("3.1.0") as made:
        made.immich.faults.add("original", "slow", delay=0.1)
        await asyncio.gather(*(made.original("plain") for _ in range(4)))
        assert made.immich.requests.peak_in_flight == 4


async def test_a_fault_strikes_so_often_and_no_more() -> None:
    async with full_scene("3.1.0") as made:
        made.immich.faults.add("original", "status", status=503, times=2, after=1, retry_after=7)
        answers = [await made.original("plain") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 503, 503, 200, 200]
        assert answers[1].headers["retry-after"] == "7"
        assert "message" in answers[1].json()


async def test_a_fault_may_strike_every_third_time_or_one_asset_only() -> None:
    async with full_scene("3.1.0") as made:
        made.immich.faults.add("original", "status", every=3)
        assert [(await made.original("plain")).status_code for _ in range(6)] == [200, 200, 503, 200, 200, 503]
        made.immich.faults.clear()
        made.immich.faults.add("any", "status", status=500, asset_id=made.assets["loose"].asset_id)
        made.immich.faults.add("search", "status", status=500, when=lambda _query, body: body == {"page": 2})
        assert (await made.original("plain")).status_code == 200
        assert (await made.original("loose")).status_code == 500
        assert (await made.refused({"page": 2})).status_code == 500
        assert (await made.refused({"page": 1})).status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
async def test_with_the_database_down_everything_fails_and_ping_answers(version: str) -> None:
    async with full_scene(version) as made:
        made.immich.faults.add("any", "status", status=500)
        for path in ("users/me", "api-keys/me", "people", "server/config"):
            answer = await made.get(f"/api/{path}")
            assert (answer.status_code, answer.json()["message"]) == (500, "Internal server error")
        assert (await made.get("/api/server/ping")).status_code == 200
        assert (await made.get("/api/server/version")).status_code == 200
        made.immich.faults.clear()
        assert (await made.get("/api/users/me")).status_code == 200


async def test_bytes_may_be_wrong_short_or_cut_off() -> None:
    async with full_scene("3.1.0") as made:
        whole = (await made.original("plain")).content
        faults = made.immich.faults
        faults.add("original", "corrupt", times=1)
        corrupt = (await made.original("plain")).content
        assert (len(corrupt), corrupt == whole) == (len(whole), False)
        faults.add("original", "wrong_length", times=1)
        assert (await made.original("plain")).content == whole[: len(whole) // 2]
        faults.add("original", "truncate", times=1)
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await made.original("plain")
        assert (await made.original("plain")).content == whole
        faults.add("search", "corrupt", times=1)
        with pytest.raises(ValueError):
            (await made.refused({})).json()


async def test_a_proxy_may_answer_in_html() -> None:
    async with full_scene("3.1.0") as made:
        made.immich.faults.add("search", "html", status=502, times=1)
        answer = await made.refused({})
        assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
        assert answer.text.startswith("<html>")


async def test_a_connection_may_be_reset_or_never_answered() -> None:
    async with full_scene("3.1.0") as made:
        made.immich.faults.add("faces", "reset", times=1)
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await made.get(f"/api/faces?id={made.assets['plain'].asset_id}")
        made.immich.faults.add("faces", "hang")
        path = f"/api/faces?id={made.assets['plain'].asset_id}"
        with pytest.raises(httpx.ReadTimeout):
            await made.client.get(path, timeout=0.2)
        waiting = asyncio.create_task(made.get(path))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        made.immich.faults.clear()
        assert (await waiting).status_code == 200


async def test_an_unknown_kind_of_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        FakeImmich().faults.add("any", "explode")  # type: ignore[arg-type]  # the mistake under test


async def test_an_outage_refuses_and_the_same_port_answers_again() -> None:
    async with scene("3.1.0") as made:
        url = made.immich.url
        assert (await made.get("/api/server/ping")).status_code == 200
        await made.immich.refuse()
        with pytest.raises(httpx.TransportError):
            await made.get("/api/server/ping")
        with pytest.raises(httpx.ConnectError):
            await made.get("/api/server/ping")
        await made.immich.resume()
        assert (await made.get("/api/server/ping")).status_code == 200
        assert made.immich.url == url


async def test_an_outage_breaks_requests_under_way() -> None:
    async with scene("3.1.0") as made:
        made.immich.faults.add("ping", "hang")
        waiting = asyncio.create_task(made.get("/api/server/ping"))
        await asyncio.sleep(0.1)
        await made.immich.refuse()
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await waiting


async def test_it_dies_after_so_many_requests() -> None:
    async with scene("3.1.0") as made:
        made.immich.die_after(2)
        for _ in range(2):
            assert (await made.get("/api/server/ping")).status_code == 200
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                await made.get("/api/server/ping")
        await made.immich.resume()
        assert (await made.get("/api/server/ping")).status_code == 200


async def test_idle_connections_are_closed() -> None:
    async with FakeImmich(keepalive_timeout=0.1) as immich:
        host, port = immich.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/server/ping HTTP/1.1\r\nHost: fake\r\n\r\n")
        assert b"200 OK" in await reader.readline()
        started = time.monotonic()
        rest = await asyncio.wait_for(reader.read(), 5)
        assert rest.endswith(b'{"res":"pong"}')
        assert time.monotonic() - started < 4
        writer.close()
        await writer.wait_closed()


async def test_a_connection_that_arrives_as_the_server_goes_is_not_left_open() -> None:
    for turns in range(6):  # turns of the event loop between the arrival and the end
        with socket.socket() as guest:
            async with FakeImmich() as immich:
                address = urlsplit(immich.url)
                guest.setblocking(False)
                guest.connect_ex((address.hostname, address.port))
                for _ in range(turns):
                    await asyncio.sleep(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        gc.collect()  # an unclosed connection warns here, and pytest fails


async def test_assets_with_known_checksums_are_listed_without_being_read() -> None:
    async with scene("3.3.5") as made:
        for number in range(5_000):
            made.add(f"n{number}", data=lambda: pytest.fail("read for nothing"), checksum=f"{number:028}", size=1)
        page = await made.search({"size": 1000, "withPeople": True})
        assert page["count"] == 1000
        assert (await made.client.get("/api/users/me", headers=key_of(made.anna))).json()["quotaUsageInBytes"] == 5000
