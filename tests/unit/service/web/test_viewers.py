"""Users see a few routes, pages without decisions, and answers that no other viewer gets."""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import ClientSession
from invented_reads import reads_of
from web_scene import BEARER, HTML, KEYS, TOKEN, Scene, address_of, visit

from immich_facesets.errors import SetupError, TransientError
from service.web import examples
from service.web.library.reads import LibraryReads
from service.web.routes import Access, Route
from service.web.schemas import Objection, Readiness
from service.web.server import ROUTES

EVERYBODYS = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/static/{version}/{name}"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/login/link"),
    ("POST", "/logout"),
}
USERS = {
    ("GET", path)
    for path in (
        "/",
        "/people",
        "/people/{number}",
        "/faces/{face}",
        "/help",
        "/help/{page}",
        "/api/identities",
        "/api/identities/{number}",
        "/api/identities/{number}/faces",
        "/api/identities/{number}/eras",
        "/api/identities/{number}/nearest",
        "/api/identities/{number}/figures",
        "/api/identities/{number}/together",
        "/api/faces/{face}",
        "/api/search",
        "/api/crops/{crop}",
        "/api/thumbnails/{side}/{crop}",
        "/api/pictures/{sha256}",
        "/api/openapi.json",
    )
}
PAGES = ("/people", "/people/3", "/faces/512", "/help", "/help/pages")
ANNAS, BENS = KEYS
QUERIES = {"/api/search": {"q": "Anna"}}


async def sign_in(client: ClientSession, key: str = ANNAS) -> None:
    async with client.post("/login", data={"api_key": key}, allow_redirects=False) as answer:
        assert answer.status == 303


@contextlib.asynccontextmanager
async def visit_as_user(scene: Scene | None = None, *, key: str = ANNAS) -> AsyncIterator[ClientSession]:
    async with visit(scene or Scene()) as client:
        await sign_in(client, key)
        yield client


def test_every_route_is_the_administrators_but_for_these() -> None:
    found: dict[Access, set[tuple[str, str]]] = {access: set() for access in Access}
    for route in ROUTES:
        found[route.access].add((route.method, route.path))
    assert found[Access.EVERYBODY] == EVERYBODYS
    assert found[Access.USER] == USERS
    assert len({route.handler for route in ROUTES}) == len(ROUTES), "access is known by the handler"


def test_nothing_that_changes_anything_is_a_users() -> None:
    posts = {route.path for route in ROUTES if route.method == "POST" and route.access is not Access.ADMINISTRATOR}
    assert posts == {"/login", "/login/link", "/logout"}


async def test_a_user_is_refused_on_every_route_of_the_administrator() -> None:
    routes = [route for route in ROUTES if route.access is Access.ADMINISTRATOR]
    async with visit_as_user() as client:
        for route in routes:
            for headers in ({}, HTML, {"If-None-Match": "*"}):
                await _is_refused(client, route, headers)
    assert len(routes) > 40


async def _is_refused(client: ClientSession, route: Route, headers: dict[str, str]) -> None:
    async with client.request(route.method, address_of(route.path), headers=headers, allow_redirects=False) as answer:
        assert answer.status == 403, (route.method, route.path)
        text = await answer.text()
        assert "administrator" in text
        assert "ETag" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        if route.path.startswith("/api/"):
            assert (await answer.json(content_type="application/problem+json"))["reason"] == "forbidden"
        elif headers == HTML:
            assert "<nav" in text
            assert "/system" not in text


async def test_a_user_gets_an_answer_on_every_route_of_users_without_a_call_that_is_refused() -> None:
    async with visit_as_user() as client:
        for method, path in sorted(USERS):
            for name in (method, "HEAD"):
                params = QUERIES.get(path)
                async with client.request(name, address_of(path), params=params, headers=HTML) as answer:
                    assert answer.status == 200, path


async def test_the_answers_are_of_the_one_who_asks() -> None:
    asked: list[str] = []

    def library_for(user: str) -> LibraryReads:
        asked.append(user)
        return reads_of(user)

    for key, user in KEYS.items():
        asked.clear()
        async with visit_as_user(Scene(library_for=library_for), key=key) as client:
            for path in (*PAGES[:3], "/api/identities", f"/api/crops/{examples._CROP}.{examples._CROP}.jpg"):
                async with client.get(path, headers=HTML) as answer:
                    assert answer.status == 200, path
        assert set(asked) == {user}
    asked.clear()
    async with visit(Scene(library_for=library_for)) as client, client.get("/people", headers=BEARER) as answer:
        assert answer.status == 200
    assert asked == []


async def test_a_whole_picture_that_a_user_does_not_see_is_not_there() -> None:
    async def nothing(_: str) -> bool:
        return False

    address, scene = f"/api/pictures/{'3a' * 32}", Scene()
    async with visit_as_user(scene) as client:
        async with client.get(address) as answer:
            assert answer.status == 200
        async with client.get(address, headers=BEARER) as answer:
            assert answer.status == 200
    assert scene.picture_askers == ["anna", None], "a user is shown what the own source has"
    blind = Scene(library_for=lambda user: replace(reads_of(user), has_picture=nothing))
    async with visit_as_user(blind) as client:
        for headers in ({}, {"If-None-Match": "*"}, {"If-None-Match": f'"{"3a" * 32}"'}):
            async with client.get(address, headers=headers) as answer:
                assert answer.status == 404
        async with client.get(address, headers=BEARER) as answer:
            assert answer.status == 200


