"""Whose an Immich API key is: only Immich's own word counts, and nothing of the key stays."""

import httpx
import pytest
from pydantic import SecretStr

from immich_facesets.errors import RequestError, TransientError
from service.demo.immich import ALL_NEEDED, FakeImmich
from service.remote.transport import AiohttpTransport
from service.sources.immich.key_owner import KeyOwners

UNKNOWN = SecretStr("no-key-of-this-server")


def owners(immich: FakeImmich, *users: str, transport: httpx.AsyncBaseTransport | None = None) -> KeyOwners:
    """Return the owners where each account of the server is bound to the source of its name."""

    async def accounts() -> dict[str, str]:
        return {name: user.user_id for name, user in immich.library.users.items()}

    return KeyOwners(immich.url, users, accounts, transport=transport)


@pytest.mark.parametrize("permissions", [("user.read",), ("all",), (*ALL_NEEDED, "user.read")])
async def test_any_key_of_an_account_leads_to_its_user(permissions: tuple[str, ...]) -> None:
    async with FakeImmich() as immich:
        anna, ben = immich.add_user("anna"), immich.add_user("ben")
        found = owners(immich, "anna", "ben")
        for user in (anna, ben):
            key = immich.add_key(user, permissions)
            assert await found.user_of(SecretStr(key)) == user.name
        immich.revoke_key(key)
        assert await found.user_of(SecretStr(key)) is None
        assert await found.user_of(UNKNOWN) is None


async def test_a_key_without_the_permission_signs_nobody_in_and_is_told_its_name() -> None:
    async with FakeImmich("2.7.0") as immich:
        anna = immich.add_user("anna")
        everything_else = [name for name in ALL_NEEDED if name != "user.read"]
        key = SecretStr(immich.add_key(anna, everything_else))
        with pytest.raises(RequestError, match=r"user\.read") as refused:
            await owners(immich, "anna").user_of(key)
        assert refused.value.status == 403
        assert immich.requests.count("search") == immich.requests.count("people") == 0, "no picture proves who asks"


async def test_an_account_that_no_source_of_the_settings_is_bound_to_signs_nobody_in() -> None:
    async with FakeImmich() as immich:
        key = SecretStr(immich.add_key(immich.add_user("carl"), ["user.read"]))
        immich.add_user("anna")
        with pytest.raises(RequestError, match="add you") as refused:
            await owners(immich, "anna").user_of(key)
        assert refused.value.status == 403

        async def nothing() -> dict[str, str]:
            return {}

        with pytest.raises(RequestError, match="add you"):
            await KeyOwners(immich.url, ["carl"], nothing).user_of(key)


async def test_an_immich_that_does_not_answer_is_no_wrong_key() -> None:
    async with FakeImmich() as immich:
        key = SecretStr(immich.add_key(immich.add_user("anna"), ["user.read"]))
        for route in ("key", "me"):
            immich.faults.add(route, "status", status=503, times=1)
            with pytest.raises(TransientError):
                await owners(immich, "anna").user_of(key)
        await immich.refuse()
        with pytest.raises(TransientError):
            await owners(immich, "anna").user_of(key)


async def test_the_connection_is_closed_whatever_came_of_it_and_nothing_shows_the_key() -> None:
    class Counted(AiohttpTransport):
        closed = 0

        async def aclose(self) -> None:
            Counted.closed += 1
            await super().aclose()

    async with FakeImmich() as immich:
        key = SecretStr(immich.add_key(immich.add_user("anna"), ALL_NEEDED))

        def transport() -> Counted:
            return Counted(keepalive_seconds=1, trust_env=False, remote="Immich")

        assert await owners(immich, transport=transport()).user_of(UNKNOWN) is None
        found = owners(immich, transport=transport())
        with pytest.raises(RequestError) as refused:
            await found.user_of(key)
        assert Counted.closed == 2
        for text in (repr(found), str(refused.value), repr(refused.value)):
            assert key.get_secret_value() not in text
