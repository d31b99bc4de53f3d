"""An embedder on a loopback port that crashes on chosen pictures and comes back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from embedder_scene import Scene


@asynccontextmanager
async def answering(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *, port: int = 0
) -> AsyncIterator[str]:
    """Yield the address of a server with this handler for every request; a caller that leaves cancels it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class CrashingEmbedder:
    """
    An embedder that breaks off the connection at every picture in ``deadly``, and is unreachable for a while after it.
    """

    def __init__(self, scene: Scene, *deadly: bytes) -> None:
        self._scene = scene
        self._deadly = deadly
        self.away_until = 0.0
        self.asked: list[bytes] = []
        self.kills_all = False
        self.inside = self.most_inside = 0
        self.beside: list[int] = []
        """The number of pictures in flight at each deadly one."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if time.monotonic() < self.away_until:
            raise web.HTTPServiceUnavailable
        if request.method == "GET":
            answer = await self._scene.client.get(request.path, headers={"Accept": "application/msgpack"})
            return web.Response(body=answer.content, headers={"Content-Type": "application/msgpack"})
        self.asked.append(body)
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        try:
            await asyncio.sleep(0.05)
            if self.kills_all or body in self._deadly:
                self.beside.append(self.inside)
                self.away_until = time.monotonic() + 0.3
                assert request.transport is not None
                request.transport.close()
            answer = await self._scene.client.post("/v1/faces", content=body)
            return web.Response(body=answer.content, headers={"Content-Type": "application/msgpack"})
        finally:
            self.inside -= 1
