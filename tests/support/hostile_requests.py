"""Requests as attackers send them, over every route: a generator, and servers in threads to send them to."""

import asyncio
import contextlib
import gzip
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from immich_facesets.runtime.listen_address import Listen

HANG_SECONDS = 20.0
UNFINISHED_SECONDS = 0.05
"""How long a response to a request without its end is waited for; most get none."""


@dataclass(frozen=True, slots=True)
class Door:
    """One route: a method, its path, and bodies that it takes by content type."""

    method: str
    path: str
    bodies: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """The bytes to send, the door they are meant for, and whether their end is among them."""

    door: Door
    data: bytes
    is_finished: bool


_STRANGE = (
    b"", b" ", b"\t", b"0", b"-1", b"+1", b"1_0", b"1e9", b"\xd9\xa3", b"nan", b"inf", b"9" * 400, b"null", b"[]", b"{}",
    b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xc3\xa9", b"%00", b"%ff", b"%ED%A0%80", b"%", b"%u1234", b"\x7f",
    b"../../etc/passwd", b"..%2f..%2fetc%2fpasswd", b"//evil.test", b"/\\evil.test", b"http://[", b"http://]", b"[::1",
    b"[v1.x]", b"localhost:port", b"localhost:99999", b"user@localhost", b"a,b;c=d", b'"', b'"\\', b"';--", b"{{7*7}}",
    b"<script>", b"x" * 2000, b"Bearer", b"Bearer \xff", b"Basic Og==", b"Digest x", b"bytes=0-", b"bytes=-0", b"bytes=9-1",
    b"bytes=0-1,2-3", b"bytes=%d-" % 10**30, b'W/"x"', b"*", b"Sat, 99 Zzz 99999 99:99:99 GMT",
    b"Mon, 01 Jan 0001 00:00:00 GMT", b"text/html", b"*/*;q=x", b"application/msgpack", b"application/json; charset=utf-16",
    b"application/x-www-form-urlencoded; charset=utf-99", b"multipart/form-data", b"multipart/form-data; boundary=",
    b"multipart/mixed; boundary=b", b'text/plain; charset="\\', b"gzip", b"deflate", b"identity", b"chunked, gzip", b"br",
    b"100-continue", b"200-maybe", b"websocket", b"h2c", b"keep-alive, upgrade", b"facesets_session=x.y",
    b"facesets_session=1.\xff", b'facesets_session="\\377\\000.x"', b"a=b; " * 50, b"$Version=1; x", b"=;=;", b"cross-site",
    b"same-origin", b"none", b"https", b"[[0,0,1,1]]", b"[[1e999,0,1,1]]", b"[[NaN,0,1,1]]", b"[" * 3000, b'[["a"]]',
    b"[[0,0,1,1]]\xff", b"guided", b"\xef\xbb\xbf[]",
)  # fmt: skip

_HEADERS = (
    b"Facesets-Label", b"Facesets-Reason", b"Host", b"Origin", b"Content-Type", b"Content-Encoding", b"Accept", b"Accept-Encoding", b"Authorization", b"Cookie",
    b"Expect", b"Upgrade", b"Connection", b"Range", b"If-Match", b"If-None-Match", b"If-Modified-Since", b"If-Range",
    b"If-Unmodified-Since", b"Idempotency-Key", b"X-Forwarded-Host", b"X-Forwarded-Proto", b"X-Forwarded-For", b"Forwarded", b"X-Request-Id",
    b"Sec-Fetch-Site", b"X-Boxes", b"Referer", b"Content-Length", b"Transfer-Encoding", b"Sec-WebSocket-Key",
    b"Sec-WebSocket-Version", b"HTTP2-Settings", b"Max-Forwards", b"Access-Control-Request-Method", b"X-HTTP-Method-Override",
    b"TE", b"Trailer", b"Date", b"Content-Range", b"Content-Disposition", b"Last-Event-ID",
)  # fmt: skip

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"sec-websocket-key"})
"""Headers that decide where a request ends, so that a strange one leaves it without end."""

_QUERIES = (
    b"mode", b"crops", b"pad_ratio", b"crop_min_short", b"enrich", b"face_short", b"suspects", b"cut", b"cut_pixels", b"notice", b"next", b"v", b"",
    b"q", b"cursor", b"limit", b"sort", b"reverse", b"named", b"min_pictures", b"source", b"identity",
)  # fmt: skip
_METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH", b"get", b"G\xc9T")

_NO_NAMES = (b"A header", b"", b":", b"X\xff")
_PRINTED = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

texts = st.lists(st.sampled_from(_PRINTED), max_size=12).map(bytes)
values = st.one_of(st.sampled_from(_STRANGE), texts)
"""Values that HTTP lets through to the handlers."""


