"""Links that sign in once: not twice, not from elsewhere, not late, and never in a log."""

import logging
import re

import pytest
from aiohttp import ClientSession, hdrs
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs
from web_scene import busy_scene, visit

from service.web.login_links import LINK_SECONDS, MOST_LINKS, LoginLinks, is_from_here
from service.web.sessions import SESSION_COOKIE


async def follow(client: ClientSession, ticket: str, **headers: str) -> int:
    """Post a ticket as the login page's script does; return the status."""
    async with client.post("/login/link", data={"ticket": ticket}, headers=headers, allow_redirects=False) as answer:
        if answer.status == 303:
            assert answer.headers[hdrs.LOCATION] == "/"
            assert answer.cookies[SESSION_COOKIE]["httponly"]
            assert answer.cookies[SESSION_COOKIE]["samesite"] == "Strict"
        else:
            assert SESSION_COOKIE not in answer.cookies
        return answer.status


async def test_a_link_signs_in_once() -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        ticket = scene.login_links.issue()
        assert await follow(client, ticket) == 303
        async with client.get("/api/status") as answer:
            assert answer.status == 200
    async with visit(scene) as other:
        assert await follow(other, ticket) == 401
        async with other.get("/api/status") as answer:
            assert answer.status == 401


async def test_the_page_of_a_used_link_says_what_to_do() -> None:
    async with visit(busy_scene()) as client, client.post("/login/link", data={"ticket": "used"}) as answer:
        page = await answer.text()
    assert answer.status == 401
    assert "has signed somebody in already" in page
    assert 'name="token"' in page


async def test_a_link_ends_after_ten_minutes() -> None:
    scene = busy_scene()
    now = 0.0
    scene.login_links = LoginLinks(lambda: now)
    late, early = scene.login_links.issue(), scene.login_links.issue()
    async with visit(scene) as client:
        now = LINK_SECONDS - 0.1
        assert await follow(client, early) == 303
        now = LINK_SECONDS
        assert await follow(client, late) == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.168.1.7"},
        {"Forwarded": "for=192.168.1.7"},
        {"X-Forwarded-Proto": "https"},
        {"Via": "1.1 proxy"},
        {"Host": "facesets.example.org"},
        {"Host": "192.168.1.7:8785"},
    ],
)
async def test_a_link_is_over_once_it_was_shown_from_elsewhere(headers: dict[str, str]) -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        ticket = scene.login_links.issue()
        assert await follow(client, ticket, **headers) == 401
        assert await follow(client, ticket) == 401


@pytest.mark.parametrize(
    ("remote", "host", "is_here"),
    [
        ("127.0.0.1", "127.0.0.1:8785", True),
        ("::1", "[::1]:8785", True),
        ("::ffff:127.0.0.1", "localhost:8785", True),
        ("192.168.1.7", "127.0.0.1:8785", False),
        ("fe80::1%eth0", "localhost", False),
        ("", "localhost", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "localhost.example.org", False),
        ("127.0.0.1", "[::1", False),
    ],
)
async def test_where_a_request_comes_from(remote: str, host: str, *, is_here: bool) -> None:
    request = make_mocked_request("POST", "/login/link", headers={"Host": host}).clone(remote=remote)
    assert is_from_here(request) is is_here
    links = LoginLinks(lambda: 0.0)
    assert links.take(links.issue(), request) is is_here


async def test_another_site_cannot_use_a_link() -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        ticket = scene.login_links.issue()
        assert await follow(client, ticket, Origin="http://elsewhere.example") == 403
        assert await follow(client, ticket) == 303, "it was never read"


async def test_a_ticket_is_no_token_and_a_token_no_ticket() -> None:
    scene = busy_scene()
    async with visit(scene) as client:
        ticket = scene.login_links.issue()
        async with client.post("/login", data={"token": ticket}) as answer:
            assert answer.status == 401
        async with client.get("/api/status", headers={"Authorization": f"Bearer {ticket}"}) as answer:
            assert answer.status == 401
        assert await follow(client, scene.context().token or "") == 401


async def test_no_log_and_no_representation_has_a_ticket(caplog: pytest.LogCaptureFixture) -> None:
    scene = busy_scene()
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        async with visit(scene) as client:
            tickets = [scene.login_links.issue() for _ in range(6)]
            for ticket in tickets:
                await follow(client, ticket, **{"X-Forwarded-For": "192.168.1.7"})
                await follow(client, ticket)
    told = f"{lines} {caplog.text} {scene.login_links} {scene.context()}"
    assert "wrong_token" in told
    assert not [ticket for ticket in tickets if ticket in told]


def test_few_links_are_valid_at_once() -> None:
    links = LoginLinks(lambda: 0.0)
    request = make_mocked_request("POST", "/login/link", headers={"Host": "localhost"}).clone(remote="127.0.0.1")
    tickets = [links.issue() for _ in range(MOST_LINKS + 1)]
    assert len(set(tickets)) == MOST_LINKS + 1
    assert [links.take(ticket, request) for ticket in tickets] == [False, *[True] * MOST_LINKS]


async def test_the_login_page_posts_the_fragment_by_a_script_of_ours() -> None:
    async with visit(busy_scene()) as client:
        async with client.get("/login") as answer:
            page = await answer.text()
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert re.search(r"/static/\w+/login\.js", page)
        assert 'action="/login/link"' in page
