"""An embedder on a loopback port with few places, which slow pictures occupy until their caller leaves."""

import asyncio

from aiohttp import web
from embedder_scene import Scene


class SlowEmbedder:
    """
    An embedder that works on ``places`` pictures at once, and never answers those in ``slow``.

    ``runs_on_seconds``: how long it works on a picture after the caller has left.
    """

    def __init__(self, scene: Scene, *slow: bytes, places: int = 1, runs_on_seconds: float = 0.0) -> None:
        self._scene = scene
        self._slow = slow
        self._places = asyncio.Semaphore(places)
        self._runs_on_seconds = runs_on_seconds
        self.is_stuck = False
        self.busy_for = 0
        """How many requests for faces it refuses as busy from now on."""
        self.asked: list[bytes] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.method == "GET":
            answer = await self._scene.client.get(request.path, headers={"Accept": "application/msgpack"})
            return web.Response(body=answer.content, headers={"Content-Type": "application/msgpack"})
        self.asked.append(body)
        if self.busy_for:
            self.busy_for -= 1
            return web.json_response({"reason": "busy", "message": "all places are taken"}, status=429)
        async with self._places:
            if self.is_stuck or body in self._slow:
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(self._runs_on_seconds)
            answer = await self._scene.client.post("/v1/faces", content=body)
            return web.Response(
                status=answer.status_code, body=answer.content, headers={"Content-Type": "application/msgpack"}
            )