@st.composite
def headers(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    names = draw(st.lists(st.sampled_from(_HEADERS), max_size=4, unique=draw(st.integers(0, 9)) > 0))
    if draw(st.integers(0, 39)) == 0:
        return [(draw(st.sampled_from(_NO_NAMES)), draw(st.binary(max_size=20)))]
    return [(name, draw(values)) for name in names]


@st.composite
def targets(draw: st.DrawFn, path: str) -> bytes:
    """The path with a strange query, or a strange path, mostly percent-encoded."""
    told = path.encode()
    while b"{" in told:
        before, _, after = told.partition(b"{")
        told = before + quote_from_bytes(draw(values)).encode() + after.partition(b"}")[2]
    if draw(st.integers(0, 9)) == 0:
        told += draw(st.sampled_from((b"/", b"//", b"%2f", b";x", b"#x", b"\\", b"\xff", b"%00", b"/..", b"?")))
    if draw(st.integers(0, 19)) == 0:
        told = draw(st.sampled_from((b"*", b"http://[", b"http://x:y" + told, b"//" + told, b"/" + b"a" * 3000, b"")))
    pairs = draw(st.lists(st.tuples(st.sampled_from(_QUERIES), values), max_size=2))
    is_quoted = draw(st.integers(0, 9)) > 0
    query = b"&".join(name + b"=" + (quote_from_bytes(value).encode() if is_quoted else value) for name, value in pairs)
    return told + (b"?" + query if query else b"")


@st.composite
def bodies(draw: st.DrawFn, door: Door) -> tuple[bytes, bytes]:
    """A content type and a body: what the door takes, a mutation of it, or anything."""
    kinds = {**door.bodies, "multipart/form-data; boundary=b": [form_of(draw(headers()), draw(values))]}
    kind = draw(st.sampled_from(sorted(kinds)))
    body = draw(st.one_of(st.sampled_from(list(kinds[kind])), values))
    match draw(st.integers(0, 4)):
        case 0 if body:
            at = draw(st.integers(0, len(body) - 1))
            body = body[:at] + draw(values) + body[at + draw(st.integers(0, 3)) :]
        case 1:
            body = body[: draw(st.integers(0, len(body)))]
        case 2:
            body = gzip.compress(body, mtime=0)
    return kind.encode(), body


def form_of(part_headers: list[tuple[bytes, bytes]], value: bytes) -> bytes:
    lines = b"".join(name + b": " + told + b"\r\n" for name, told in part_headers)
    return b'--b\r\nContent-Disposition: form-data; name="image"\r\n' + lines + b"\r\n" + value + b"\r\n--b--\r\n"


@st.composite
def hostile_requests(draw: st.DrawFn, doors: Sequence[Door], token: str) -> HostileRequest:
    """One request: mostly well framed, so that it reaches its handler, and strange in a few places."""
    door = draw(st.sampled_from(list(doors)))
    method = door.method.encode() if draw(st.integers(0, 7)) else draw(st.sampled_from(_METHODS))
    given_headers = draw(headers())
    if draw(st.integers(0, 2)):
        given_headers.append((b"Authorization", b"Bearer " + token.encode()))
    body = b""
    if method == b"POST" or draw(st.integers(0, 19)) == 0:
        kind, body = draw(bodies(door))
        given_headers.append((b"Content-Type", kind))
    framing = {name.lower() for name, _ in given_headers} & _FRAMING
    data = body
    match draw(st.integers(0, 9)):
        case 0 if body:
            given_headers.append((b"Transfer-Encoding", b"chunked"))
            data = draw(st.sampled_from((b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), b"zz\r\n", body, b"-1\r\n\r\n")))
            framing.add(b"transfer-encoding")
        case 1 if body:
            given_headers.append((b"Content-Length", draw(values)))
            framing.add(b"content-length")
        case _ if body or method == b"POST":
            given_headers.append((b"Content-Length", str(len(body)).encode()))
    if b"Host" not in dict(given_headers) and draw(st.integers(0, 9)):
        given_headers.insert(0, (b"Host", b"localhost"))
    version = (
        b"HTTP/1.1" if draw(st.integers(0, 9)) else draw(st.sampled_from((b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"")))
    )
    line = b" ".join((method, draw(targets(door.path)), version))
    lines = [line, *(name + b": " + value for name, value in given_headers)]
    head = b"".join(told.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" for told in lines)
    return HostileRequest(door, head + b"\r\n" + data, is_finished=not framing)


def status_of(listen: Listen, request: HostileRequest) -> int:
    """Send a request and return the status of its response, or 0 when there is none."""
    with socket.create_connection((listen.host, listen.port), timeout=HANG_SECONDS) as caller:
        told = b""
        with contextlib.suppress(ConnectionError):
            caller.sendall(request.data)
            if not request.is_finished:
                caller.settimeout(UNFINISHED_SECONDS)
            with contextlib.suppress(TimeoutError) if not request.is_finished else contextlib.nullcontext():
                while b"\r\n" not in told and (more := caller.recv(4096)):
                    told += more
        words = told.split(b" ", 2)
        return int(words[1]) if len(words) > 1 else 0


@contextlib.contextmanager
def in_thread(server: AbstractAsyncContextManager[Listen]) -> Iterator[Listen]:
    """Run a server on an event loop of its own, so that a property test can call it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()
    try:
        listen = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(HANG_SECONDS)
        try:
            yield listen
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(HANG_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANG_SECONDS)
        loop.close()
