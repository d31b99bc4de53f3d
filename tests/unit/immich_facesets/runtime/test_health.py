"""Health routes: /healthz is open, /readyz needs the token."""

import asyncio

import httpx
from aiohttp import web
from pydantic import SecretStr

from immich_facesets.runtime.health import add_health, require_token


async def test_health_is_open_and_the_rest_is_not() -> None:
    objections = ["the disk is full"]

    async def ready() -> list[str]:
        await asyncio.sleep(0)
        return objections

    async def other(_: web.Request) -> web.Response:
        await asyncio.sleep(0)
        return web.Response()

    app = web.Application(middlewares=[require_token(SecretStr("tökén"))])
    app.router.add_get("/other", other)
    add_health(app, ready, SecretStr("tökén"))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with httpx.AsyncClient(base_url=base) as client:
            assert (await client.get("/healthz")).status_code == 200
            refused = await client.get("/other")
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})
            key = {b"Authorization": "Bearer tökén".encode()}
            answer = await client.get("/readyz", headers=key)
            assert (answer.status_code, answer.json()["objections"]) == (503, objections)
            objections.clear()
            assert (await client.get("/readyz", headers=key)).status_code == 200
    finally:
        await runner.cleanup()
