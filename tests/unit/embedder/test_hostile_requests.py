"""Every route of the embedder under strange headers and bodies: no 5xx and no bug."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from embedder_scene import picture, running
from hostile_requests import Door, HostileRequest, hostile_requests, in_thread, status_of
from hypothesis import HealthCheck, given, settings

from immich_facesets.runtime.listen_address import Listen

TOKEN = "a token of this test"
FORM = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
PICTURE = picture(width=64, height=48)
DOORS = (
    Door(
        "POST",
        "/v1/faces",
        {
            "image/png": (PICTURE, b""),
            "multipart/form-data; boundary=b": (
                FORM % (b"image", PICTURE) + b"--b--\r\n",
                FORM % (b"boxes", b"[[0,0,9,9]]") + FORM % (b"image", PICTURE) + b"--b--",
            ),
        },
    ),
    *(Door("GET", path, {}) for path in ("/healthz", "/readyz", "/v1/info", "/metrics", "/v1/{nothing}")),
)


@contextlib.asynccontextmanager
async def embedder(bugs: list[str]) -> AsyncIterator[Listen]:
    async with running(token=TOKEN) as scene:
        yield Listen("127.0.0.1", scene.client.base_url.port or 0)
        bugs += [line["event"] for line in scene.logs if line["event"] in {"bug", "request_failed"}]


def check_requests(count: int) -> None:
    bugs = list[str]()
    with in_thread(embedder(bugs)) as listen:

        @settings(max_examples=count, suppress_health_check=list(HealthCheck))
        @given(hostile_requests(DOORS, TOKEN))
        def check(request: HostileRequest) -> None:
            assert status_of(listen, request) < 500, request

        check()
    assert bugs == []


def test_every_route_has_a_door() -> None:
    async def routes() -> set[tuple[str, str]]:
        async with running() as scene:
            return {
                (route.method, route.resource.canonical)
                for route in scene.app.router.routes()
                if route.method != "HEAD" and route.resource is not None
            }

    assert asyncio.run(routes()) <= {(door.method, door.path) for door in DOORS}


def test_no_request_is_answered_with_a_5xx() -> None:
    check_requests(400)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_request_of_many_is_answered_with_a_5xx() -> None:
    check_requests(10_000)
