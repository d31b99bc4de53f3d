"""The route of identification: bodies that are pictures, and those that are refused."""

import asyncio
import io
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from web_scene import BEARER, Scene, visit

from immich_facesets.errors import ItemError, SetupError, TransientError
from service.web import examples
from service.web.library.identify import IdentifyAnswer
from service.web.uploads import MOST_AT_ONCE, MOST_PICTURE_BYTES

JPEG = b"\xff\xd8\xff\xe0"
BYTES = {"Content-Type": "application/octet-stream"}


async def asked(client: ClientSession, body: bytes, *, query: str = "", **headers: str) -> tuple[int, Any]:
    told = BEARER | BYTES | {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(f"/api/identify{query}", data=io.BytesIO(body), headers=told) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/jpeg"])
async def test_a_picture_is_answered_with_its_people(kind: str) -> None:
    async with visit(Scene()) as client:
        status, told = await asked(client, JPEG, Content_Type=kind)
        assert status == 200
        assert msgspec.convert(told, IdentifyAnswer) == examples.IDENTIFIED


async def test_the_picture_and_the_limit_reach_the_answer_whole() -> None:
    seen = []

    async def identify(picture: bytes, limit: int) -> IdentifyAnswer:
        seen.append((picture, limit))
        return examples.IDENTIFIED

    picture = JPEG * 300_000
    async with visit(Scene(identify=identify)) as client:
        assert (await asked(client, picture, query="?limit=7"))[0] == 200
    assert seen == [(picture, 7)]


@pytest.mark.parametrize(
    ("body", "query", "kind", "status"),
    [
        (b"", "", "application/octet-stream", 400),
        (JPEG, "?limit=0", "application/octet-stream", 400),
        (JPEG, "?names=1", "application/octet-stream", 400),
        (JPEG, "", "text/plain", 415),
        (JPEG, "", "multipart/form-data; boundary=x", 415),
        (b"\0" * (MOST_PICTURE_BYTES + 1), "", "application/octet-stream", 413),
    ],
    ids=["empty", "no-limit", "unknown", "text", "form", "large"],
)
async def test_what_is_no_picture_of_one_request_is_refused(body: bytes, query: str, kind: str, status: int) -> None:
    async with visit(Scene()) as client:
        found, told = await asked(client, body, query=query, Content_Type=kind)
        assert (found, told["status"]) == (status, status)


async def test_another_site_cannot_ask_with_the_session_of_a_user() -> None:
    async with visit(Scene()) as client:
        async with client.post("/api/identify", data=JPEG, headers=BYTES | {"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 403
        async with client.post("/api/identify", data=JPEG, headers=BYTES) as answer:
            assert answer.status == 401


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ItemError("these bytes are no picture", reason="not_a_picture"), 422, "not_a_picture"),
        (TransientError("the embedder is down", retry_after=30), 503, "unavailable"),
        (SetupError("the embedder serves another space"), 503, "setup"),
    ],
)
async def test_what_fails_is_told_with_its_reason(error: Exception, status: int, reason: str) -> None:
    async def identify(_picture: bytes, _limit: int) -> IdentifyAnswer:
        raise error

    async with (
        visit(Scene(identify=identify)) as client,
        client.post("/api/identify", data=JPEG, headers=BEARER | BYTES) as answer,
    ):
        assert (answer.status, (await answer.json())["reason"]) == (status, reason)
        assert answer.headers.get("Retry-After") == ("30" if isinstance(error, TransientError) else None)


async def test_only_few_pictures_are_held_at_once() -> None:
    begun, end = asyncio.Semaphore(0), asyncio.Event()

    async def identify(_picture: bytes, _limit: int) -> IdentifyAnswer:
        begun.release()
        await end.wait()
        return examples.IDENTIFIED

    async with visit(Scene(identify=identify)) as client:
        held = [asyncio.create_task(asked(client, JPEG)) for _ in range(MOST_AT_ONCE)]
        for _ in held:
            await begun.acquire()
        status, told = await asked(client, JPEG)
        assert (status, told["reason"]) == (503, "unavailable")
        end.set()
        assert [status for status, _ in await asyncio.gather(*held)] == [200] * MOST_AT_ONCE
        assert (await asked(client, JPEG))[0] == 200
