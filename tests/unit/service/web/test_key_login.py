"""The login by an Immich API key: who is signed in, what is refused, and that the key is kept nowhere."""

import asyncio
import re
from dataclasses import replace

import pytest
from aiohttp import ClientSession
from pydantic import SecretStr
from structlog.testing import capture_logs
from web_scene import KEYS, TOKEN, Scene, visit

from immich_facesets.errors import RequestError, SetupError, TransientError
from immich_facesets.runtime.rare_log import RareLog
from service.web.auth import FREE_TRIES
from service.web.immich_keys import AT_ONCE, MOST_WAITING, KeyChecks
from service.web.sessions import SESSION_COOKIE, USER_SECONDS

ANNAS, BENS = KEYS
OTHER = "another-key-for-tests"


async def sign_in(client: ClientSession, key: str, **fields: str) -> tuple[int, str]:
    """Post a key; return the status, and the error of the page or the address that it leads to."""
    async with client.post("/login", data={"api_key": key, **fields}, allow_redirects=False) as answer:
        text = await answer.text()
        assert key not in text
        assert all(key not in value for value in answer.headers.values())
        said = re.search(r'id="(?:api_key|token)-error" role="alert">([^<]*)<', text)
        return answer.status, said[1] if said else answer.headers.get("Location", "")


async def test_a_key_of_a_user_signs_in_and_leads_to_their_people() -> None:
    async with visit(Scene()) as client:
        assert await sign_in(client, f" {ANNAS}\n", next="/people/3?sort=time") == (303, "/people/3?sort=time")
        (cookie,) = [morsel for morsel in client.cookie_jar if morsel.key == SESSION_COOKIE]
        assert int(cookie["max-age"]) == USER_SECONDS
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert ANNAS not in cookie.value
        async with client.get("/") as answer:
            assert answer.url.path == "/people"
            assert "Signed in as <b>anna</b>" in await answer.text()


async def test_the_page_asks_for_a_key_only_where_there_are_immich_users() -> None:
    scene = Scene()
    async with visit(scene) as client:
        async with client.get("/login") as answer:
            assert 'name="api_key"' in await answer.text()
        scene.users = {}
        async with client.get("/login") as answer:
            assert 'name="api_key"' not in await answer.text()
        status, said = await sign_in(client, ANNAS)
        assert (status, "Enter its token" in said) == (401, True)


async def test_a_token_is_never_sent_to_immich() -> None:
    asked: list[str] = []

    async def user_of_key(key: SecretStr) -> str | None:
        asked.append(key.get_secret_value())
        return None

    scene = Scene()
    async with visit(scene, replace(scene.context(), user_of_key=user_of_key)) as client:
        status, said = await sign_in(client, TOKEN)
        assert (status, "Immich was not asked" in said) == (401, True)
        for token in (TOKEN[:-1], OTHER):
            async with client.post("/login", data={"token": token}, allow_redirects=False) as answer:
                assert answer.status == 401
        assert asked == []
        assert not [morsel for morsel in client.cookie_jar if morsel.key == SESSION_COOKIE]


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 129, "a key with blanks", "käse-käse-käse", "a" * 20 + "\x00", "a\nb" * 5]
)
async def test_a_key_that_cannot_be_one_of_immich_is_not_asked_about(key: str) -> None:
    async def user_of_key(_: SecretStr) -> str | None:
        raise AssertionError("Immich was asked")

    scene = Scene()
    async with (
        visit(scene, replace(scene.context(), user_of_key=user_of_key)) as client,
        client.post("/login", data={"api_key": key}, allow_redirects=False) as answer,
    ):
        assert answer.status == 401


async def test_wrong_keys_have_the_pauses_of_wrong_tokens_and_the_right_one_passes() -> None:
    with capture_logs() as lines:
        async with visit(Scene()) as client:
            for _ in range(FREE_TRIES):
                status, said = await sign_in(client, OTHER)
                assert (status, "does not take this API key" in said) == (401, True)
            status, said = await sign_in(client, OTHER)
            assert (status, said[:14]) == (429, "Too many wrong")
            async with client.post("/login", data={"token": "guess"}, allow_redirects=False) as answer:
                assert answer.status == 429, "they count together"
                assert int(answer.headers["Retry-After"]) >= 1
            assert await sign_in(client, ANNAS) == (303, "/")
    assert [line["event"] for line in lines if line["event"].startswith("wrong")] == ["wrong_key", "wrong_token"]
    assert OTHER not in repr(lines)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RequestError("Ask the administrator to add you.", status=403), 403, "Ask the administrator to add you."),
        (TransientError("nobody answers at immich.lan:2283"), 503, "Immich does not answer now"),
        (SetupError(f"immich.lan refuses {OTHER}"), 503, "Immich cannot be asked now"),
    ],
)
async def test_a_key_that_signs_nobody_in_is_told_why_and_not_where_immich_is(
    error: Exception, status: int, said: str
) -> None:
    scene = Scene(trouble=error)
    with capture_logs() as lines:
        async with visit(scene) as client:
            answer = await sign_in(client, OTHER)
            assert (answer[0], said in answer[1]) == (status, True)
            assert "immich.lan" not in answer[1]
            scene.trouble = None
            assert await sign_in(client, BENS) == (303, "/")
    assert OTHER not in repr(lines)
    assert [line["event"] for line in lines if "key" in line["event"]] == [
        "wrong_key" if status == 403 else "key_not_checked"
    ]


async def test_few_keys_are_checked_at_once_and_few_wait() -> None:
    asked, release = 0, asyncio.Event()

    async def user_of_key(_: SecretStr) -> str | None:
        nonlocal asked
        asked += 1
        await release.wait()
        return "anna"

    checks = KeyChecks(user_of_key, RareLog())
    under_way = [asyncio.create_task(checks.user_of(ANNAS)) for _ in range(AT_ONCE + MOST_WAITING)]
    await asyncio.sleep(0.01)
    assert asked == AT_ONCE
    with pytest.raises(RequestError, match="Too many keys") as refused:
        await checks.user_of(ANNAS)
    assert refused.value.status == 429
    under_way.pop().cancel()
    await asyncio.sleep(0.01)
    under_way.append(asyncio.create_task(checks.user_of(ANNAS)))
    release.set()
    assert await asyncio.gather(*under_way) == ["anna"] * (AT_ONCE + MOST_WAITING), "one that left has freed its place"
    assert await checks.user_of(ANNAS) == "anna"


async def test_a_logout_ends_the_session_and_lets_the_browser_drop_what_it_kept() -> None:
    async with visit(Scene()) as client:
        await sign_in(client, ANNAS)
        (cookie,) = [morsel.value for morsel in client.cookie_jar if morsel.key == SESSION_COOKIE]
        async with client.post("/logout", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
            assert answer.headers["Clear-Site-Data"] == '"cache"'
        async with client.get("/api/identities", headers={"Cookie": f"{SESSION_COOKIE}={cookie}"}) as answer:
            assert answer.status == 401


async def test_a_user_who_is_taken_out_of_the_settings_is_signed_out() -> None:
    scene = Scene()
    async with visit(scene) as client:
        await sign_in(client, ANNAS)
        del scene.users["anna"]
        async with client.get("/api/identities") as answer:
            assert answer.status == 401


async def test_another_site_cannot_sign_anybody_in() -> None:
    async with visit(Scene()) as client:
        headers = {"Origin": "https://evil.test"}
        async with client.post("/login", data={"api_key": ANNAS}, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 403
            assert SESSION_COOKIE not in answer.cookies
