"""The service below a path of its host, behind reverse proxies that pass the path on, and one that takes it away."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, CookieJar
from path_proxy import BESIDE, path_proxy
from web_scene import ANY_PORT, BEARER, HTML, TOKEN, Scene, address_of, busy_scene, visit

from service.setting_values import ROOT_DOORS, checked_base_path
from service.web.auth import local_path
from service.web.routes import Access
from service.web.server import ROUTES, serve_web
from service.web.sessions import SESSION_COOKIE

BASE = "/faces"
BROWSER = {**BEARER, **HTML}


@contextlib.asynccontextmanager
async def proxied(scene: Scene, *, strips: bool = False) -> AsyncIterator[ClientSession]:
    async with (
        serve_web(scene.context(base_path=BASE), ANY_PORT) as listen,
        path_proxy(f"http://{listen}", BASE, strips=strips) as url,
        ClientSession(url, cookie_jar=CookieJar(unsafe=True)) as client,
    ):
        yield client


async def log_in(client: ClientSession, goal: str = "") -> str:
    """Log in as a browser does, and return the path that this ends at."""
    origin = {"Origin": str(client._base_url).rstrip("/"), **HTML}
    async with client.post(f"{BASE}/login", data={"token": TOKEN, "next": goal}, headers=origin) as answer:
        assert answer.status == 200
        return answer.url.path_qs


# a proxy that passes the path on


async def test_a_browser_is_led_to_the_login_and_to_its_page_within_the_path() -> None:
    async with proxied(busy_scene()) as client:
        async with client.get(BASE, headers=HTML) as answer:
            assert answer.url.path == f"{BASE}/login"
            page = await answer.text()
            assert f'action="{BASE}/login"' in page
            assert f'name="next" value="{BASE}/"' in page
        async with client.get(f"{BASE}/?notice=accepted", headers=HTML) as answer:
            assert answer.url.path == f"{BASE}/login"
            assert f'name="next" value="{BASE}/?notice=accepted"' in await answer.text()
        assert await log_in(client, f"{BASE}/?notice=accepted") == f"{BASE}/?notice=accepted"
        async with client.get(BASE, headers=HTML) as answer:
            assert (answer.status, answer.url.path) == (200, f"{BASE}/")


async def test_every_address_on_a_page_leads_to_an_answer() -> None:
    async with proxied(busy_scene()) as client:
        pages = [f"{BASE}/", f"{BASE}/nothing", f"{BASE}/login"]
        found = set[tuple[str, str]]()
        for path in pages:
            async with client.get(path, headers=HTML if path.endswith("login") else BROWSER) as answer:
                text = await answer.text()
            found |= set(re.findall(r'\b(href|src|action)="([^"#]+)"', text))
            found |= {("refresh", target) for target in re.findall(r"url=([^\"]+)", text)}
        assert {"action", "href", "refresh", "src"} == {kind for kind, _ in found}
        for kind, target in sorted(found):
            assert target.startswith(f"{BASE}/"), target
            ask = client.post if kind == "action" else client.get
            async with ask(target, headers=BROWSER, allow_redirects=False) as answer:
                assert answer.status in {200, 303, 401}, target
                assert await answer.text() != BESIDE
                assert answer.headers.get("Location", BASE).startswith(BASE), target


async def test_the_session_of_a_path_is_not_sent_to_its_neighbours() -> None:
    async with proxied(busy_scene()) as client:
        await log_in(client)
        (cookie,) = [morsel for morsel in client.cookie_jar if morsel.key == SESSION_COOKIE]
        assert cookie["path"] == BASE
        jar = client.cookie_jar
        assert SESSION_COOKIE in jar.filter_cookies(client._build_url(f"{BASE}/api/jobs"))
        assert SESSION_COOKIE not in jar.filter_cookies(client._build_url("/facesets"))
        async with client.get(f"{BASE}/api/jobs") as answer:
            assert answer.status == 200
        async with client.post(f"{BASE}/logout", allow_redirects=False) as answer:
            assert answer.headers["Location"] == f"{BASE}/login"
            assert answer.cookies[SESSION_COOKIE]["path"] == BASE
        assert SESSION_COOKIE not in jar.filter_cookies(client._build_url(f"{BASE}/"))


async def test_a_cookie_of_the_time_before_the_path_neither_hinders_a_login_nor_outlasts_a_logout() -> None:
    scene = busy_scene()
    async with visit(scene) as client, client.post("/login", data={"token": TOKEN}, allow_redirects=False) as answer:
        old = answer.cookies[SESSION_COOKIE].value
    async with proxied(scene) as client:
        await log_in(client)
        (new,) = [morsel.value for morsel in client.cookie_jar if morsel.key == SESSION_COOKIE]
        client.cookie_jar.clear()
        for pair in ((new, "0" * 32), ("0" * 32, new), (new, old)):
            both = {"Cookie": "; ".join(f"{SESSION_COOKIE}={value}" for value in pair)}
            async with client.get(f"{BASE}/api/jobs", headers=both) as answer:
                assert answer.status == 200, pair
        async with client.post(f"{BASE}/logout", headers=both, allow_redirects=False) as answer:
            assert answer.status == 303
        for value in (new, old):
            async with client.get(f"{BASE}/api/jobs", headers={"Cookie": f"{SESSION_COOKIE}={value}"}) as answer:
                assert answer.status == 401


@pytest.mark.parametrize("path", ["/events", "/api/events"])
async def test_events_pass_through_as_they_come(path: str) -> None:
    scene = busy_scene()
    async with proxied(scene) as client:
        await log_in(client)
        async with client.get(BASE + path) as answer, asyncio.timeout(30):
            assert answer.headers["X-Accel-Buffering"] == "no"  # nginx would collect them
            await answer.content.readuntil(b"204")
            scene.board.update_stage("embed", done=777)
            await answer.content.readuntil(b"777")


async def test_the_button_works_without_scripts_and_comes_back_to_the_page() -> None:
    scene = Scene()
    async with proxied(scene) as client:
        await log_in(client)
        origin = {"Origin": str(client._base_url).rstrip("/"), **HTML}
        async with client.post(f"{BASE}/sync", data={"kind": "full"}, headers=origin) as answer:
            assert answer.url.path_qs == f"{BASE}/?notice=accepted"
        assert scene.wishes == [("full", None)]


async def test_the_document_of_the_api_names_the_path() -> None:
    async with proxied(busy_scene()) as client, client.get(f"{BASE}/api/openapi.json", headers=BEARER) as answer:
        told = await answer.json()
    assert told["servers"] == [{"url": BASE}]
    assert set(told["paths"]) == {route.path for route in ROUTES}


async def test_a_path_of_the_api_is_answered_in_json_below_the_base_too() -> None:
    async with proxied(busy_scene()) as client:
        for path in ("/api/jobs", "/api/nothing"):
            async with client.get(BASE + path, headers=HTML) as answer:
                assert answer.content_type == "application/problem+json"


# a proxy that takes the path away


async def test_a_proxy_that_takes_the_path_away_is_told_so() -> None:
    said = f"A reverse proxy in front must pass {BASE} on, and not take it away."
    async with proxied(busy_scene(), strips=True) as client:
        for path in ("/", "/login", "/nothing"):
            async with client.get(BASE + path, headers=HTML) as answer:
                assert (answer.status, answer.url.path) == (404, BASE + path), "no redirect that would go round"
                assert answer.content_type == "text/html"
                assert said in await answer.text()
        async with client.get(f"{BASE}/api/status", headers=BEARER) as answer:
            assert answer.status == 404
            assert said in (await answer.json())["detail"]
        async with client.post(f"{BASE}/login", data={"token": TOKEN}, headers=HTML) as answer:
            assert said in await answer.text()


# without the proxy


async def test_health_and_metrics_answer_at_the_root_and_below_the_path() -> None:
    assert {route.path.removeprefix("/") for route in ROUTES if route.at_root} == ROOT_DOORS
    async with visit(busy_scene(), busy_scene().context(base_path=BASE)) as client:
        for prefix in ("", BASE):
            for door in sorted(ROOT_DOORS):
                async with client.get(f"{prefix}/{door}", headers=BEARER) as answer:
                    assert answer.status == 200, prefix + door
            async with client.get(f"{prefix}/metrics") as answer:
                assert answer.status == 401


async def test_nothing_else_answers_at_the_root() -> None:
    async with visit(busy_scene(), busy_scene().context(base_path=BASE)) as client:
        for route in ROUTES:
            if not route.at_root:
                async with client.request(
                    route.method, address_of(route.path), headers=BEARER, allow_redirects=False
                ) as answer:
                    assert answer.status == 404, route.path
        async with client.get("/facesets/", headers=BEARER) as answer:
            assert (answer.status, "FACESETS_BASE_PATH" in await answer.text()) == (404, True)


async def test_below_the_path_the_same_routes_need_the_token() -> None:
    async with visit(busy_scene(), busy_scene().context(base_path=BASE)) as client:
        for route in ROUTES:
            async with client.request(route.method, BASE + address_of(route.path), allow_redirects=False) as answer:
                if route.access is not Access.EVERYBODY:
                    assert answer.status == 401, route.path
                elif route.path.startswith("/login") and route.method == "POST":
                    assert answer.status in {401, 429}, "a wrong token, and another one too soon"
                else:
                    assert answer.status != 401, route.path


async def test_without_a_base_path_a_strange_path_is_only_unknown() -> None:
    async with visit(busy_scene()) as client, client.get("/faces/", headers=BROWSER) as answer:
        assert answer.status == 404
        assert "FACESETS_BASE_PATH" not in await answer.text()


# values


@pytest.mark.parametrize(
    "goal", ["/", "/other", "/facesets/", "/faces/../other", "/faces/%2E%2e/other", "//faces/", ""]
)
def test_a_login_below_a_path_leads_to_no_neighbour(goal: str) -> None:
    assert local_path(goal, BASE) == f"{BASE}/"
    assert local_path(f"{BASE}/x?a=/../y", BASE) == f"{BASE}/x?a=/../y"


@pytest.mark.parametrize("path", ["", "/faces", "/a/b", "/a.b/~c_d-e", "/..a", "/healthz.d"])
def test_a_base_path_is_kept_as_it_is(path: str) -> None:
    assert checked_base_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["/", "faces", "/faces/", "//faces", "/a//b", "/..", "/a/../b", "/./a", "/a/.", "/a b", "/a\n", "/a\x7f", "/é", "/%41",
     "/a?b", "/a#b", "/a;b", "/a\\b", "http://host/faces", '/"', "/healthz", "/metrics", "/readyz/a"],
)  # fmt: skip
def test_a_base_path_that_a_proxy_or_a_browser_would_change_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="must"):
        checked_base_path(path)
