"""The switch to another space: what it waits for when a source cannot be read."""

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from builders import INFO, NOON, asset, content, face_answer, plans, unit_like

from immich_facesets.assets import Asset
from immich_facesets.wire import Info
from service.passes.context import PassContext
from service.passes.embed import recipe_of
from service.passes.group import Group
from service.progress import ProgressBoard
from service.settings import Settings
from service.store import assets, contents, sources, spaces
from service.store.database import Store

NEXT = msgspec.structs.replace(INFO, space="space-2")


class Library:
    """Five pictures of one person of anna's, and one of ben's."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.now = store, NOON
        settings = Settings(data_dir=folder, min_faces=3, thresholds="fixed")
        self.context = PassContext(
            store=store, settings=settings, board=ProgressBoard(), stop=asyncio.Event(), clock=lambda: self.now
        )
        for number, name in enumerate(("anna", "ben")):
            store.write_now(sources.remember_source, name, "immich", f"user-{number}")
        self.pictures = [asset(f"a{number}", source="anna", checksum=f"{number}" * 40) for number in range(5)]
        self.late = asset("b", source="ben", checksum="b" * 40)
        store.write_now(assets.remember_page, plans(*self.pictures), run_id=1)
        store.write_now(assets.remember_page, plans(self.late), run_id=1)

    def embed(self, info: Info, *pictures: Asset) -> None:
        recipe = recipe_of(info.space, self.context.settings)
        for item in pictures:
            answer = msgspec.structs.replace(face_answer(1), embedding=unit_like(1, sum(item.asset_id.encode())))
            found = content(item, answer, sha256=item.asset_id.encode().hex().rjust(64, "0"), recipe=recipe)
            self.store.write_now(contents.record_content, found, NOON)

    async def use(self, *pictures: Asset) -> None:
        """Group these pictures in the first space, then embed anna's in the next one."""
        self.embed(INFO, *pictures)
        await self.group(INFO)
        self.store.write_now(spaces.announce_space, NEXT.space, NOON)
        self.embed(NEXT, *self.pictures)

    async def group(self, info: Info, *, unreadable: tuple[str, ...] = ()) -> Group:
        group = Group(self.context, info, sources=["anna", "ben"], unreadable=unreadable)
        await group.run()
        return group


@pytest.fixture
def library(store: Store, tmp_path: Path) -> Library:
    return Library(store, tmp_path)


async def test_a_new_picture_of_a_source_that_cannot_be_read_holds_up_no_switch(library: Library) -> None:
    await library.use(*library.pictures)
    assert (await library.group(NEXT)).waits_for == spaces.Reembedding(NEXT.space, 5, 6)
    assert (await library.group(NEXT, unreadable=("ben",))).waits_for is None
    assert library.store.read_now(spaces.active_space) == NEXT.space


async def test_members_of_a_source_that_cannot_be_read_hold_up_the_switch_for_a_limited_time(library: Library) -> None:
    await library.use(*library.pictures, library.late)
    library.now = NOON + spaces.LONGEST_WAIT - timedelta(seconds=1)
    assert (await library.group(NEXT, unreadable=("ben",))).waits_for == spaces.Reembedding(NEXT.space, 5, 5, late=1)
    library.now = NOON + spaces.LONGEST_WAIT
    assert (await library.group(NEXT)).waits_for is not None, "a source that can be read is waited for"
    assert (await library.group(NEXT, unreadable=("ben",))).waits_for is None
