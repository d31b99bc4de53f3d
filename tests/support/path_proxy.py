"""A reverse proxy in front of a service that has one path of its host, as nginx, Caddy and Traefik are set up."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, hdrs, web
from aiohttp.typedefs import Handler

_HOP_BY_HOP = ("Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE", "Trailer")
BESIDE = "another program on this host"


def _forwarding(client: ClientSession, path: str, *, strips: bool) -> Handler:
    async def forward(request: web.Request) -> web.StreamResponse:
        target = request.raw_path
        if not target.startswith(f"{path}/") and target.partition("?")[0] != path:
            return web.Response(text=BESIDE)
        if strips:
            target = "/" + target.removeprefix(path).lstrip("/")
        headers = request.headers.copy()
        for name in (*_HOP_BY_HOP, hdrs.HOST, hdrs.CONTENT_LENGTH):
            headers.popall(name, None)
        headers[hdrs.X_FORWARDED_HOST] = request.headers[hdrs.HOST]
        headers[hdrs.X_FORWARDED_PROTO] = request.scheme
        body = await request.read() or None
        async with client.request(request.method, target, headers=headers, data=body, allow_redirects=False) as answer:
            passed = web.StreamResponse(status=answer.status)
            passed.headers.extend((name, value) for name, value in answer.headers.items() if name not in _HOP_BY_HOP)
            await passed.prepare(request)
            async for part in answer.content.iter_any():
                await passed.write(part)
            return passed

    return forward


@contextlib.asynccontextmanager
async def path_proxy(behind: str, path: str, *, strips: bool = False) -> AsyncIterator[str]:
    """
    Forward what is below ``path`` to the server ``behind``; yield the address of the proxy, without the path.

    With ``strips`` the path is taken away, as nginx does with a slash after ``proxy_pass``, and Caddy's ``handle_path``.
    """
    async with ClientSession(
        behind, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=None), auto_decompress=False
    ) as client:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", _forwarding(client, path, strips=strips))
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()
