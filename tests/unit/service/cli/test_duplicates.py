"""``duplicates`` on the command line, on a library with an album of copies."""

import html
import re
import stat
from pathlib import Path

import pytest
from service_process import tree
from sqlalchemy import Connection, update
from synced_library import SyncedLibrary

from service.reports.duplicates.search import _report
from service.store.database import Store, open_engine
from service.store.picture_copies import Copy
from service.store.tables import contents

pytestmark = pytest.mark.timeout(600)


async def test_files_that_are_the_same_are_found_wherever_they_lie(synced_library: SyncedLibrary) -> None:
    found = await synced_library.told("duplicates")
    same = [group["pictures"] for group in found["groups"] if group["kind"] == "identical"]
    places = {frozenset((place["source"], place["path"]) for place in one["places"]) for (one,) in same}
    (of_album,) = [several for several in places if ("album", "copy.jpg") in several]
    assert {source for source, _ in of_album} == {"album", "anna", "ben"}
    assert ("album", "old/again.jpg") in of_album
    assert len(of_album) == 4
    assert len(places) == 2  # another of anna's pictures is in ben's library, too


async def test_pictures_that_show_the_same_are_found_largest_first(synced_library: SyncedLibrary) -> None:
    found = await synced_library.told("duplicates")
    near = [group["pictures"] for group in found["groups"] if group["kind"] == "near"]
    names = [[one["places"][0]["path"].rpartition("/")[2] for one in group] for group in near]
    (people,) = [group for group in names if "resaved.jpg" in group]
    assert people[-1] == "smaller.png"
    assert len(people) == 3
    (meadows,) = [set(group) for group in names if "meadow.jpg" in group]
    assert meadows == {"meadow.jpg", "darker.jpg"}
    assert all([one["is_largest"] for one in group] == [True] + [False] * (len(group) - 1) for group in near)
    assert (found["without_hash"], found["within_bits"]) == (0, 10)
    strict = await synced_library.told("duplicates", "--within", "0")
    assert strict["within_bits"] == 0


async def test_a_page_shows_every_group_and_is_for_its_owner_alone(
    synced_library: SyncedLibrary, tmp_path: Path
) -> None:
    before = tree(synced_library.data / "crops") | tree(synced_library.album)
    page = tmp_path / "copies.html"
    printed = (await synced_library.run("duplicates", "--page", page)).stdout
    text = page.read_text(encoding="utf-8")
    assert str(page) in printed
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    for name in ("resaved.jpg", "smaller.png", "meadow.jpg", "darker.jpg", "old/again.jpg"):
        assert html.escape(name) in text
    assert text.count("data:image/jpeg;base64,") >= 7
    assert tree(synced_library.data / "crops") | tree(synced_library.album) == before
    assert list(tree(tmp_path)) == [page.name]


async def test_a_page_that_cannot_be_written_says_so(synced_library: SyncedLibrary, tmp_path: Path) -> None:
    service = await synced_library.run("duplicates", "--page", tmp_path / "nowhere" / "page.html", code=3)
    assert "nowhere" in service.stderr


async def test_pictures_of_a_previous_version_are_counted_and_still_compared_byte_by_byte(
    synced_library: SyncedLibrary, tmp_path: Path
) -> None:
    library = synced_library.copy(tmp_path)

    def forget(tx: Connection) -> None:
        tx.execute(update(contents).values(phash=None))

    store = Store(open_engine(f"sqlite:///{library.data / 'facesets.db'}"))
    store.write_now(forget)
    store.close()
    found = await library.told("duplicates")
    assert found["looked_at"] == 0
    assert found["without_hash"] > 20
    assert {group["kind"] for group in found["groups"]} == {"identical"}
    assert "earlier version" in (await library.run("duplicates")).stdout


def test_groups_of_the_same_size_are_ordered_by_their_places() -> None:
    def copy(source: str, asset_id: str, name: str) -> Copy:
        return Copy(source, asset_id, f"/{asset_id}.jpg", None, None, name, name, 640, 480, "")

    everywhere = [copy("ben", "3", "b"), copy("ben", "4", "b"), copy("anna", "1", "a"), copy("anna", "2", "a")]
    for order in (everywhere, everywhere[::-1]):
        found = _report(order, [], [], looked_at=0, bits=10)
        assert [group.pictures[0].places[0].source for group in found.groups] == ["anna", "ben"]
