"""One Immich user as a source of pictures."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from immich_facesets.assets import Asset, FaceHint, Person, Rendition, is_rendition_path
from immich_facesets.errors import ItemError, SetupError, TransientError
from service.remote.guard import ONCE, ONE_ITEM, STUBBORN, CircuitOpenError, Guard, RetryRule
from service.sources import MOTION_PART, VIDEO, Page, SourceFacts, Staged
from service.sources.immich.account import AccountProof
from service.sources.immich.api_errors import AnswerError
from service.sources.immich.api_versions import Dialect, Query, dialect_of
from service.sources.immich.client import ImmichClient
from service.sources.immich.conversion import asset_from_payload, hints_of_faces, inline_hints, person_from_payload
from service.sources.immich.download import stage
from service.sources.immich.keyset_listing import Found, Sweep
from service.sources.immich.payloads import AssetPayload, AssetSection, Version

T = TypeVar("T")

MOST_PEOPLE = 500_000
"""The most people of one account that are read."""

NEEDED_PERMISSIONS = ("asset.read", "face.read", "asset.download", "asset.view", "person.read")


@dataclass(frozen=True, slots=True)
class Opened:
    """The results of opening: the dialect to use, and the owner of the pictures."""

    dialect: Dialect
    facts: SourceFacts


class ImmichSource:
    """
    Immich's implementation of ``service.sources.Source``.

    Its calls pass through ``guard``, which the scheduler may wait for.
    """

    def __init__(
        self,
        client: ImmichClient,
        guard: Guard,
        *,
        name: str,
        max_file_bytes: int = 512 * 2**20,
        include_renditions: bool = False,
    ) -> None:
        self._client = client
        self._name = name
        self._max_file_bytes = max_file_bytes
        self._include_renditions = include_renditions
        self._opened: Opened | None = None
        self._account_id: str | None = None
        self.guard = guard

    @property
    def name(self) -> str:
        return self._name

    @property
    def requests(self) -> Counter[str]:
        """The number of requests by route, for the metrics."""
        return self._client.requests

    async def open(self) -> SourceFacts:
        version = await self._insist(self._server_version)
        dialect = dialect_of(version)
        key = await self._insist(self._client.own_key)
        server_time = self._client.server_time
        self._check_permissions(key.permissions)
        if self._account_id is None:  # it is the same as long as the key is
            self._account_id = await self._account(key.permissions, dialect)
        facts = SourceFacts(
            name=self._name,
            kind="immich",
            version=str(version),
            user_id=self._account_id,
            hints_inline=dialect.hints_inline,
            server_time=server_time,
            finds_dates=True,
        )
        self._opened = Opened(dialect=dialect, facts=facts)
        return facts

    async def listing(self, *, updated_after: datetime | None = None) -> AsyncIterator[Page]:
        """Yield timeline, archive and hidden pictures, then those with a missing file (``is_offline``), each once."""
        opened = await self._open_once()
        seen: set[str] = set()
        for offline in (False, True):
            for scope in opened.dialect.scopes:
                query = Query(scope, updated_after=updated_after, offline=offline)
                async for found in self._sweep(opened.dialect, query, seen).run():
                    page = await asyncio.to_thread(self._page, opened, found)
                    if page.assets or page.skipped or page.bad_spots or page.failed:
                        yield page
        if updated_after is None and (videos := await self._count_videos(opened)):
            yield Page(assets=(), skipped={VIDEO: videos})

    async def _count_videos(self, opened: Opened) -> int:
        """Return how many videos the user has, without the moving parts of pictures; 0 where they cannot be listed."""
        ids: set[str] = set()
        try:
            for scope in opened.dialect.scopes:
                if own := tuple(visibility for visibility in scope if visibility != "hidden"):  # as moving parts are
                    async for found in self._sweep(opened.dialect, Query(own, kind="VIDEO"), set()).run():
                        ids.update(item.id for item in found.items if item.owner_id == opened.facts.user_id)
        except CircuitOpenError:
            raise
        except (TransientError, SetupError):  # a count is not worth a sync
            return 0
        return len(ids)

    async def ids_with_faces(self, *, updated_after: datetime | None = None) -> set[str] | None:
        opened = await self._open_once()
        if not opened.dialect.finds_faces:
            return None
        ids: set[str] = set()
        for scope in opened.dialect.scopes:
            query = Query(scope, updated_after=updated_after, only_with_faces=True)
            async for found in self._sweep(opened.dialect, query, ids).run():
                if found.bad_spot is not None:
                    return None
        return ids

    async def read_hints(self, asset_id: str) -> tuple[FaceHint, ...]:
        return hints_of_faces(await self._about_item(lambda: self._client.faces(asset_id)))

    async def find(self, asset_id: str) -> Asset | None:
        opened = await self._open_once()
        payload = await self._find(lambda: self._client.asset(asset_id))
        if payload is None:
            return None
        is_trash = payload.is_trashed and not payload.is_offline  # Immich also puts missing files into the trash
        if is_trash or payload.owner_id != opened.facts.user_id:
            return None
        return self._asset(opened, payload)

    async def people(self) -> tuple[Person, ...]:
        people: dict[str, Person] = {}
        page = 0
        has_more = True
        while has_more:
            page += 1
            number = page
            answer = await self._insist(lambda: self._client.people(number))  # noqa: B023 - awaited before it changes
            known = len(people)
            people.update((payload.id, person_from_payload(payload)) for payload in answer.people)
            has_more = answer.has_next_page and len(people) > known
            if len(people) > MOST_PEOPLE:
                raise SetupError(
                    f"Immich lists more than {MOST_PEOPLE:,} people of user {self._name!r}: is this Immich?"
                )
        return tuple(people.values())

    async def find_person(self, person_id: str) -> Person | None:
        payload = await self._find(lambda: self._client.person(person_id))
        return None if payload is None else person_from_payload(payload)

    async def fetch(self, asset: Asset, folder: Path) -> Staged:
        """
        Fetch the asset's original or rendition as a new file in ``folder``.

        A rendition of a raw file can be smaller than the original: it is the largest JPEG that Immich has.
        """
        for _ in range(2):  # one checksum mismatch may be a transfer error
            staged = await self._about_item(lambda: self._stage(asset, folder))
            is_checked = asset.checksum is not None and asset.rendition is Rendition.ORIGINAL
            if not is_checked or staged.sha1 == asset.checksum:
                return staged
            await asyncio.to_thread(staged.path.unlink, missing_ok=True)
        raise ItemError("the bytes do not have the checksum that Immich gives for them", reason="checksum_mismatch")

    async def wait_until_up(self) -> None:
        await self.guard.wait_until_closed()

    async def close(self) -> None:
        await self._client.close()

    async def _open_once(self) -> Opened:
        if self._opened is None:
            await self.open()
        assert self._opened is not None  # noqa: S101 - open sets it or raises
        return self._opened

    async def _server_version(self) -> Version:
        try:
            return await self._client.server_version()
        except AnswerError as error:
            if error.reason == "not_json":  # at the first request this means a wrong address, not a passing error
                raise SetupError(str(error)) from error
            raise

    def _check_permissions(self, granted: tuple[str, ...]) -> None:
        missing = [name for name in NEEDED_PERMISSIONS if name not in granted and "all" not in granted]
        if missing:
            raise self._client.errors.missing_permissions(missing)

    async def _account(self, granted: tuple[str, ...], dialect: Dialect) -> str:
        """Return the id of the key's account."""
        if "user.read" in granted or "all" in granted:
            return (await self._insist(self._client.me)).id
        return await AccountProof(
            people=lambda: self._insist(lambda: self._client.people(1)),
            search=lambda query: self._found(dialect, query),
            asset=lambda asset_id: self._about_item(lambda: self._client.asset(asset_id)),
            people_are_private=dialect.people_are_private,
        ).find(self._name)

    async def _found(self, dialect: Dialect, query: Query) -> AsyncIterator[tuple[AssetPayload, ...]]:
        async for found in self._sweep(dialect, query, set()).run():
            yield found.items

    def _sweep(self, dialect: Dialect, query: Query, seen: set[str]) -> Sweep:
        return Sweep(
            dialect=dialect,
            query=query,
            ask=lambda query: self._ask(dialect, query),
            ask_once=lambda query: self._ask(dialect, query, first=ONCE),
            seen=seen,
        )

    async def _ask(self, dialect: Dialect, query: Query, *, first: RetryRule = ONE_ITEM) -> AssetSection:
        """Send one query of a sweep. An unusable answer is raised early, because the sweep can change the query."""
        body = dialect.body(query)
        try:
            return await self.guard.call(lambda: self._client.search(body), rule=first)
        except (CircuitOpenError, AnswerError):
            raise
        except TransientError as error:
            if error.retry_after is not None:
                raise
            return await self._insist(lambda: self._client.search(body))

    def _page(self, opened: Opened, found: Found) -> Page:
        skipped: Counter[str] = Counter()
        assets = []
        for payload in found.items:
            if payload.owner_id != opened.facts.user_id:
                skipped["partner"] += 1
            elif not self._include_renditions and is_rendition_path(payload.original_path):
                skipped["rendition"] += 1
            else:
                assets.append(self._asset(opened, payload))
                if payload.live_photo_video_id is not None:
                    skipped[MOTION_PART] += 1
        bad_spots = () if found.bad_spot is None else (found.bad_spot,)
        failed = tuple((asset_id, self._client.errors.impossible(why)) for asset_id, why in found.impossible)
        return Page(assets=tuple(assets), skipped=dict(skipped), bad_spots=bad_spots, failed=failed)

    def _asset(self, opened: Opened, payload: AssetPayload) -> Asset:
        hints = inline_hints(payload) if opened.dialect.hints_inline else None
        return asset_from_payload(payload, self._name, hints)

    async def _stage(self, asset: Asset, folder: Path) -> Staged:
        match asset.rendition:
            case Rendition.FULLSIZE:
                exchange = self._client.fullsize(asset.asset_id)
            case Rendition.EDITED:
                exchange = self._client.original(asset.asset_id, edited=True)
            case Rendition.ORIGINAL:
                exchange = self._client.original(asset.asset_id)
        try:
            async with exchange as response:
                return await stage(response, folder, asset, max_bytes=self._max_file_bytes)
        except ItemError as error:
            if error.reason == "not_found" and (asset.is_offline or asset.is_external):
                raise ItemError("the file behind this picture is missing on the server", reason="offline") from error
            raise

    async def _insist(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Run a call that all else depends on: retry until it succeeds or the circuit breaker opens."""
        return await self.guard.call(fn, rule=STUBBORN)

    async def _find(self, fn: Callable[[], Awaitable[T]]) -> T | None:
        """Run a call for one item; return None when the server has no such item, and the key still may see it."""
        try:
            return await self._about_item(fn)
        except ItemError as error:
            if error.reason != "not_found":
                raise
            self._check_permissions((await self._insist(self._client.own_key)).permissions)
            return None

    async def _about_item(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Run a call for one item: if it fails every time while the server is healthy, the item is at fault."""
        try:
            return await self.guard.call(fn)
        except AnswerError as error:
            await self._insist(self._client.own_key)
            raise ItemError(str(error), reason=error.reason) from error
