"""The configured user that an Immich API key belongs to. The key is asked about once, and kept nowhere."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from immich_facesets.errors import RequestError
from service.remote.pacing import Pacer
from service.sources.immich.api_errors import KeyRefusedError
from service.sources.immich.client import ImmichClient

PERMISSION = "user.read"

NO_PERMISSION = (
    f"This API key lacks the permission {PERMISSION}, so Immich does not tell whose it is. Add it in Immich under Account "
    "settings, API keys."
)
NO_USER = "Your Immich account is no user of this service. Ask its administrator to add you, and to sync your pictures."


@dataclass(frozen=True, slots=True)
class KeyOwners:
    """
    The lookup that finds the user of an API key, at the Immich of the settings.

    ``users`` are the Immich users of the settings, and ``accounts`` returns the account that each source is bound to.
    ``answer_seconds`` limits each answer.
    """

    url: str
    users: Collection[str]
    accounts: Callable[[], Awaitable[Mapping[str, str]]]
    answer_seconds: float = 10.0
    transport: httpx.AsyncBaseTransport | None = field(default=None, repr=False)

    async def user_of(self, key: SecretStr) -> str | None:
        """
        Return the user; None for a key that Immich refuses.

        ``RequestError`` (403) for a key without the permission to read its account, or of no user of the settings. Only
        Immich's own word counts here. The search for a picture of the account (``AccountProof``) is for a key that the
        administrator chose: an owner of a shared picture could be taken for the owner of the key.
        """
        account = await self._account(key)
        if account is None:
            return None
        bound = await self.accounts()
        user = next((name for name in self.users if bound.get(name) == account), None)
        if user is None:
            raise RequestError(NO_USER, status=403)
        return user

    async def _account(self, key: SecretStr) -> str | None:
        client = ImmichClient(
            "login",
            self.url,
            key,
            pacer=Pacer(start=1, most=1),
            answer_seconds=self.answer_seconds,
            total_seconds=self.answer_seconds,
            transport=self.transport,
        )
        try:
            granted = (await client.own_key()).permissions
            if PERMISSION not in granted and "all" not in granted:
                raise RequestError(NO_PERMISSION, status=403)
            return (await client.me()).id
        except KeyRefusedError:
            return None
        finally:
            await client.close()
