"""Finished crops in the store, in databases of this version and of the one before."""

from typing import Any

from builders import NOON, RECIPE, asset, content, face_answer, plans
from databases import at_version
from sqlalchemy import Connection, select, text

from immich_facesets.faces import Box
from service.store import assets, contents, embedding_work, exports, sources
from service.store.database import Store, migrate
from service.store.tables import crops

KEY = "k" * 64


def with_one_crop(store: Store) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(asset()), run_id=1)
    store.write_now(contents.record_content, content(asset(), face_answer()), NOON)


def row(store: Store) -> Any:
    def read(tx: Connection) -> Any:
        return tx.execute(select(crops)).one()

    return store.read_now(read)


def test_facts_are_read_by_the_key_they_were_stored_with_and_replace_a_verdict(store: Store) -> None:
    with_one_crop(store)
    assert store.read_now(exports.crop_facts, [1, 2], KEY) == {}
    store.write_now(exports.record_crop_facts, 1, key=KEY, seen=b"\x00facts")
    assert store.read_now(exports.crop_facts, [1, 2], KEY) == {1: b"\x00facts"}
    assert store.read_now(exports.crop_facts, [1, 2], "other") == {}
    assert (row(store).verdict, row(store).painted) == (None, None)


def test_another_crop_of_a_face_has_no_facts(store: Store) -> None:
    with_one_crop(store)
    store.write_now(exports.record_crop_facts, 1, key=KEY, seen=b"facts")
    store.write_now(contents.record_content, content(asset(), face_answer()), NOON)
    assert store.read_now(exports.crop_facts, [1], KEY) == {}


def test_a_database_that_held_the_crops_geometry_as_text_needs_no_picture_again(store: Store) -> None:
    with_one_crop(store)
    at_version(store, "0009")
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT recipe FROM embeddings")).scalars().all() == [
            "full;crop=512;padding=0.5"
        ]
    migrate(store.engine)
    (member,) = store.read_now(exports.strays, RECIPE.space)
    assert member.crop is not None
    assert member.crop.pad_ratio == 0.5
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON) == 0


def test_a_database_whose_crops_have_an_unknown_geometry_makes_them_again(store: Store) -> None:
    with_one_crop(store)
    at_version(store, "0009")
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE embeddings SET recipe = 'something else'"))
    migrate(store.engine)
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON) == 1


def test_a_database_of_the_version_before_facts_keeps_its_verdicts(store: Store) -> None:
    with_one_crop(store)
    at_version(store, "0008")
    statement = "UPDATE crops SET check_key = :key, verdict = 'ok', painted = '[[1.0, 2.0, 3.0, 4.0]]'"
    with store.engine.begin() as connection:
        connection.execute(text(statement), {"key": KEY})
    migrate(store.engine)
    (member,) = store.read_now(exports.strays, RECIPE.space)
    assert member.crop is not None
    assert (member.crop.check_key, member.crop.verdict, member.crop.painted) == (KEY, "ok", (Box(1, 2, 3, 4),))
    assert store.read_now(exports.crop_facts, [1], KEY) == {}
