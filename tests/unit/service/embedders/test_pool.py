"""The pool of embedders: distribution of requests, and errors where one cannot be used."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from crashing_embedder import CrashingEmbedder, answering
from embedder_scene import Scene, ScriptedEngine, picture, running
from pydantic import SecretStr
from slow_embedder import SlowEmbedder

from embedder.engine import EngineFacts, View
from immich_facesets.errors import ItemError, SetupError, TransientError
from immich_facesets.face_requests import CropRequest, FacesRequest, Mode
from immich_facesets.faces import Box
from service.embedders.client import Embedder, EmbedderLostError, EmbedderTimeoutError
from service.embedders.pool import EmbedderPool
from service.progress import RemoteState

FACE = Box(120, 110, 192, 210)
NOBODY = "http://127.0.0.1:9"


def address(scene: Scene) -> str:
    return str(scene.client.base_url).rstrip("/")


class OtherEngine(ScriptedEngine):
    """The same faces in another space."""

    @property
    def facts(self) -> EngineFacts:
        facts = super().facts
        return replace(facts, space=replace(facts.space, flip=True), pack="another")


@asynccontextmanager
async def pool_of(
    *urls: str, token: str | None = None, failures: int = 1, states: list[RemoteState] | None = None
) -> AsyncIterator[EmbedderPool]:
    secret = None if token is None else SecretStr(token)
    on_change = None if states is None else states.append
    pool = EmbedderPool([Embedder(url, secret, failures=failures, on_change=on_change, name=url) for url in urls])
    try:
        yield pool
    finally:
        await pool.close()


async def test_a_picture_is_answered_with_its_faces_and_the_requested_crops(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture())
    async with running(token=SecretStr("t")) as scene, pool_of(address(scene), token="t") as pool:
        info = await pool.open()
        assert (info.pack, info.dimension) == ("scripted", 4)
        answer = await pool.faces(file, FacesRequest(crop=CropRequest(side=64, min_short=50, pad_ratio=0.5)))
        assert answer.space == info.space
        (face,) = answer.faces
        assert face.face_box() == FACE
        assert face.crop is not None
        assert scene.engine.looks[0][0] is None  # the whole picture


async def test_known_boxes_make_it_look_only_around_them() -> None:
    async with running() as scene, pool_of(address(scene)) as pool:
        await pool.open()
        scene.engine.can_part = True
        await pool.faces(picture(), FacesRequest(Mode.GUIDED, (Box(100.04, 100, 200, 220),)))
        (area,) = scene.engine.parts
        assert area == Box(100, 100, 200, 220)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"<html>", "not_a_picture"), (picture()[:60], "corrupt"), (picture(width=1300, height=1300), "too_many_pixels")],
)
async def test_a_bad_picture_is_told_with_the_embedders_own_reason(data: bytes, reason: str) -> None:
    async with running() as scene, pool_of(address(scene)) as pool:
        await pool.open()
        with pytest.raises(ItemError) as caught:
            await pool.faces(data)
        assert caught.value.reason == reason
        await pool.faces(picture())  # and it is no failure of the embedder


async def test_a_picture_larger_than_every_embedder_takes_is_not_even_sent(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(bytes(300_000))
    async with (
        running(max_bytes=1000) as small,
        running(max_bytes=200_000) as large,
        pool_of(address(small), address(large)) as pool,
    ):
        await pool.open()
        with pytest.raises(ItemError, match=r"300000 bytes.*200000.*FACESETS_EMBEDDER_MAX_BYTES") as caught:
            await pool.faces(file)
        assert caught.value.reason == "too_large"
        before = len(small.engine.looks)
        data = picture() + bytes(1000)
        for _ in range(3):
            await pool.faces(data)
        assert len(small.engine.looks) == before  # a picture too large for one goes to the other


async def test_the_limits_are_those_of_the_embedder_that_takes_most() -> None:
    small: dict[str, Any] = {"max_pixels": 10**6, "max_bytes": 10**5, "max_memory": 1 << 30, "decode_seconds": 40}
    large: dict[str, Any] = {"max_pixels": 10**7, "max_bytes": 10**4, "max_memory": 1 << 28, "decode_seconds": 20}
    async with running(**small) as one, running(**large) as other, pool_of(address(one), address(other)) as pool:
        await pool.open()
        assert pool.limits == {"max_pixels": 10**7, "max_bytes": 10**5, "max_memory": 1 << 30, "decode_seconds": 40}


async def test_two_spaces_are_refused_and_told_apart() -> None:
    async with running() as one, running(OtherEngine()) as other:
        urls = address(one), address(other)
        async with pool_of(*urls) as pool:
            with pytest.raises(SetupError, match="serve different spaces") as caught:
                await pool.open()
            assert f"{urls[0]} serves {one.pipeline.space} (scripted)" in str(caught.value)
            assert f"{urls[1]} serves {other.pipeline.space} (another)" in str(caught.value)
            assert not pool.is_open


async def test_an_embedder_that_changes_its_space_during_a_sync_ends_it() -> None:
    async with running() as one, running(OtherEngine()) as other, pool_of(address(one)) as pool:
        await pool.open()
        pool._embedders[0]._http.base_url = other.client.base_url  # a restart with other models
        with pytest.raises(SetupError, match="now serves another space"):
            await pool.faces(picture())
        await pool.open()
        await pool.faces(picture())


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_a_wrong_token_is_a_thing_to_set(token: str | None) -> None:
    async with running() as fine, running(token=SecretStr("right")) as scene:
        url = address(scene)
        async with pool_of(address(fine), url, token=token) as pool:
            with pytest.raises(SetupError, match="refuses the token: set FACESETS_EMBEDDER_TOKEN") as caught:
                await pool.open()
            assert url in str(caught.value)
            assert "right" not in str(caught.value)


async def page(_request: web.Request) -> web.Response:
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def nothing(_request: web.Request) -> web.Response:
    raise web.HTTPNotFound


async def elsewhere(_request: web.Request) -> web.Response:
    raise web.HTTPFound("https://login.example.org/")


@pytest.mark.parametrize("handler", [page, nothing, elsewhere])
async def test_an_address_where_no_embedder_answers_is_told(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> None:
    async with answering(handler) as url, pool_of(url) as pool:
        with pytest.raises(SetupError, match=f"what answers at {url} is no embedder") as caught:
            await pool.open()
        assert "check FACESETS_EMBEDDER_URLS" in str(caught.value)


async def test_one_that_is_down_is_left_out_and_reported() -> None:
    states: list[RemoteState] = []
    async with running() as scene, pool_of(NOBODY, address(scene), states=states) as pool:
        await pool.open()
        assert pool.capacity == 8
        await pool.faces(picture())
    assert [(state.name, state.circuit) for state in states][-1] == (NOBODY, "open")


async def test_when_all_are_down_that_is_an_outage() -> None:
    async with pool_of(NOBODY, NOBODY) as pool:
        with pytest.raises(TransientError, match=f"{NOBODY} is down"):
            await pool.open()
        with pytest.raises(SetupError, match="not been asked"):
            _ = pool.info


async def test_a_circuit_that_opens_during_the_work_hands_it_to_the_next() -> None:
    async with running() as second:
        async with running() as first:
            pool = EmbedderPool([Embedder(address(scene), None, failures=1) for scene in (first, second)])
            await pool.open()
        await asyncio.sleep(0.1)  # the first is closed by now, and so are its connections
        answer = await pool.faces(picture())
        assert len(answer.faces) == 1
        await pool.close()


async def test_work_is_shared_by_how_much_each_takes_at_once() -> None:
    async with (
        running(max_in_flight=2) as small,
        running(max_in_flight=6) as large,
        pool_of(address(small), address(large)) as pool,
    ):
        await pool.open()
        assert pool.capacity == 8
        for scene in (small, large):
            scene.engine.looks.clear()
            scene.engine.before_detect = slow
        await asyncio.gather(*(pool.faces(picture()) for _ in range(8)))
        assert (len(small.engine.looks), len(large.engine.looks)) == (2, 6)  # no request was refused as busy


def slow(views: Sequence[View]) -> None:
    del views
    time.sleep(0.1)


async def test_waiting_ends_when_one_is_back() -> None:
    async with running() as scene, pool_of(NOBODY, address(scene)) as pool:
        with pytest.raises(TransientError):
            await pool._embedders[0].info()
        async with asyncio.timeout(5):
            await pool.wait_until_usable()


async def test_a_picture_whose_connection_broke_is_not_sent_again_unless_asked_for_alone() -> None:
    deadly, others = picture(shade=1), [picture(shade=100 + number) for number in range(6)]
    async with running() as scene:
        crashing = CrashingEmbedder(scene, deadly)
        async with answering(crashing.handle) as url, pool_of(url, failures=12) as pool:
            await pool.open()
            work = [asyncio.create_task(pool.faces(data)) for data in (deadly, *others)]
            with pytest.raises(EmbedderLostError):
                await work[0]
            assert crashing.asked.count(deadly) == 1
            again = asyncio.create_task(pool.faces(deadly, alone=True))
            for task in work[1:]:
                assert len((await task).faces) == 1
            with pytest.raises(EmbedderLostError):
                await again
            assert crashing.beside[-1] == 1, "alone"
            assert crashing.most_inside > 1


async def test_an_embedder_that_does_not_come_back_is_an_outage() -> None:
    async with running() as scene:
        crashing = CrashingEmbedder(scene, picture())
        async with answering(crashing.handle) as url:
            pool = EmbedderPool([Embedder(url, None, failures=2, answer_seconds=0.5)])
            await pool.open()
            with pytest.raises(EmbedderLostError):
                await pool.faces(picture())
            crashing.away_until = time.monotonic() + 99
            with pytest.raises(TransientError, match="embedder is down since"):
                await pool.faces(picture(shade=7))
            assert len(crashing.asked) == 1
            await pool.close()


@pytest.mark.slow
async def test_an_embedder_that_is_unreachable_for_a_moment_is_waited_for() -> None:
    async with running() as scene, AsyncExitStack() as stack:
        crashing = CrashingEmbedder(scene)
        async with answering(crashing.handle) as url:
            pool = await stack.enter_async_context(pool_of(url, failures=12))
            await pool.open()
        asked = asyncio.create_task(pool.faces(picture()))
        await asyncio.sleep(4)  # longer than the tries of one call
        assert not asked.done()
        async with answering(crashing.handle, port=int(url.rpartition(":")[2])):
            assert len((await asked).faces) == 1


async def test_a_picture_that_one_embedder_keeps_too_long_goes_to_another_only_when_it_is_alone() -> None:
    async with running() as scene, running() as second:
        slow = SlowEmbedder(scene, picture(shade=2))
        async with answering(slow.handle) as url:
            pool = EmbedderPool([Embedder(one, None, answer_seconds=0.5) for one in (url, address(second))])
            await pool.open()
            with pytest.raises(EmbedderTimeoutError):
                await pool.faces(picture(shade=2))
            assert second.engine.looks == []
            assert len((await pool.faces(picture(shade=2), alone=True)).faces) == 1
            assert slow.asked.count(picture(shade=2)) == 2
            await pool.close()


async def test_an_embedder_that_ends_over_a_test_picture_leaves_the_work_to_the_other() -> None:
    async with running() as scene, running() as second:
        crashing = CrashingEmbedder(scene)
        crashing.kills_all = True
        async with answering(crashing.handle) as url, pool_of(url, address(second)) as pool:
            await pool.open()
            assert len((await pool.faces(picture(), alone=True)).faces) == 1
            assert len(crashing.asked) == 1
