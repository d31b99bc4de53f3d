"""
An aiohttp transport for httpx: httpx's client and errors, aiohttp's parser and connections.

httpx's own connections (httpcore, h11) are pure Python. For a picture they need several times the processor time of
aiohttp's C parser, and most of the service's requests are for pictures. ``tests/bench/bench_staging.py`` measures it.
"""

import asyncio
import io
import re
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol

import aiohttp
import httpx
from yarl import URL

READ_BUFFER_BYTES = 256 * 1024
"""A connection's read-ahead: large enough for pictures in few pieces, small enough for many connections."""

PACKED_BYTES = 16 * 1024
"""The most bytes that are unpacked at once: at a thousandfold, the most that gzip packs, 16 MiB."""

ROUTE = "route"
"""The request extension that names the route, a template without ids; it becomes a label of metrics."""


class CountRequest(Protocol):
    """A function that counts one request; ``status`` is the HTTP status, or the kind of failure."""

    def __call__(self, *, remote: str, route: str, status: str, seconds: float) -> None: ...


class AiohttpTransport(httpx.AsyncBaseTransport):
    """
    The transport of one request and its streamed answer; redirects and decompression are left to httpx.

    ``keepalive_seconds`` is how long an idle connection is kept; a connection that the server closed meanwhile is
    replaced at once for a GET. There is no limit on connections: callers have their own. ``trust_env`` takes proxies
    from the environment (aiohttp's own option reads ``.netrc`` in a thread for every request). Every failure is an
    ``httpx.TransportError``. ``count`` is called once for each request, with the name of the ``remote``.
    """

    def __init__(
        self,
        *,
        keepalive_seconds: float = 15.0,
        trust_env: bool = False,
        remote: str = "",
        count: CountRequest | None = None,
    ) -> None:
        self._remote = remote
        self._count = count
        self._keepalive_seconds = keepalive_seconds
        self._proxies = urllib.request.getproxies() if trust_env else {}
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions.get("timeout", {})
        content = await request.aread()
        measured = _MeasuredRequest(self._remote, request.extensions.get(ROUTE, ""), self._count)
        with measured.failures(), _httpx_errors():
            response = await self._open_session().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                skip_auto_headers=("Content-Type",),
                data=_body(content),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=timeout.get("pool"), sock_connect=timeout.get("connect"), sock_read=timeout.get("read")
                ),
                proxy=self._proxy(request.url),
                ssl=self._context() if request.url.scheme == "https" else True,
            )
        measured.answered(response.status)
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response, measured))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:  # aiohttp needs a running event loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=self._keepalive_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=READ_BUFFER_BYTES,
            )
        return self._session

    def _proxy(self, url: httpx.URL) -> str | None:
        if not self._proxies or urllib.request.proxy_bypass(url.host):
            return None
        return self._proxies.get(url.scheme) or self._proxies.get("all")

    def _context(self) -> ssl.SSLContext:
        """The certificates that httpx trusts, ``SSL_CERT_FILE`` among them; read at the first use of TLS."""
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        return self._tls


def _body(content: bytes) -> io.BytesIO | bytes | None:
    """A large body is sent in pieces, so that the event loop is not blocked."""
    return io.BytesIO(content) if len(content) > READ_BUFFER_BYTES else content or None


class _Body(httpx.AsyncByteStream):
    """The answer's bytes in the received pieces. Closing it before its end also closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, measured: "_MeasuredRequest") -> None:
        self._response = response
        self._measured = measured

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._measured.failures(), _httpx_errors():
            is_packed = "content-encoding" in self._response.headers
            async for piece in self._response.content.iter_any():
                step = PACKED_BYTES if is_packed else max(1, len(piece))
                for start in range(0, len(piece), step):
                    yield piece[start : start + step]

    async def aclose(self) -> None:
        self._measured.close()
        self._response.close()  # a connection whose answer was read to the end is back in the pool already


class _MeasuredRequest:
    """
    The measurement of one request. It is counted once: when it fails, or when its answer is closed.

    The time ends when the head of the answer arrives: how fast the body is read depends on this program, too.
    """

    def __init__(self, remote: str, route: str, count: CountRequest | None) -> None:
        self._remote = remote
        self._route = route
        self._count = count
        self._began = time.perf_counter()
        self._seconds: float | None = None
        self._status = ""

    def answered(self, status: int) -> None:
        self._status = str(status)
        self._seconds = time.perf_counter() - self._began

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Count a failure in this block, a cancellation for instance at the end of a time limit included."""
        try:
            yield
        except (httpx.TransportError, asyncio.CancelledError) as error:
            self._status = _kind(error)
            self.close()
            raise

    def close(self) -> None:
        count, self._count = self._count, None
        if count is not None:
            seconds = time.perf_counter() - self._began if self._seconds is None else self._seconds
            count(remote=self._remote, route=self._route, status=self._status, seconds=seconds)


def _kind(error: BaseException) -> str:
    """Return a code such as ``connect_timeout``."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Turn aiohttp's errors into httpx's, which all callers handle."""
    try:
        yield
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise httpx.UnsupportedProtocol(str(error)) from error
    except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError) as error:
        raise httpx.ProxyError(str(error)) from error
    except aiohttp.SocketTimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except TimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError(str(error)) from error