async def test_a_crop_that_a_user_does_not_see_is_not_there_even_for_a_browser_that_has_it() -> None:
    async def nothing(*_: object) -> None:
        return None

    scene = Scene(library_for=lambda user: replace(reads_of(user), crop=nothing, thumbnail=nothing))
    name = f"{'3a' * 32}.{'c4' * 32}.jpg"
    async with visit_as_user(scene) as client:
        for address, tag in ((f"/api/crops/{name}", name), (f"/api/thumbnails/64/{name}", f"64/{name}")):
            async with client.get(address, headers={"If-None-Match": f'"{tag}"'}) as answer:
                assert answer.status == 404


async def test_private_answers_are_kept_apart_by_the_cookie() -> None:
    addresses = ("/api/identities", f"/api/crops/{'3a' * 32}.{'c4' * 32}.jpg", f"/api/pictures/{'3a' * 32}")
    async with visit_as_user() as client:
        for address in addresses:
            async with client.get(address) as answer:
                assert answer.headers["Vary"] == "Cookie", address
                assert answer.headers["Cache-Control"].startswith("private"), address
                tag = answer.headers["ETag"]
            async with client.get(address, headers={"If-None-Match": tag}) as answer:
                assert (answer.status, answer.headers["Vary"]) == (304, "Cookie"), address
        async with client.get("/people") as answer:
            assert answer.headers["Cache-Control"] == "no-store"


async def test_the_readiness_and_the_progress_are_not_told_to_a_user() -> None:
    scene = Scene(readiness=Readiness(objections=(Objection(message="immich.lan is down"),)))
    async with visit_as_user(scene) as client:
        async with client.get("/readyz") as answer:
            assert answer.status == 503
            assert "immich.lan" not in await answer.text()
        async with client.get("/readyz", headers=BEARER) as answer:
            assert "immich.lan" in await answer.text()
        for path in ("/events", "/api/events", "/api/status", "/metrics"):
            async with client.get(path) as answer:
                assert answer.status == 403


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_of_a_user_has_no_decision_and_leads_nowhere_else(path: str) -> None:
    async with visit_as_user() as client:
        async with client.get(path, headers=HTML) as answer:
            text = await answer.text()
            assert answer.status == 200
        forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', text)
        assert forms == ["/logout"]
        assert "Signed in as <b>anna</b>" in text
        for word in ("data-selection", "data-live", 'type="checkbox"', "/decide", "data-naming"):
            assert word not in text, word
        keys = set(re.findall(r'data-key="([^"]*)"', text))
        assert keys <= {"g p", "g e", "/", "-", "+", "b"}, keys
        for address in set(re.findall(r'(?:href|src)="(/[^"#]*)"', text)):
            async with client.get(address.replace("&amp;", "&"), headers=HTML) as answer:
                assert answer.status in {200, 404}, address


async def test_the_administrators_pages_have_what_they_had() -> None:
    async with visit(Scene()) as client:
        async with client.post("/login", data={"token": TOKEN}) as answer:
            assert answer.url.path == "/"
        async with client.get("/people/3", headers=HTML) as answer:
            text = await answer.text()
    assert "Signed in as" not in text
    for word in ("data-selection", "/people/3/history", "/system", "Decide"):
        assert word in text, word


async def test_a_page_of_a_user_forgets_what_was_just_decided() -> None:
    async with visit_as_user() as client, client.get("/people?done=17", headers=HTML) as answer:
        text = await answer.text()
        assert answer.status == 200
        assert re.search(r'id="toast" role="status">\s*</div>', text)


async def test_a_refused_page_leads_back_to_the_people() -> None:
    async with visit_as_user() as client:
        async with client.get("/review", headers=HTML) as answer:
            text = await answer.text()
            assert answer.status == 403
        assert "This is the administrator&#39;s." in text
        assert "To the people in your pictures" in text
        async with client.get("/nothing/here", headers=HTML) as answer:
            text = await answer.text()
            assert answer.status == 404
        assert "/system" not in text
        assert "Signed in as" in text


@pytest.mark.parametrize("trouble", [TransientError("nobody answers at immich.lan"), SetupError("immich.lan is wrong")])
async def test_what_is_away_is_told_to_the_administrator_alone(trouble: Exception) -> None:
    async def away(_: str) -> bytes:
        raise trouble

    async with visit_as_user(Scene(picture=away)) as client:
        for headers, is_told in (({}, False), (BEARER, True)):
            async with client.get(f"/api/pictures/{'3a' * 32}", headers=headers) as answer:
                assert answer.status == 503
                assert ("immich.lan" in await answer.text()) == is_told
