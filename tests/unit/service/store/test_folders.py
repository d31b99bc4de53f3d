"""Folder sources in the store: files, unreadable files, names and removal."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from builders import NOON, asset, content, face_answer, plans
from databases import at_version
from sqlalchemy import Connection, select

from immich_facesets.assets import Asset, Person
from immich_facesets.dates import DateKind
from immich_facesets.errors import ItemError
from immich_facesets.faces import Box
from immich_facesets.listing import ListingRules, plan_page
from service.store import assets, contents, exports, face_readings, face_tables, failures, identities, sources
from service.store.database import Store, migrate
from service.store.folders import (
    Folder,
    FolderMemory,
    add_folder,
    folders,
    forget_removed,
    has_work,
    remove_source,
    stored_sources,
)
from service.store.tables import assets as assets_table

EVERY = ListingRules(every_picture=True)
DENIED = ItemError("access is denied", reason="denied")


def file(name: str, **changes: Any) -> Asset:
    fields = {
        "source": "album",
        "path": name,
        "hints": None,
        "width": None,
        "height": None,
        "stamp": f"stamp of {name}"[:80],
    }
    return asset(name, **(fields | changes))


def remember(store: Store, *files: Asset, run_id: int = 1, mode: Any = "mixed") -> None:
    store.write_now(add_folder, Folder("album", Path("/photos"), mode))
    store.write_now(sources.remember_source, "album", "folder", "")
    store.write_now(assets.remember_page, plan_page(files, {}, NOON, EVERY), run_id=run_id)


def embed(store: Store, of: Asset, *seeds: int) -> None:
    boxes = [Box(100 + 300 * place, 100, 300 + 300 * place, 300) for place in range(len(seeds))]
    found = [face_answer(seed, box=box) for seed, box in zip(seeds, boxes, strict=True)]
    store.write_now(contents.record_content, content(of, *found), NOON)


def rows(store: Store) -> list[Any]:
    def ask(tx: Connection) -> list[Any]:
        return list(tx.execute(select(assets_table)))

    return store.read_now(ask)


def wanted(store: Store) -> dict[str, bool]:
    def ask(tx: Connection) -> dict[str, bool]:
        return {row.asset_id: row.is_wanted for row in tx.execute(select(assets_table))}

    return store.read_now(ask)


async def test_a_folder_is_remembered_by_what_its_files_looked_like(store: Store) -> None:
    memory = FolderMemory(store, "album")
    assert not await memory.has_any()
    remember(store, file("a.jpg"), file("b.jpg"))
    assert await memory.has_any()
    assert await memory.stamps(["a.jpg", "new.jpg"]) == {"a.jpg": "stamp of a.jpg"}
    store.write_now(assets.mark_gone, "album", "a.jpg")
    assert await memory.stamps(["a.jpg", "b.jpg"]) == {"b.jpg": "stamp of b.jpg"}
    assert await FolderMemory(store, "another").stamps(["b.jpg"]) == {}


def test_what_is_seen_again_is_not_missing_from_the_listing(store: Store) -> None:
    names = [f"{number}.jpg" for number in range(1203)]
    remember(store, *(file(name) for name in names))
    store.write_now(assets.see_again, "album", names[:-1], run_id=2)
    assert store.read_now(assets.unseen, "album", 2) == ["1202.jpg"]


def test_every_picture_of_a_folder_is_wanted_whatever_size_faces_must_have(store: Store) -> None:
    remember(store, file("a.jpg"))
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plan_page([asset("i1")], {}, NOON, ListingRules()), run_id=1)
    assert wanted(store) == {"a.jpg": True, "i1": True}
    store.write_now(face_readings.apply_size_rule, ListingRules(min_face_short=5000))
    assert wanted(store) == {"a.jpg": True, "i1": False}
    assert store.read_now(face_readings.count_due, "album", NOON + timedelta(days=99)) == (0, 1)


def test_ids_may_be_as_long_as_paths(store: Store) -> None:
    name = "d" * 990 + ".jpg"
    remember(store, file(name))
    store.write_now(failures.record_unlisted, "album", [(name, DENIED)], NOON)
    assert store.read_now(failures.list_failures)[0].name == name


def test_a_failure_in_a_folder_has_the_path_below_it_for_a_name(store: Store) -> None:
    picture = file("Summer/a.jpg", file_name="a.jpg")
    remember(store, picture)
    broken = ItemError("the picture is cut short", reason="corrupt")
    store.write_now(failures.record_failure, "embed", "album", picture.fingerprint, error=broken, now=NOON)
    store.write_now(failures.record_unlisted, "album", [("closed", DENIED)], NOON)
    assert {failure.name for failure in store.read_now(failures.list_failures)} == {"Summer/a.jpg", "closed"}


def test_what_a_listing_could_not_read_is_told_until_one_could(store: Store) -> None:
    remember(store, file("a.jpg"))
    store.write_now(failures.record_unlisted, "album", [("closed", DENIED)], NOON)
    store.write_now(contents.drop_orphans)
    assert store.read_now(failures.count_by_reason) == {"denied": 1}, "although it was never a known picture"
    later = NOON + timedelta(hours=1)
    store.write_now(failures.record_unlisted, "album", [("closed", DENIED)], later)
    store.write_now(sources.finish_listing, "album", watermark=None, full_at=later)
    (one,) = store.read_now(failures.list_failures)
    assert (one.tries, one.stage) == (2, "listing")
    store.write_now(sources.finish_listing, "album", watermark=None, full_at=later + timedelta(hours=1))
    assert store.read_now(failures.count_by_reason) == {}


def test_the_date_of_a_file_is_not_taken_for_the_day_of_the_picture(store: Store) -> None:
    undated, dated = file("a.jpg", date_kind=DateKind.FILE), file("b.jpg", date_kind=DateKind.CAMERA)
    future = file("c.jpg", date_kind=DateKind.IMPOSSIBLE)
    remember(store, undated, dated, future)
    for number, one in enumerate((undated, dated, future), start=1):
        embed(store, one, number)
    taken = store.read_now(face_tables.face_table, "space-1", 512).taken
    assert np.isnan(taken).tolist() == [True, False, True]
    places = store.read_now(exports.places, "space-1")
    assert sorted(place.taken for found in places.values() for place in found) == ["", "", "2025-05-01T12:00:00"]


def test_a_database_without_the_worth_of_dates_has_them_read_again(store: Store) -> None:
    remember(store, file("a.jpg", local_date="2025-05-01"), file("b.jpg", local_date=""))
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(asset(checksum="c" * 40)), run_id=1)
    store.write_now(sources.finish_listing, "anna", watermark=NOON, full_at=NOON)
    at_version(store, "0009")
    migrate(store.engine)
    kinds = {row.asset_id: row.date_kind for row in rows(store)}
    assert kinds == {"a.jpg": "camera", "b.jpg": "file", "a1": "metadata"}, "until the next sync"
    assert store.read_now(assets.stamps, "album", ["a.jpg", "b.jpg"]) == {}, "so that the next listing reads both"
    marks = store.write_now(sources.remember_source, "anna", "immich", "user-1")
    assert (marks.watermark, marks.full_listing_at) == (NOON, None), "so that the next listing is a whole one"


def test_links_of_a_folder_of_an_earlier_version_are_not_followed(store: Store) -> None:
    store.write_now(add_folder, Folder("album", Path("/photos"), "trusted", follow_links=True))
    assert [folder.follow_links for folder in store.read_now(folders)] == [True]
    at_version(store, "0018")
    migrate(store.engine)
    assert store.read_now(folders) == [Folder("album", Path("/photos"), "trusted", follow_links=False)]


def test_only_a_trusted_folder_says_whose_faces_those_below_a_persons_own_folder_are(store: Store) -> None:
    files = [file("Mira/a.jpg"), file("Mira/deep/b.jpg"), file("Theo/c.jpg"), file("d.jpg"), file("Nobody/e.jpg")]
    remember(store, *files)
    for number, one in enumerate(files):
        embed(store, one, 10 * number, 10 * number + 1)
    people = [Person(name, name, None, is_hidden=False) for name in ("Mira", "Theo")]
    store.write_now(sources.remember_people, "album", people)
    assert store.read_now(identities.assertions, "space-1") == []
    store.write_now(add_folder, Folder("album", Path("/photos"), "trusted"))
    said = store.read_now(identities.assertions, "space-1")
    assert [(one.person_id, one.label, len(one.face_ids)) for one in said] == [("Mira", "Mira", 4), ("Theo", "Theo", 2)]


def test_adding_a_folder_again_moves_it_and_removing_it_forgets_everything(store: Store) -> None:
    assert not store.read_now(has_work)
    shared = asset("i1")
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plan_page([shared], {}, NOON, ListingRules()), run_id=1)
    copy, own = file("a.jpg", checksum=shared.checksum), file("b.jpg")
    remember(store, copy, own)
    for one in (shared, own):
        embed(store, one, 1)
    store.write_now(add_folder, Folder("album", Path("/elsewhere"), "trusted"))
    assert store.read_now(folders) == [Folder("album", Path("/elsewhere"), "trusted")]
    store.write_now(sources.remember_people, "album", [Person("Mira", "Mira", None, is_hidden=False)])
    store.write_now(failures.record_unlisted, "album", [("closed", DENIED)], NOON)
    store.write_now(remove_source, "album")
    assert store.read_now(folders) == []
    assert store.read_now(has_work)
    store.write_now(forget_removed, ["album"])
    assert [source.name for source in store.read_now(stored_sources)] == ["anna"]
    assert not store.read_now(has_work)
    assert store.read_now(failures.count_by_reason) == {}
    assert wanted(store) == {"i1": True}
    assert store.write_now(contents.drop_orphans) == 1, "pictures that are also in Immich stay"
