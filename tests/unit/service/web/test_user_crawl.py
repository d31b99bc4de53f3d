"""A user follows every link, and asks every address for what is of another user: nothing of it is told."""

import html
import json
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession
from browsed_library import START
from shared_library import USERS, merge_members, other_of
from shared_pages import Belongings, belongings_of, members_of, shared_scene, take_away
from web_scene import BEARER, HTML, KEYS, PARAMETERS, Scene, visit

from service.store.database import Store
from service.store.decisions import record_decision
from service.store.user_database import UserDatabase

KEY_OF = {user: key for key, user in KEYS.items()}
STATIC = re.compile(r"/(static|help)(/|\Z)|/api/openapi\.json\Z")
"""Addresses that show the same to everybody: styles, and documents with examples."""
ALIKE = 3
"""How many addresses with the same path and parameters are visited: a chart has one for each bar."""
PARTS = ("faces", "eras", "nearest", "figures", "together")
NOBODY, NO_FACE = 900, 99_999

NUMBERS = re.compile(r"/people/(\d+)|/identities/(\d+)|person-(\d+)|[Pp]erson (\d+)")
FACES = re.compile(r"/faces/(\d+)|face-(\d+)|data-face=\"(\d+)\"")
DIGESTS = re.compile(r"[0-9a-f]{64}")
CROPS = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{64}\.jpg")
OF_IDENTITIES, OF_FACES = {"number", "identity", "leads_to", "rival"}, {"id", "face", "face_id"}


class Found(NamedTuple):
    address: str
    status: int
    text: str
    kind: str


class Crawl:
    """One user in a library of two: ``own`` is what they see, ``others`` all else."""

    def __init__(self, client: ClientSession, store: Store, user: str) -> None:
        self.client = client
        self.user, self.other = user, other_of(user)
        self.own = belongings_of(store, user)
        self.others = belongings_of(store, *USERS).without(self.own)
        self.told = Belongings(frozenset(), frozenset(), frozenset(), frozenset())

    async def ask(self, address: str, method: str = "GET", **headers: str) -> Found:
        sent = HTML | headers
        async with self.client.request(method, address, headers=sent, allow_redirects=False) as answer:
            is_picture = answer.content_type.startswith("image/")
            text = "" if is_picture else html.unescape(await answer.text())
            return Found(address, answer.status, text, answer.content_type)

    def check(self, found: Found) -> None:
        """Fail where an answer tells something of the other user."""
        if STATIC.match(found.address):
            return
        text = found.text.replace(found.address, "")
        numbers = _all_of(NUMBERS, text) | set(_integers(found, OF_IDENTITIES))
        faces = _all_of(FACES, text) | set(_integers(found, OF_FACES))
        told = Belongings(
            frozenset(numbers), frozenset(faces), frozenset(DIGESTS.findall(text)), frozenset(CROPS.findall(text))
        )
        assert told.numbers <= self.own.numbers, found.address
        assert told.faces <= self.own.faces, found.address
        assert not told.crops & self.others.crops, found.address
        assert not told.pictures & self.others.pictures, found.address
        for word in (f"{self.other}'s friend", f"{self.other}_IMG", f"/photos/{self.other}", f"account-{self.other}"):
            assert word not in text, (found.address, word)
        assert not re.search(rf"\b{self.other}\b", text), found.address
        self.told = Belongings(
            self.told.numbers | told.numbers,
            self.told.faces | told.faces,
            self.told.pictures | told.pictures,
            self.told.crops | told.crops,
        )

    async def walk(self, *starts: str) -> list[str]:
        """Follow every link and address from these on; return the addresses that were visited."""
        waiting, known, alike = deque(starts), set(starts), Counter[tuple[str, ...]]()
        visited = []
        while waiting:
            found = await self.ask(waiting.popleft())
            assert found.status in {200, 303, 308}, found
            visited.append(found.address)
            self.check(found)
            for address in _addresses(found):
                path, _, query = address.partition("?")
                shape = (path, *sorted(part.partition("=")[0] for part in query.split("&")))
                if address not in known and (alike[shape] < ALIKE or "cursor=" in query):
                    alike[shape] += 1
                    known.add(address)
                    waiting.append(address)
        return visited


def _addresses(found: Found) -> Iterator[str]:
    """Yield the addresses of a page or of a JSON answer, in their order, each once."""
    if found.kind == "application/json" and not STATIC.match(found.address):
        texts = [
            text for _, text in _pairs(json.loads(found.text)) if isinstance(text, str) and text.startswith("/api/")
        ]
    else:
        texts = re.findall(r'(?:href|src)="(/[^"#]*)', found.text)
    yield from dict.fromkeys(text for text in texts if not text.startswith("/static/"))


