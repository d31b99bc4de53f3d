"""The transport against real sockets: answers, and failures with httpx's messages."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from service.remote.transport import READ_BUFFER_BYTES, ROUTE, AiohttpTransport

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Yield a port of this host on which ``talk`` handles every connection."""
    talks: set[asyncio.Task[None]] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


@asynccontextmanager
async def a_client(**options: bool | float) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=AiohttpTransport(**options), timeout=5) as client:  # type: ignore[arg-type]
        yield client


def says(answer: bytes, heard: list[bytes] | None = None) -> Talk:
    """Return a handler that answers every request without a body with these bytes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await until_blank_line(reader):
            if heard is not None:
                heard.append(head)
            writer.write(answer)
            await writer.drain()

    return talk


async def until_blank_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Twice: a\r\nX-Twice: b\r\n\r\nhi"


async def test_an_answer_comes_with_status_headers_and_body_over_one_connection() -> None:
    heard: list[bytes] = []
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await says(OK, heard)(reader, writer)

    async with a_server(talk) as port, a_client() as client:
        for _ in range(3):
            answer = await client.get(f"http://127.0.0.1:{port}/a%2Fb?x=%20", headers={"X-Mine": "yes"})
            assert (answer.status_code, answer.text) == (200, "hi")
            assert answer.headers.get_list("x-twice") == ["a", "b"]
    assert connections == 1
    assert heard[0].startswith(b"GET /a%2Fb?x=%20 HTTP/1.1\r\n")
    assert b"x-mine: yes" in heard[0].lower()
    assert b"content-type" not in heard[0].lower()


async def test_a_packed_answer_is_unpacked_once() -> None:
    body = gzip.compress(b"words " * 100)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with a_server(says(head + body)) as port, a_client() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).content == b"words " * 100


@pytest.mark.parametrize("size", [0, 10, READ_BUFFER_BYTES * 9])
async def test_a_body_arrives_whole_whatever_its_size(size: int) -> None:
    sent = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    arrived = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        head = await until_blank_line(reader)
        assert f"content-length: {size}\r\n".encode() in head.lower()
        arrived = await reader.readexactly(size)
        writer.write(OK)
        await writer.drain()

    async with a_server(talk) as port, a_client() as client:
        assert (await client.post(f"http://127.0.0.1:{port}/", content=sent)).text == "hi"
    assert arrived == sent


async def test_a_redirect_is_not_followed_here() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n"
    async with a_server(says(answer)) as port, a_client() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 302


async def test_a_body_left_early_takes_its_connection_with_it() -> None:
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until_blank_line(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            left.set()

    async with a_server(talk) as port, a_client() as client:
        async with client.stream("GET", f"http://127.0.0.1:{port}/") as answer:
            assert await anext(answer.aiter_raw())
        await asyncio.wait_for(left.wait(), 5)


async def test_a_port_without_a_server_is_a_connect_error() -> None:
    async with a_server(says(OK)) as port:
        pass
    async with a_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/")
        with pytest.raises(httpx.ConnectError):
            await client.get("http://no-such-host.invalid/")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
async def test_silence_is_a_read_timeout(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until_blank_line(reader)
        writer.write(said)
        await asyncio.sleep(60)

    async with a_server(talk) as port, a_client() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"http://127.0.0.1:{port}/", timeout=0.2)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"this is not HTTP\r\n\r\n",
    ],
)
async def test_an_answer_cut_short_or_broken_is_a_protocol_error(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until_blank_line(reader)
        writer.write(said)
        await writer.drain()

    async with a_server(talk) as port, a_client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_a_reset_is_a_read_or_protocol_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until_blank_line(reader)
        writer.transport.abort()

    async with a_server(talk) as port, a_client() as client:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await client.post(f"http://127.0.0.1:{port}/", content=b"x")


async def test_what_is_no_web_address_is_said_so() -> None:
    async with a_client() as client:
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")


async def test_an_unknown_certificate_is_refused_and_a_named_authority_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with a_server(says(OK), tls) as port:
        async with a_client() as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get(f"https://127.0.0.1:{port}/")
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with a_client() as client:
            assert (await client.get(f"https://127.0.0.1:{port}/")).text == "hi"


async def test_a_proxy_of_the_environment_is_used_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    async with a_server(says(OK, heard)) as port, a_server(says(OK)) as direct:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with a_client(trust_env=True) as client:
            assert (await client.get("http://photos.invalid/x")).text == "hi"
            assert (await client.get(f"http://127.0.0.1:{direct}/")).text == "hi"
        async with a_client() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("http://photos.invalid/x")
    assert [head.split(b"\r\n")[0] for head in heard] == [b"GET http://photos.invalid/x HTTP/1.1"]


class Counted(list[tuple[str, str, str]]):
    """The counters of requests by remote, route and status."""

    def __call__(self, *, remote: str, route: str, status: str, seconds: float) -> None:
        assert 0 <= seconds < 5
        self.append((remote, route, status))


@asynccontextmanager
async def a_counting_client(counted: Counted) -> AsyncIterator[httpx.AsyncClient]:
    transport = AiohttpTransport(remote="there", count=counted)
    async with httpx.AsyncClient(transport=transport, timeout=0.5) as client:
        yield client


async def test_every_request_is_counted_once_with_its_route_and_status() -> None:
    counted = Counted()
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    async with a_server(says(OK)) as fine, a_server(says(refusal)) as refusing, a_counting_client(counted) as client:
        await client.get(f"http://127.0.0.1:{fine}/pictures/7", extensions={ROUTE: "/pictures/{id}"})
        await client.get(f"http://127.0.0.1:{refusing}/x", extensions={ROUTE: "/x"})
    assert counted == [("there", "/pictures/{id}", "200"), ("there", "/x", "404")]


async def test_failures_are_counted_by_their_kind() -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    counted = Counted()
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly this"

    async def cut_short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until_blank_line(reader)
        writer.write(cut)
        await writer.drain()

    async with a_counting_client(counted) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:9/")
        async with a_server(say_nothing) as port:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(f"http://127.0.0.1:{port}/")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.get(f"http://127.0.0.1:{port}/")
        async with a_server(cut_short) as port:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(f"http://127.0.0.1:{port}/")
    assert [status for _, _, status in counted] == [
        "connect_error",
        "read_timeout",
        "cancelled",
        "remote_protocol_error",
    ]
