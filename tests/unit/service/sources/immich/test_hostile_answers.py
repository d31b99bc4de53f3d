"""Answers that an Immich can send and the world cannot: each is one item's failure, or one clear error."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from immich_scene import hurried, pages_of
from pydantic import SecretStr

from immich_facesets.errors import FacesetsError, ItemError, SetupError
from service.settings import Settings
from service.sources import Page
from service.sources.immich import ImmichSource, build_immich_source
from service.sources.immich.answer_bodies import ANSWER_BYTES
from service.sources.immich.api_errors import message_of
from service.users import User

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

USER = "de3b6a03-5074-4421-8ae8-fae1b624ae1d"
FACE: dict[str, Any] = {
    "id": "0d1d8e36-0000-4000-8000-000000000001",
    "boundingBoxX1": 10,
    "boundingBoxY1": 10,
    "boundingBoxX2": 90,
    "boundingBoxY2": 110,
    "imageWidth": 400,
    "imageHeight": 300,
    "person": {"id": "0d1d8e36-0000-4000-8000-000000000002", "birthDate": "1990-01-01"},
}
ASSET: dict[str, Any] = {
    "ownerId": USER,
    "type": "IMAGE",
    "originalPath": "upload/a.jpg",
    "originalFileName": "a.jpg",
    "originalMimeType": "image/jpeg",
    "fileCreatedAt": "2024-05-05T12:00:00.000Z",
    "localDateTime": "2024-05-05T14:00:00.000Z",
    "updatedAt": "2024-05-06T12:00:00.000Z",
    "createdAt": "2024-05-06T12:00:00.000Z",
    "fileModifiedAt": "2024-05-05T12:00:00.000Z",
    "visibility": "timeline",
    "checksum": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    "libraryId": None,
    "isTrashed": False,
    "isOffline": False,
    "isEdited": False,
    "width": 400,
    "height": 300,
    "exifInfo": {"make": "A", "model": "B", "exposureTime": "1/60", "fNumber": 2.8, "iso": 100},
}
GOOD, ODD = "0d1d8e36-0000-4000-8000-00000000000a", "0d1d8e36-0000-4000-8000-00000000000b"
NASTY: tuple[Any, ...] = (
    1e300, -1e300, 2**63, -(2**63), 10**400, "", "x" * 1_000_000, "a\0b", "é" * 40, "\u202e\x1b[31m",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "-271821-04-20T00:00:00Z", "+275760-09-13T00:00:00Z",
    "2024-02-31T00:00:00Z", None, [], {}, True, [[[["a"]]]], json.loads("[" * 900 + "]" * 900), "../../etc/passwd",
)  # fmt: skip


@dataclass
class Hostile:
    """A server whose answers a test sets by route; bytes, or a handler of its own."""

    answers: dict[str, bytes | Handler] = field(default_factory=dict)
    sent: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        route = request.path.removeprefix("/api/")
        if route == "search/metadata":
            asked = json.loads(await request.read())
            if asked.get("visibility") != "timeline" or asked.get("isOffline"):
                return web.json_response({"assets": {"items": [], "nextPage": None}})
        answer = self.answers.get(route)
        if answer is None:
            return web.Response(status=404)
        return web.json_response(body=answer) if isinstance(answer, bytes) else await answer(request)


@asynccontextmanager
async def hostile(**answers: bytes | Handler) -> AsyncIterator[tuple[Hostile, ImmichSource]]:
    told: dict[str, bytes | Handler] = {
        "server/version": json.dumps({"major": 3, "minor": 1, "patch": 0}).encode(),
        "api-keys/me": json.dumps({"permissions": ["all"]}).encode(),
        "users/me": json.dumps({"id": USER}).encode(),
    }
    server = Hostile(told | {route.replace("__", "/"): answer for route, answer in answers.items()})
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", server.handle)
    async with TestServer(app, host="127.0.0.1") as running:
        settings = Settings(immich_url=f"http://127.0.0.1:{running.port}")
        source = build_immich_source(User(name="anna", api_key=SecretStr("key")), settings, sleep=hurried)
        try:
            yield server, source
        finally:
            await source.close()


def searched(*items: dict[str, Any], more: str | None = None) -> bytes:
    return json.dumps({"assets": {"items": items, "nextPage": more}}).encode()


async def answered(question: Awaitable[T]) -> T | FacesetsError:
    """The answer, or the error: any other exception fails the test."""
    try:
        return await question
    except FacesetsError as error:
        return error


def holds(page: Page) -> None:
    """Every value of a page can be stored in any database."""
    for asset in page.assets:
        asset.path.encode()
        assert "\0" not in asset.path + asset.file_name + asset.asset_id
        assert asset.taken_at.tzinfo is not None
        assert asset.updated_at.tzinfo is not None
        assert max(asset.width or 0, asset.height or 0) <= 1_000_000


@pytest.mark.parametrize("name", ["id", *ASSET])
async def test_an_impossible_value_is_the_failure_of_its_picture_alone(name: str) -> None:
    good = {"id": GOOD, **ASSET}
    async with hostile() as (server, source):
        for value in NASTY:
            server.answers["search/metadata"] = searched({"id": ODD, **ASSET, name: value}, good)
            pages = await answered(pages_of(source))
            if isinstance(pages, FacesetsError):  # the order or the kind of pictures, which a search promises
                assert "condition of the search" in str(pages), (name, str(value)[:40])
                continue
            listed = {asset.asset_id for page in pages for asset in page.assets}
            failed = [one for page in pages for one in page.failed]
            assert GOOD in listed, (name, str(value)[:40])
            for page in pages:
                holds(page)
            for asset_id, failure in failed:
                assert asset_id in {ODD, ""}
                assert failure.reason == "impossible_answer"
                assert name in str(failure), "the field is named"
                assert len(str(failure)) < 500


@pytest.mark.parametrize("name", list(FACE))
async def test_an_impossible_face_is_the_failure_of_its_picture(name: str) -> None:
    async with hostile() as (server, source):
        for value in NASTY:
            server.answers["faces"] = json.dumps([{**FACE, name: value}]).encode()
            hints = await answered(source.read_hints(GOOD))
            if isinstance(hints, FacesetsError):
                assert isinstance(hints, ItemError)
                assert hints.reason == "impossible_answer"
                assert name in str(hints)
            else:
                (hint,) = hints
                assert max(map(abs, (hint.box.x1, hint.box.y2, hint.image_width, hint.image_height))) <= 1_000_000


@pytest.mark.slow
async def test_too_many_faces_on_a_picture_are_the_failure_of_that_picture() -> None:
    async with hostile(faces=json.dumps([FACE] * 60_000).encode()) as (_, source):
        with pytest.raises(ItemError, match="length <= 20000"):
            await source.read_hints(GOOD)
    async with hostile(faces=json.dumps([FACE] * 1_000_000).encode()) as (_, source):
        with pytest.raises(ItemError, match="larger than 32 MiB"):
            await source.read_hints(GOOD)


async def test_an_impossible_person_is_left_out_and_the_others_are_read() -> None:
    people = [{"id": "p1", "name": "Mia"}, {"id": "p2", "name": 5}, {"id": "p3", "name": "a\0b"}, {"name": "nobody"}]
    async with hostile(people=json.dumps({"people": people, "hasNextPage": False}).encode()) as (_, source):
        assert [person.person_id for person in await source.people()] == ["p1"]


async def test_a_page_of_which_no_picture_is_possible_is_one_clear_error() -> None:
    odd = [{"id": f"{ODD}{number}", **ASSET, "width": -5} for number in range(3)]
    async with hostile(search__metadata=searched(*odd, more="2")) as (_, source):
        with pytest.raises(SetupError, match=r"3 pictures.*width"):
            await pages_of(source)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"[" + b" " * 2**20)
    except (ConnectionError, OSError):
        return response


@pytest.mark.parametrize("packing", ["gzip bomb", "gzip bomb in gzip", "unpacked and endless"])
async def test_an_answer_of_any_size_takes_a_bounded_part_of_memory(packing: str) -> None:
    packed = gzip.compress(b" " * (10 * ANSWER_BYTES), 6) if packing.startswith("gzip") else b""
    coding = "gzip"
    if packing.endswith("in gzip"):
        packed, coding = gzip.compress(packed), "gzip, gzip"

    async def bomb(_: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": coding, "Content-Type": "application/json"})

    async with hostile(faces=bomb if packed else _endless) as (_, source):
        tracemalloc.start()
        try:
            with pytest.raises(FacesetsError) as caught:
                await source.read_hints(GOOD)
            assert tracemalloc.get_traced_memory()[1] < 4 * ANSWER_BYTES
        finally:
            tracemalloc.stop()
    assert "MiB" in str(caught.value) or "not requested" in str(caught.value)


async def test_people_without_end_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.sources.immich.source.MOST_PEOPLE", 5000)
    asked = 0

    async def more(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        people = [{"id": f"{asked}-{number}", "name": "Mia"} for number in range(1000)]
        return web.json_response({"people": people, "hasNextPage": True})

    async with hostile(people=more) as (_, source):
        with pytest.raises(SetupError, match="more than 5,000 people of user 'anna'"):
            await source.people()
    assert asked == 6


@pytest.mark.parametrize(
    "body",
    [
        {"message": "no", "errors": [{"path": 5, "message": "odd"}]},
        {"message": ["x" * 10_000] * 50, "errors": "none"},
        {"message": {"a": [[["b"]]]}, "errors": [None, 3, {"path": [{}], "message": {}}]},
    ],
)
def test_the_message_of_any_error_is_short_text(body: object) -> None:
    said = message_of(json.dumps(body).encode())
    assert said is not None
    assert len(said) <= 503


def test_an_error_that_is_nested_too_deeply_has_no_message() -> None:
    assert message_of(b'{"message":' + b"[" * 100_000 + b"]" * 100_000 + b"}") is None
    assert message_of(zlib.compress(b"no text")) is None
