"""Whole pictures: where they are fetched, for the administrator and for a user."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from browsed_library import BrowsedLibrary
from shared_library import ANNA, BEN, USERS, fill_shared
from sqlalchemy import func, select, update

from immich_facesets.errors import TransientError
from service.passes.context import PassContext
from service.progress import ProgressBoard
from service.reports.library.whole_pictures import WholePictures
from service.settings import Settings
from service.store.database import Store
from service.store.tables import assets, faces


class AwaySource:
    """A source that does not answer now, and counts who asks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = 0

    async def fetch(self, *_: object) -> Any:
        self.asked += 1
        raise TransientError(f"the library of {self.name} is away")


@pytest.fixture
def sources() -> dict[str, AwaySource]:
    return {user: AwaySource(user) for user in USERS}


@pytest.fixture
def pictures(store: Store, tmp_path: Path, sources: dict[str, Any]) -> WholePictures:
    fill_shared(store, BrowsedLibrary(sizes=(9, 8, 8), strangers=4))
    settings = Settings(data_dir=tmp_path)
    context = PassContext(store=store, settings=settings, board=ProgressBoard(), stop=asyncio.Event())
    return WholePictures(context, sources, pool=None)  # type: ignore[arg-type]  # no bytes ever reach the embedder


async def test_a_user_is_not_told_that_another_one_has_the_same_picture(
    store: Store, pictures: WholePictures, sources: dict[str, AwaySource]
) -> None:
    of_both = (
        select(assets.c.content)
        .join(faces, faces.c.sha256 == assets.c.content)
        .group_by(assets.c.content)
        .having(func.count(assets.c.source.distinct()) == len(USERS))
    )
    sha256 = store.read_now(lambda tx: str(tx.scalars(of_both).first()))
    with pytest.raises(TransientError, match=ANNA):
        await pictures.show(sha256, ANNA)
    assert (sources[ANNA].asked, sources[BEN].asked) == (1, 0)
    mine = (assets.c.source == ANNA, assets.c.content == sha256)
    store.write_now(lambda tx: tx.execute(update(assets).where(*mine).values(is_offline=True)))
    assert await pictures.show(sha256, ANNA) is None
    assert sources[BEN].asked == 0
    with pytest.raises(TransientError, match=BEN):
        await pictures.show(sha256)
