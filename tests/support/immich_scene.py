"""A fake Immich with a user, and our source connected to it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from immich_facesets.assets import Asset
from service.demo.immich import FakeAsset, FakeImmich, FakeUser
from service.progress import RemoteState
from service.remote.transport import CountRequest
from service.settings import Settings
from service.sources import Page
from service.sources.immich import ImmichSource, build_immich_source
from service.users import User

VERSIONS = ("2.7.5", "3.1.0", "3.3.5")
NOON = datetime(2024, 5, 5, 12, 0, tzinfo=UTC)
PIXELS = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
"""The first bytes of a JPEG; no test decodes it."""


async def hurried(seconds: float) -> None:
    """Sleep that takes no time."""
    del seconds
    await asyncio.sleep(0)


def source_of(immich: FakeImmich, user: FakeUser, *, key: str = "", **settings: Any) -> ImmichSource:
    states: list[RemoteState] = settings.pop("states", [])
    count: CountRequest | None = settings.pop("count", None)
    return build_immich_source(
        User(name=user.name, api_key=SecretStr(key or user.api_key)),
        Settings(immich_url=immich.url, **settings),
        on_change=states.append,
        count=count,
        sleep=hurried,
    )


@asynccontextmanager
async def scene(
    version: str, *, permissions: Iterable[str] | None = None, page_limit: int = 1000, **settings: Any
) -> AsyncIterator[tuple[FakeImmich, FakeUser, ImmichSource]]:
    """A running server, its user anna, and the source of that user, unopened."""
    immich = FakeImmich(version, page_limit=page_limit)
    async with immich:
        anna = immich.add_user("anna") if permissions is None else immich.add_user("anna", permissions)
        source = source_of(immich, anna, **settings)
        try:
            yield immich, anna, source
        finally:
            await source.close()


def add_picture(immich: FakeImmich, name: str = "a.jpg", *, seconds: float = 0.0, **fields: Any) -> FakeAsset:
    """A picture of anna's, ``seconds`` after noon."""
    usual: dict[str, Any] = {"data": PIXELS + name.encode(), "owner": "anna", "width": 1600, "height": 1200}
    usual["taken_at"] = NOON + timedelta(seconds=seconds)
    return immich.add_asset(file_name=name, **(usual | fields))


def add_face(immich: FakeImmich, asset: FakeAsset, **fields: Any) -> None:
    usual: dict[str, Any] = {"box": (600, 300, 900, 700), "image_width": 1600, "image_height": 1200}
    immich.add_face(asset, **(usual | fields))


async def pages_of(source: ImmichSource, **options: Any) -> list[Page]:
    return [page async for page in source.listing(**options)]


async def listed(source: ImmichSource, **options: Any) -> dict[str, Asset]:
    """Return everything listed, by file name; fail on duplicates."""
    assets = [asset for page in await pages_of(source, **options) for asset in page.assets]
    assert len({asset.asset_id for asset in assets}) == len(assets)
    return {asset.file_name: asset for asset in assets}
