"""Authentication and the security headers of every answer."""

import asyncio

import pytest
import structlog
from aiohttp import ClientSession
from web_scene import ANY_PORT, BEARER, HTML, TOKEN, Scene, address_of, busy_scene, visit

from immich_facesets.errors import SetupError, TransientError
from immich_facesets.runtime.listen_address import Listen
from service.web.auth import FREE_TRIES, LoginPauses, local_path
from service.web.request_guard import is_known_host
from service.web.routes import Access, Route
from service.web.server import ROUTES, serve_web
from service.web.sessions import ADMINISTRATOR_SECONDS, SESSION_COOKIE, Keyring
from service.web.viewers import ADMINISTRATOR

GUARDED = [route for route in ROUTES if route.access is not Access.EVERYBODY]


async def log_in(client: ClientSession, token: str = TOKEN, goal: str = "/") -> int:
    async with client.post("/login", data={"token": token, "next": goal}, allow_redirects=False) as answer:
        return answer.status


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
async def test_a_guarded_route_refuses_requests_without_a_token(route: Route) -> None:
    async with visit(busy_scene()) as client, client.request(route.method, address_of(route.path)) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await answer.json())["reason"] == "unauthorized"


async def test_a_wrong_bearer_token_is_refused() -> None:
    async with visit(busy_scene()) as client:
        for value in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", "Bearer \udcff", f"Bearer {TOKEN}x"):
            headers = {"Authorization": value.encode("utf-8", "surrogateescape").decode("latin-1")}
            async with client.get("/api/status", headers=headers) as answer:
                assert answer.status == 401, value


async def test_the_bearer_opens_the_api() -> None:
    async with visit(busy_scene()) as client, client.get("/api/status", headers=BEARER) as answer:
        assert answer.status == 200


