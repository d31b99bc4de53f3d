"""
The account of an API key that may not read it: a key without user.read.

A partner's pictures may fill whole pages of its searches. Only what a partner never shares proves whose key it is:
people, and archived pictures.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from immich_facesets.errors import ItemError, SetupError
from service.sources.immich.api_versions import Query
from service.sources.immich.payloads import AssetPayload, PeoplePage


@dataclass(frozen=True, slots=True)
class AccountProof:
    """
    The search for a picture that only its owner can see.

    ``people`` reads the first page of people, ``search`` yields all pictures of a query, page by page, and ``asset``
    reads one picture. ``people_are_private``: whether a person belongs to one account (before 3.2).
    """

    people: Callable[[], Awaitable[PeoplePage]]
    search: Callable[[Query], AsyncIterator[tuple[AssetPayload, ...]]]
    asset: Callable[[str], Awaitable[AssetPayload]]
    people_are_private: bool

    async def find(self, user: str) -> str:
        """Return the account's id; if no picture proves it, a ``SetupError`` names the permission that would."""
        account = await self._by_person() or await self._by_archive()
        if account is None:
            raise SetupError(
                f"it cannot be known which account the API key of user {user!r} belongs to, so nothing was read: add "
                "the permission user.read in Immich under Account settings, API keys"
            )
        return account

    async def _by_person(self) -> str | None:
        """Return the owner of a picture of the account's first person."""
        if not self.people_are_private:
            return None
        for person in (await self.people()).people:
            async for items in self.search(Query(("timeline",), person_id=person.id)):
                if items:
                    return items[0].owner_id
        return None

    async def _by_archive(self) -> str | None:
        """Return the owner of an archived picture that can be read: a partner's is refused, although it is listed."""
        refused: set[str] = set()
        async for items in self.search(Query(("archive",))):
            for item in items:
                if item.owner_id not in refused:
                    try:
                        return (await self.asset(item.id)).owner_id
                    except ItemError:
                        refused.add(item.owner_id)
        return None
