"""
An aiohttp transport for httpx: httpx's client and errors, aiohttp's parser and connections.

httpx's own connections (httpcore, h11) are pure Python. For a picture they need several times the processor time of
aiohttp's C parser, and most of the service's requests are for pictures. ``tests/bench/bench_staging.py`` measures it.
"""

import io
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx
from yarl import URL

READ_BUFFER_BYTES = 256 * 1024
"""A connection's read-ahead: large enough for pictures in few pieces, small enough for many connections."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """
    The transport of one request and its streamed answer; redirects and decompression are left to httpx.

    ``keepalive_seconds`` is how long an idle connection is kept; a connection that the server closed meanwhile is
    replaced at once for a GET. There is no limit on connections: callers have their own. ``trust_env`` takes proxies
    from the environment (aiohttp's own option reads ``.netrc`` in a thread for every request). Every failure is an
    ``httpx.TransportError``.
    """

    def __init__(self, *, keepalive_seconds: float = 15.0, trust_env: bool = False) -> None:
        self._keepalive_seconds = keepalive_seconds
        self._proxies = urllib.request.getproxies() if trust_env else {}
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions.get("timeout", {})
        content = await request.aread()
        with _told_by_httpx():
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
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

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

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told_by_httpx():
            async for piece in self._response.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._response.close()  # a connection whose answer was read to the end is back in the pool already


@contextmanager
def _told_by_httpx() -> Iterator[None]:
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