def _pairs(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _pairs(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs(inner, key)
    else:
        yield key, value


def _integers(found: Found, keys: set[str]) -> Iterator[int]:
    if found.kind == "application/json":
        yield from (value for key, value in _pairs(json.loads(found.text)) if key in keys and isinstance(value, int))


def _all_of(pattern: re.Pattern[str], text: str) -> set[int]:
    return {int(number) for groups in pattern.findall(text) for number in groups if number}


@pytest.fixture
def scene(store: Store, user_database: UserDatabase, tmp_path: Path) -> Scene:
    return shared_scene(store, user_database, tmp_path)


@pytest.fixture(params=USERS)
async def crawl(scene: Scene, store: Store, request: pytest.FixtureRequest) -> AsyncIterator[Crawl]:
    async with visit(scene) as client:
        async with client.post("/login", data={"api_key": KEY_OF[request.param]}) as answer:
            assert answer.url.path == "/people"
        crawl = Crawl(client, store, request.param)
        assert min(len(crawl.others.numbers), len(crawl.others.faces), len(crawl.others.crops)) > 0
        yield crawl


async def test_every_link_leads_to_what_is_of_the_user_and_all_of_that_is_found(crawl: Crawl, store: Store) -> None:
    lists = [f"/api/identities/{number}/{part}" for number in crawl.own.numbers for part in PARTS]
    visited = await crawl.walk(
        "/", "/people", "/api/identities", *lists, "/api/search?q=IMG&limit=200", f"/api/search?q={crawl.other}"
    )
    assert crawl.told.numbers == crawl.own.numbers
    assert crawl.told.faces >= members_of(store, crawl.own)
    assert {address for address in visited if address.startswith("/api/pictures/")}
    shown = (await crawl.ask("/people")).text
    assert f'People <span class="soft">{len(crawl.own.numbers)}</span>' in shown


async def test_what_is_of_the_other_user_is_answered_like_what_never_was(crawl: Crawl) -> None:
    document = json.loads((await crawl.ask("/api/openapi.json")).text)
    asked = 0
    for path, methods in document["paths"].items():
        for method in methods:
            for values, nothing in _foreign(crawl.others):
                if not any(f"{{{name}}}" in path for name in values):
                    continue
                found = await crawl.ask(path.format_map(PARAMETERS | values), method.upper(), **{"If-None-Match": "*"})
                never = await crawl.ask(path.format_map(PARAMETERS | nothing), method.upper(), **{"If-None-Match": "*"})
                asked += 1
                assert found.status in {403, 404}, found
                assert _message(found, values) == _message(never, nothing), path
    assert asked > 30


def _foreign(others: Belongings) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Yield parameters of paths that name what is of the other user, and such that name nothing."""
    for number in sorted(others.numbers):
        yield {"number": str(number)}, {"number": str(NOBODY)}
    for face in sorted(others.faces)[:3]:
        yield {"face": str(face)}, {"face": str(NO_FACE)}
    for sha256 in sorted(others.pictures)[:2]:
        yield {"sha256": sha256}, {"sha256": "0" * 64}
    for crop in sorted(others.crops)[:2]:
        yield {"crop": crop}, {"crop": f"{'0' * 64}.{'1' * 64}.jpg"}


def _message(found: Found, values: dict[str, str]) -> str:
    """Return the sentence of a refusal without what was asked for, which it may repeat."""
    said = re.search(r'data-trouble>(.*?)</p>|"(?:detail|message)":"(.*?)"', found.text)
    assert said is not None, found
    for value in values.values():
        found = found._replace(text=re.sub(rf"\b{re.escape(value)}\b", "...", said[0]))
    return f"{found.status} {found.text}"


async def test_cursors_and_limits_of_the_other_user_lead_to_nothing_of_theirs(crawl: Crawl) -> None:
    lists = ["/api/identities", *(f"/api/identities/{n}/{part}" for n in sorted(crawl.own.numbers) for part in PARTS)]
    for address in lists:
        async with crawl.client.get(f"{address}?limit=1", headers=BEARER) as answer:
            cursor = (await answer.json()).get("next") if answer.status == 200 else None
        if cursor:
            found = await crawl.ask(f"{address}?limit=200&cursor={cursor}")
            assert found.status in {200, 400}, found
            crawl.check(found)
    for query in (f"source={crawl.other}", "locked=true", "never_export=true", "birth=known", "questions=true"):
        crawl.check(await crawl.ask(f"/api/identities?{query}"))
    found = await crawl.ask(f"/people?source={crawl.other}")
    assert "Nobody is like that" in found.text
    for number in crawl.own.numbers:
        found = await crawl.ask(f"/api/identities/{number}/faces?source={crawl.other}")
        crawl.check(found)


async def test_what_is_gone_from_the_own_library_is_no_longer_shown(crawl: Crawl, store: Store) -> None:
    crop, sha256 = min(crawl.own.crops), min(crawl.own.pictures)
    assert (await crawl.ask(f"/api/crops/{crop}")).status == 200
    store.write_now(take_away, crawl.user)
    addresses = (f"/api/crops/{crop}", f"/api/thumbnails/64/{crop}", f"/api/pictures/{sha256}")
    for address in (*addresses, *(f"/people/{number}" for number in crawl.own.numbers)):
        assert (await crawl.ask(address)).status == 404, address
    assert "There is nobody in your pictures yet" in (await crawl.ask("/people")).text


async def test_a_merged_number_leads_a_user_on_where_both_people_were_theirs(crawl: Crawl, store: Store) -> None:
    into, own = sorted(crawl.own.numbers)[-2:]
    foreign = min(crawl.others.numbers)
    for number in (own, foreign):
        merge = store.write_now(merge_members, into, number)
        store.write_now(record_decision, merge, made_by="admin", now=START)
    for address, status in (("/people/{}", 303), ("/api/identities/{}", 308), ("/api/identities/{}/faces", 308)):
        async with crawl.client.get(address.format(own), headers=HTML, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (status, address.format(into))
        assert (await crawl.ask(address.format(foreign))).status == 404