async def test_a_page_redirects_to_the_login_and_back_again() -> None:
    async with visit(busy_scene()) as client:
        async with client.get("/?notice=accepted", headers=HTML) as answer:
            assert answer.url.path == "/login"
            assert 'name="next" value="/?notice=accepted"' in await answer.text()
        async with client.post("/login", data={"token": TOKEN, "next": "/?notice=accepted"}) as answer:
            assert answer.status == 200
            assert answer.url.path_qs == "/?notice=accepted"
        async with client.get("/login", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_the_session_cookie_is_closed_to_scripts_and_other_sites() -> None:
    async with visit(busy_scene()) as client:
        form = {"token": TOKEN}
        async with client.post("/login", data=form, allow_redirects=False) as answer:
            cookie = answer.cookies[SESSION_COOKIE]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
            assert not cookie["secure"]
            assert TOKEN not in cookie.value
        behind_tls = {"X-Forwarded-Proto": "https"}
        async with client.post("/login", data=form, headers=behind_tls, allow_redirects=False) as answer:
            assert answer.cookies[SESSION_COOKIE]["secure"]


async def test_logging_out_ends_the_access() -> None:
    async with visit(busy_scene()) as client:
        assert await log_in(client) == 303
        async with client.get("/api/jobs") as answer:
            assert answer.status == 200
        async with client.post("/logout", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/login"
        async with client.get("/api/jobs") as answer:
            assert answer.status == 401


async def test_an_ended_session_is_over_for_every_copy_of_its_cookie_and_after_a_restart() -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        assert await log_in(client) == 303
        (cookie,) = [morsel.value for morsel in client.cookie_jar if morsel.key == SESSION_COOKIE]
        stolen = {"Cookie": f"{SESSION_COOKIE}={cookie}"}
        async with client.get("/api/events", headers=stolen) as events:
            await events.content.readuntil(b"\n")
            async with client.post("/logout", allow_redirects=False) as answer:
                assert answer.status == 303
            scene.board.end("after the logout")
            async with asyncio.timeout(30):  # a stream that goes on would never end
                assert b"after the logout" not in await events.content.read()
        assert await log_in(client) == 303
        async with client.get("/api/jobs") as answer:
            assert answer.status == 200
        client.cookie_jar.clear()
        async with client.get("/api/jobs", headers=stolen) as answer:
            assert answer.status == 401
    async with visit(scene) as client, client.get("/api/jobs", headers=stolen) as answer:
        assert answer.status == 401


async def test_a_logout_that_could_not_be_kept_says_so_and_is_kept_when_it_is_repeated() -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        assert await log_in(client) == 303
        scene.trouble = TransientError("the database does not answer")
        async with client.post("/logout", allow_redirects=False) as answer:
            assert answer.status == 503
        scene.trouble = None
        async with client.get("/api/jobs") as answer:
            assert answer.status == 401
        async with client.post("/logout", allow_redirects=False) as answer:
            assert answer.status == 303
    assert len(scene.ended_sessions) == 1


async def test_wrong_tokens_have_pauses_and_the_right_one_passes_at_any_time() -> None:
    with structlog.testing.capture_logs() as lines:
        async with visit(busy_scene()) as client:
            guesses = [await log_in(client, "guess") for _ in range(FREE_TRIES + 20)]
            assert guesses == [401] * FREE_TRIES + [429] * 20
            async with client.post("/login", data={"token": "guess"}, allow_redirects=False) as answer:
                assert int(answer.headers["Retry-After"]) >= 1
            async with client.get("/api/jobs", headers={"Authorization": "Bearer guess"}) as answer:
                assert answer.status == 401
            assert await log_in(client) == 303
            assert await log_in(client, "guess") == 401
    (line,) = [line for line in lines if line["event"] == "wrong_token"]
    assert line["caller"] == "127.0.0.1"


def test_pauses_grow_to_a_minute_and_are_forgotten_with_the_right_token() -> None:
    now = 0.0
    pauses = LoginPauses(lambda: now)
    waits = []
    for _ in range(12):
        pauses.count_wrong("10.0.0.1")
        waits.append(pauses.remaining("10.0.0.1"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert pauses.remaining("10.0.0.2") == 0
    now = 59.0
    assert pauses.remaining("10.0.0.1") == 1
    pauses.forget("10.0.0.1")
    assert pauses.remaining("10.0.0.1") == 0


def test_the_memory_of_wrong_tokens_is_bounded() -> None:
    pauses = LoginPauses(lambda: 0.0)
    for number in range(5000):
        pauses.count_wrong(f"address {number}")
    assert len(pauses._tries) == 1000


def test_a_session_ends_by_time_by_a_logout_and_by_a_new_token() -> None:
    now = 1_000.0
    ring = Keyring("first", lambda: now)
    cookie, other = ring.issue(), ring.issue()
    assert cookie != other
    assert ring.viewer_in(cookie)
    assert not Keyring("second", lambda: now).viewer_in(cookie)
    identity, expiry, _, _, signature = cookie.split(".")
    forgeries = [
        f"{identity}.{int(expiry) + 1}...{signature}",
        f"{identity}.{expiry}...{'0' * 64}",
        f"x.{expiry}...{signature}",
    ]
    for forged in (*forgeries, expiry, "", ".", "..", "x.y", "x.y.z", "\udcff.\udcff.\udcff"):
        assert not ring.viewer_in(forged), forged
        assert ring.end(forged) is None, forged
    ended = ring.end(cookie)
    assert ended == {identity: int(expiry)}
    assert [ring.viewer_in(each) for each in (cookie, other)] == [None, ADMINISTRATOR]
    assert not Keyring("first", lambda: now, ended).viewer_in(cookie)
    now += ADMINISTRATOR_SECONDS
    assert not ring.viewer_in(other)
    assert list(ring.end(ring.issue()) or ()) != [identity], "an expired session is kept no longer"
    assert len(ring.end(ring.issue()) or ()) == 2


@pytest.mark.parametrize(
    "goal", ["https://evil.test/", "//evil.test", "/\\evil.test", "/\t/evil.test", "/\n", "evil", "", "/a b"]
)
def test_a_login_never_leads_to_another_site(goal: str) -> None:
    assert local_path(goal) == "/"


async def test_another_site_cannot_press_our_buttons() -> None:
    scene = busy_scene()
    scene.board.end("")
    async with visit(scene) as client:
        assert await log_in(client) == 303
        for headers in (
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9"},
        ):
            for path in ("/api/jobs", "/sync", "/logout"):
                async with client.post(path, headers=headers, allow_redirects=False) as answer:
                    assert answer.status == 403, (path, headers)
        assert scene.wishes == []
        origin = str(client._base_url).rstrip("/")
        async with client.post("/api/jobs", headers={"Origin": origin}) as answer:
            assert answer.status == 202


async def test_behind_a_proxy_the_name_the_browser_knows_counts() -> None:
    scene = busy_scene()
    headers = {"Origin": "https://faces.home", "X-Forwarded-Host": "faces.home"}
    async with visit(scene) as client:
        assert await log_in(client) == 303
        async with client.post("/sync", headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303


async def test_a_program_with_the_token_may_come_from_anywhere() -> None:
    scene = busy_scene()
    scene.board.end("")
    headers = {**BEARER, "Origin": "https://elsewhere.test"}
    async with visit(scene) as client, client.post("/api/jobs", headers=headers) as answer:
        assert answer.status == 202


def test_only_our_own_names_are_known_hosts() -> None:
    for host in ("127.0.0.1:8080", "[::1]:8080", "localhost", "LOCALHOST:1", "192.168.1.7", "faces.home:8080"):
        assert is_known_host(host, ("Faces.home",)), host
    for host in ("evil.test", "", "localhost.evil.test", "[::1", "127.0.0.1.evil.test"):
        assert not is_known_host(host, ("faces.home",)), host


async def test_a_rebound_name_gets_no_answer() -> None:
    scene = busy_scene()
    rebound = {"Host": "evil.test", **BEARER}
    async with visit(scene, scene.context(allowed_hosts=("faces.home",))) as client:
        async with client.get("/api/status", headers=rebound) as answer:
            assert answer.status == 421
        async with client.get("/api/status", headers={"Host": "faces.home", **BEARER}) as answer:
            assert answer.status == 200
    async with visit(scene, scene.context(token=None)) as client:
        async with client.get("/", headers={"Host": "evil.test"}) as answer:
            assert answer.status == 421
        async with client.get("/api/status") as answer:
            assert answer.status == 200


async def test_without_a_token_only_this_machine_is_served() -> None:
    scene = Scene()
    with pytest.raises(SetupError, match="FACESETS_TOKEN"):
        async with serve_web(scene.context(token=None), Listen("0.0.0.0", 0)):  # noqa: S104  it must be refused
            pass


async def test_an_address_that_is_taken_is_said_so() -> None:
    scene = Scene()
    async with serve_web(scene.context(), ANY_PORT) as taken:
        with pytest.raises(SetupError, match=f"cannot listen on {taken}"):
            async with serve_web(scene.context(), taken):
                pass


@pytest.mark.parametrize("path", ["/", "/login", "/healthz", "/api/nothing", "/static/1/pages.css", "/metrics"])
async def test_every_answer_carries_the_security_headers(path: str) -> None:
    async with visit(busy_scene()) as client, client.get(path, headers={**BEARER, **HTML}) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "img-src 'self' blob:;" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}
        assert answer.headers["X-Request-Id"]


async def test_a_request_keeps_its_number_when_it_is_harmless() -> None:
    async with visit(Scene()) as client:
        async with client.get("/healthz", headers={"X-Request-Id": "abc-1"}) as answer:
            assert answer.headers["X-Request-Id"] == "abc-1"
        async with client.get("/healthz", headers={"X-Request-Id": "a b<c>"}) as answer:
            assert answer.headers["X-Request-Id"] != "a b<c>"


def test_the_token_is_not_in_what_is_printed_of_the_context() -> None:
    assert TOKEN not in repr(Scene().context())
