"""The store on every database: assets, faces, identities, failures and runs."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from builders import NOON, RECIPE, RULES, WORTH_FETCHING, asset, content, face_answer, hint, one_identity, plans
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from immich_facesets.assets import Asset, Person
from immich_facesets.errors import ItemError, SetupError, TransientError
from immich_facesets.faces import Box
from immich_facesets.grouping.plan import GroupingPlan, Link, Naming
from immich_facesets.listing import plan_page
from service.store import (
    assets,
    contents,
    database,
    embedding_work,
    exports,
    face_readings,
    face_tables,
    failures,
    identities,
    members,
    runs,
    sources,
    tables,
)
from service.store.database import DataLock, Store, migrate, open_engine
from service.store.database_errors import database_error
from service.store.tables import metadata


def remember(store: Store, *items: Asset, run_id: int = 1) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(assets.remember_page, plans(*items), run_id=run_id)


def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_what_is_wanted_and_not_done_is_to_be_embedded_once_for_equal_bytes(store: Store) -> None:
    twin = asset("a2", checksum=asset("a1").checksum)
    small = asset("a3", hints=(hint(box=Box(0, 0, 50, 50)),))
    remember(store, asset("a1"), twin, small)
    todo = store.read_now(embedding_work.to_embed, RECIPE, NOON)
    assert [item.asset_id for item in todo] == ["a1"]
    store.write_now(contents.record_content, content(todo[0], face_answer()), NOON)
    assert store.read_now(embedding_work.to_embed, RECIPE, NOON) == []
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON) == 0


def test_smaller_exported_faces_ask_again_only_for_contents_with_such_a_face(store: Store) -> None:
    remember(store, asset("a1"), asset("a2"))
    small = face_answer(2, box=Box(600, 0, 680, 90), crop=False)
    store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
    store.write_now(contents.record_content, content(asset("a2"), face_answer(), small), NOON)

    def asked(crop_short: float) -> list[str]:
        todo = store.read_now(embedding_work.to_embed, replace(RECIPE, crop_short=crop_short), NOON)
        return [item.asset_id for item in todo]

    assert asked(200.0) == []
    assert asked(81.0) == []
    assert asked(80.0) == ["a2"]


@pytest.mark.parametrize(
    ("crop_size", "crop_padding", "native", "reduced"),
    [
        (512, 0.5, False, False),
        (256, 0.5, False, False),
        (1024, 0.5, False, True),
        (513, 0.5, False, True),
        (512, 0.25, False, True),
        (384, 0.25, False, False),
        (512, 0.6, True, True),
        (64, 0.6, True, True),
        (4096, 0.25, False, True),
    ],
)
def test_another_crop_asks_again_only_for_contents_whose_stored_crops_lack_pixels_of_the_original(
    store: Store, crop_size: int, crop_padding: float, native: bool, reduced: bool
) -> None:
    """Crops have the size 512 and padding 0.5. One was cut at 400 pixels, the other at 1000 and reduced."""
    remember(store, asset("native"), asset("reduced"), asset("faceless"))
    for name, side in (("native", 400.0), ("reduced", 1000.0)):
        face = face_answer()
        assert face.crop is not None
        cut = msgspec.structs.replace(face, crop=msgspec.structs.replace(face.crop, area=(0.0, 0.0, side, side)))
        store.write_now(contents.record_content, content(asset(name), cut), NOON)
    store.write_now(contents.record_content, content(asset("faceless")), NOON)
    recipe = replace(RECIPE, crop_size=crop_size, crop_padding=crop_padding)
    asked = {item.asset_id for item in store.read_now(embedding_work.to_embed, recipe, NOON)}
    assert asked == {name for name, again in (("native", native), ("reduced", reduced)) if again}
    for name in ("native", "reduced", "faceless"):
        sha256 = content(asset(name)).sha256
        assert store.read_now(embedding_work.is_embedded, sha256, recipe) == (name not in asked)


def test_another_way_of_detection_asks_for_everything_again(store: Store) -> None:
    remember(store, asset("a1"))
    store.write_now(contents.record_content, content(asset("a1")), NOON)
    assert store.read_now(embedding_work.count_to_embed, replace(RECIPE, detection="guided"), NOON) == 1


def test_a_face_seen_again_keeps_its_row_and_its_identity(store: Store) -> None:
    remember(store, asset("a1"))
    store.write_now(contents.record_content, content(asset("a1"), face_answer(1)), NOON)
    (member,) = store.read_now(face_tables.face_table, "space-1", 512).face_ids
    store.write_now(identities.apply_grouping, one_identity(int(member)), NOON)
    moved = face_answer(2, box=Box(105, 100, 305, 300))
    store.write_now(
        contents.record_content, content(asset("a1"), moved, face_answer(3, box=Box(600, 0, 800, 200))), NOON
    )
    table = store.read_now(face_tables.face_table, "space-1", 512)
    assert member in table.face_ids
    assert len(table.face_ids) == 2
    assert store.read_now(identities.all_memberships) == {int(member): 1}


def test_an_asset_deleted_at_its_source_takes_its_faces_along_unless_another_shows_the_same_bytes(store: Store) -> None:
    twin = asset("a2", checksum=asset("a1").checksum)
    remember(store, asset("a1"), twin)
    store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
    store.write_now(assets.mark_gone, "anna", "a1")
    assert store.write_now(contents.drop_orphans) == 0
    store.write_now(assets.mark_gone, "anna", "a2")
    assert store.write_now(contents.drop_orphans) == 1
    assert len(store.read_now(face_tables.face_table, "space-1", 512).face_ids) == 0
    assert store.read_now(contents.crop_files) == set()


def test_a_picture_whose_boxes_vanish_for_a_while_keeps_its_faces(store: Store) -> None:
    remember(store, asset("a1"))
    store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
    store.write_now(face_readings.record_look, asset("a1"), (), now=NOON, rules=RULES)
    assert store.write_now(contents.drop_orphans) == 0
    assert len(store.read_now(face_tables.face_table, "space-1", 512).face_ids) == 1


def test_a_failed_item_rests_for_growing_pauses_and_is_forgotten_when_it_is_done(store: Store) -> None:
    remember(store, asset("a1"))
    fingerprint = asset("a1").fingerprint
    broken = ItemError("the picture is cut short", reason="corrupt")
    pauses = []
    for _ in range(3):
        store.write_now(failures.record_failure, "embed", "anna", fingerprint, error=broken, now=NOON)
        (failure,) = store.read_now(failures.list_failures)
        pauses.append(failure.retry_at - NOON)
    assert pauses == [timedelta(hours=1), timedelta(hours=4), timedelta(hours=16)]
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON) == 0
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON + timedelta(hours=17)) == 1
    assert store.read_now(failures.count_by_reason) == {"corrupt": 1}
    store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
    assert store.read_now(failures.list_failures) == []


def test_a_failure_has_the_name_that_its_picture_has_in_immich_and_that_of_a_copy_where_its_own_is_gone(
    store: Store,
) -> None:
    store.write_now(sources.remember_source, "ben", "immich", "user-2")
    twin = asset("b1", source="ben", checksum=asset("a1").checksum, file_name="IMG_7.jpg", path="/data/upload/b.jpg")
    remember(
        store, asset("a1", file_name="IMG_1.jpg", path="/data/upload/a.jpg"), asset("a2", file_name="IMG_2.jpg"), twin
    )
    broken = ItemError("the picture is cut short", reason="corrupt")
    for stage, item in (("embed", asset("a1").fingerprint), ("discover", "a2")):
        store.write_now(failures.record_failure, stage, "anna", item, error=broken, now=NOON)

    def named() -> list[tuple[str, str | None]]:
        return sorted((failure.name, failure.path) for failure in store.read_now(failures.list_failures))

    assert named() == [("IMG_1.jpg", "/data/upload/a.jpg"), ("IMG_2.jpg", "/photos/a2.jpg")]
    store.write_now(assets.mark_gone, "anna", "a1")
    assert named()[0] == ("IMG_1.jpg", "/data/upload/a.jpg"), "still the name under which it failed"
    edited = replace(asset("a1", file_name="IMG_1.jpg"), checksum="f" * 40)
    store.write_now(assets.remember_page, plans(edited), run_id=2)
    assert named() == [("IMG_2.jpg", "/photos/a2.jpg"), ("IMG_7.jpg", "/data/upload/b.jpg")]


def test_an_item_that_only_met_an_outage_is_tried_again_at_once(store: Store) -> None:
    remember(store, asset("a1"))
    error = TransientError("Immich answered 503")
    store.write_now(failures.record_failure, "embed", "anna", asset("a1").fingerprint, error=error, now=NOON)
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON) == 1


def test_what_an_outage_did_to_an_item_is_not_held_against_it(store: Store) -> None:
    remember(store, asset("a1"))
    outage, broken = TransientError("Immich answered 503"), ItemError("the picture is cut short", reason="corrupt")
    rests = [
        store.write_now(failures.record_failure, "embed", "anna", asset("a1").fingerprint, error=error, now=NOON)
        for error in (outage, outage, broken, broken)
    ]
    (failure,) = store.read_now(failures.list_failures)
    assert rests == [False, False, True, True]
    assert (failure.tries, failure.retry_at - NOON) == (2, timedelta(hours=4))


def test_a_picture_of_which_the_embedder_ended_rests_only_when_it_was_alone_often_enough(store: Store) -> None:
    remember(store, asset("a1"))
    fingerprint, place = asset("a1").fingerprint, ("embed", "anna", asset("a1").fingerprint)
    broken = ItemError("the embedder ends of it", reason=failures.CRASHES_EMBEDDER)
    crashes = [
        store.write_now(failures.record_crash, *place, message="it ended", now=NOON, alone=alone)
        for alone in (False, False, True, True)
    ]
    assert crashes == [0, 0, 1, 2], "failures beside other pictures do not count"
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON) == 1
    assert not store.write_now(failures.record_failure, *place, error=TransientError("it answered 503"), now=NOON)
    assert store.read_now(failures.items_at_crash, "embed") == {fingerprint}
    pauses = []
    for _ in range(2):
        store.write_now(failures.record_failure, *place, error=broken, now=NOON)
        (failure,) = store.read_now(failures.list_failures)
        pauses.append(failure.retry_at - NOON)
        assert store.write_now(failures.record_crash, *place, message="it ended", now=NOON, alone=True) >= 2
    assert pauses == [timedelta(hours=1), timedelta(hours=4)]
    assert store.read_now(embedding_work.count_to_embed, RECIPE, NOON) == 0
    assert store.read_now(failures.items_at_crash, "embed") == {fingerprint}
    store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
    assert store.read_now(failures.items_at_crash, "embed") == set()


def test_only_assets_missing_from_a_whole_listing_are_asked_about(store: Store) -> None:
    remember(store, asset("a1"), asset("a2"), run_id=1)
    store.write_now(assets.remember_page, plans(asset("a1")), run_id=2)
    assert store.read_now(assets.unseen, "anna", 2) == ["a2"]


def test_a_source_is_bound_to_its_account(store: Store) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    store.write_now(sources.finish_listing, "anna", watermark=NOON, full_at=NOON)
    with pytest.raises(SetupError, match="belongs to another Immich account"):
        store.write_now(sources.remember_source, "anna", "immich", "user-2")
    assert store.write_now(sources.remember_source, "anna", "immich", "user-1").watermark == NOON


def test_one_account_has_one_source(store: Store) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    with pytest.raises(SetupError, match="users 'anna' and 'ben' belong to one Immich account"):
        store.write_now(sources.remember_source, "ben", "immich", "user-1")
    assert store.read_now(sources.bound_accounts) == {"anna": "user-1"}


def test_a_source_of_an_unknown_account_is_bound_at_the_next_sync(store: Store) -> None:
    store.write_now(sources.remember_source, "anna", "immich", "")
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    assert store.read_now(sources.bound_accounts) == {"anna": "user-1"}


def test_a_changed_size_rule_is_applied_to_what_is_known(store: Store) -> None:
    remember(store, asset("a1"), asset("a2", hints=(hint(box=Box(0, 0, 70, 70)),)))
    store.write_now(face_readings.apply_size_rule, type(RULES)(min_face_short=60))
    assert {item.asset_id for item in store.read_now(embedding_work.to_embed, RECIPE, NOON)} == {"a1", "a2"}
    store.write_now(face_readings.apply_size_rule, type(RULES)(min_face_short=500))
    assert store.read_now(embedding_work.to_embed, RECIPE, NOON) == []


@pytest.mark.parametrize(("of", "wanted"), WORTH_FETCHING)
def test_the_store_judges_stored_faces_as_a_listing_does(store: Store, of: Asset, wanted: bool) -> None:
    remember(store, of)
    for rules in (type(RULES)(min_face_short=5000), type(RULES)(min_face_short=1), RULES):
        store.write_now(face_readings.apply_size_rule, rules)
    assert bool(store.read_now(embedding_work.to_embed, RECIPE, NOON)) is wanted


def test_a_named_person_asserts_the_face_at_the_place_of_its_box(store: Store) -> None:
    remember(store, asset("a1", hints=(hint("f1", person_id="p1"), hint("f2", box=Box(600, 0, 800, 200)))))
    store.write_now(sources.remember_people, "anna", [Person("p1", "Berta", "1980-02-01", is_hidden=False)])
    found = content(asset("a1"), face_answer(1), face_answer(2, box=Box(610, 0, 800, 200)))
    store.write_now(contents.record_content, found, NOON)
    (assertion,) = store.read_now(identities.assertions, "space-1")
    assert (assertion.source, assertion.person_id, len(assertion.face_ids)) == ("anna", "p1", 1)
    plan = one_identity(*assertion.face_ids)
    linked = GroupingPlan(plan.new, plan.joins, (), (Link("anna", "p1", 1),), plan.report)
    store.write_now(identities.apply_grouping, linked, NOON)
    assert store.read_now(identities.labels) == {1: "Berta"}
    assert store.read_now(identities.birth_dates) == {1: "1980-02-01"}
    (known,) = store.read_now(identities.all_known)
    assert known.people == frozenset({("anna", "p1")})
    (row,) = store.read_now(members.list_identities)
    assert (row.faces, row.pictures, row.label) == (1, 1, "Berta")
    (member,) = store.read_now(exports.members, "space-1")
    assert member.identity == 1
    assert [place.user for place in store.read_now(exports.places, "space-1")[member.face.sha256]] == ["anna"]


def test_a_sync_that_was_killed_is_shown_as_killed(store: Store) -> None:
    store.write_now(runs.begin_run, "full", ["anna"], NOON)
    second = store.write_now(runs.begin_run, "full", ["anna"], NOON)
    store.write_now(runs.end_run, second, outcome="done", message="", counts={"x": 1}, now=NOON)
    assert [run.outcome for run in store.read_now(runs.last_runs)] == ["done", "killed"]


def test_the_census_counts_every_source_and_every_stage(store: Store) -> None:
    remember(store, asset("a1"), asset("a2", hints=()))
    store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
    census = store.read_now(runs.census)
    assert (census.assets, census.wanted, census.contents, census.embedded, census.faces) == (2, 1, 1, 1, 1)
    (source,) = census.sources
    assert (source.name, source.assets, source.wanted, source.embedded) == ("anna", 2, 1, 1)


def test_planning_the_same_page_twice_changes_nothing(store: Store) -> None:
    remember(store, asset("a1"))
    known = store.read_now(assets.known_assets, "anna", ["a1"])
    (plan,) = plan_page([asset("a1")], known, NOON, RULES)
    assert (plan.is_new, plan.is_changed) == (False, False)


def test_a_database_of_a_newer_version_is_refused_untouched(database_url: str) -> None:
    engine = open_engine(database_url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupError, match="newer version"):
        migrate(engine)
    engine.dispose()


def test_the_tables_of_a_previous_version_keep_their_rows(store: Store) -> None:
    remember(store, asset("a1"))
    store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
    store.write_now(identities.apply_grouping, one_identity(1), NOON)
    with store.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    migrate(store.engine)
    assert store.read_now(identities.all_memberships) == {1: 1}
    assert np.isnan(store.read_now(face_tables.face_table, "space-1", 512).quality).tolist() == [True]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("max_pixels", "too_many_pixels"),
        ("max_bytes", "too_large"),
        ("max_file_bytes", "too_large"),
        ("max_memory", "too_much_memory"),
        ("decode_seconds", "too_slow"),
        ("embedding_timeout", "too_slow"),
    ],
)
def test_pictures_above_a_limit_are_tried_again_when_that_limit_is_raised_and_no_others(
    store: Store, limit: str, reason: str
) -> None:
    names = ("max_pixels", "max_bytes", "max_file_bytes", "max_memory", "decode_seconds", "embedding_timeout")
    limits = dict.fromkeys(names, 30.0)
    later = NOON + timedelta(minutes=1)

    def due() -> set[str]:
        return {failure.reason for failure in store.read_now(failures.list_failures) if failure.retry_at <= later}

    store.write_now(failures.retry_above_limits, limits, NOON)
    for item in ("too_many_pixels", "too_large", "too_much_memory", "too_slow", "corrupt"):
        error = ItemError("it cannot be read", reason=item)
        store.write_now(failures.record_failure, "embed", "anna", item, error=error, now=NOON)
    store.write_now(failures.retry_above_limits, limits | {limit: 29.0}, later)
    assert due() == set()
    store.write_now(failures.retry_above_limits, limits, later)
    assert due() == {reason}


def test_unread_pictures_are_counted_by_what_kept_them_from_being_read(store: Store) -> None:
    names = ["done", "slow", "crashed", "waiting", "earlier", "export", "late"]
    remember(store, *(asset(name) for name in names))
    store.write_now(contents.record_content, content(asset("done")), NOON)
    broken, outage = ItemError("it is damaged", reason="corrupt"), TransientError("it answered 503")

    def fail(name: str, error: ItemError | TransientError, now: datetime) -> None:
        store.write_now(failures.record_failure, "embed", "anna", asset(name).fingerprint, error=error, now=now)

    before = NOON - timedelta(minutes=5)
    fail("earlier", broken, before)
    for _ in range(4):  # the last of these makes it rest
        fail("late", outage, before)
    fail("slow", ItemError("it took too long", reason="too_slow"), NOON)
    fail("export", ItemError("it is ours", reason="own_export"), NOON)
    place = ("embed", "anna", asset("crashed").fingerprint)
    store.write_now(failures.record_crash, *place, message="it ended", now=NOON, alone=False)
    later = NOON + timedelta(minutes=1)

    def unread(since: datetime, *sources: str) -> dict[str, int]:
        return store.read_now(embedding_work.unread, RECIPE, later, since, sources)

    assert unread(NOON, "anna") == {"too_slow": 1, "unavailable": 1, "waiting": 2}
    assert unread(before, "anna") == {"corrupt": 1, "too_slow": 1, "unavailable": 1, "waiting": 2}
    assert unread(later, "anna") == {"unavailable": 1, "waiting": 2}
    assert unread(NOON, "ben") == {}


def test_pictures_that_rested_for_want_of_one_place_are_tried_again_after_an_upgrade(store: Store) -> None:
    remember(store, asset("a1"), asset("a2"))
    for item, reason in (("a1", "offline"), ("a2", "crashes_embedder")):
        error = ItemError("it failed", reason=reason)
        store.write_now(failures.record_failure, "embed", "anna", asset(item).fingerprint, error=error, now=NOON)
    with store.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0009")
    migrate(store.engine)
    assert store.read_now(failures.count_by_reason) == {"crashes_embedder": 1}


def test_a_face_was_taken_when_the_earliest_of_its_assets_says(store: Store) -> None:
    first, twin = (
        asset("a1"),
        replace(asset("a2", checksum=asset("a1").checksum), taken_at=datetime(2003, 5, 1, tzinfo=UTC)),
    )
    remember(store, first, twin)
    answer = face_answer()
    measured = replace(answer.quality, quality=0.5, yaw=12.0, brightness=30.0, contrast=10.0)
    known = msgspec.structs.replace(answer, quality=measured)
    store.write_now(contents.record_content, content(first, known), NOON)
    table = store.read_now(face_tables.face_table, "space-1", 512)
    assert table.taken.tolist() == [twin.taken_at.timestamp() / 86400]
    assert (table.quality.tolist(), table.yaw.tolist(), table.light.tolist()) == ([0.5], [12.0], [0.375])


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "facesets.db"
    path.write_bytes(b"this is no database at all" * 100)
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(SetupError, match="damaged or no database"):
        migrate(engine)
    engine.dispose()
    assert path.read_bytes().startswith(b"this is no database")


def test_another_kind_of_database_is_refused_by_name() -> None:
    with pytest.raises(SetupError, match="only SQLite and PostgreSQL"):
        open_engine("mysql://localhost/x")
    with pytest.raises(SetupError, match="not a database URL"):
        open_engine("nonsense")


def test_a_second_service_on_one_data_folder_is_turned_away(tmp_path: Path) -> None:
    with DataLock(tmp_path), pytest.raises(SetupError, match="another immich-facesets"), DataLock(tmp_path):
        pass
    with DataLock(tmp_path):
        pass


def test_a_read_sees_one_state_although_others_commit_meanwhile(store: Store) -> None:
    def count_twice(tx: Connection) -> tuple[int, int]:
        numbers = select(func.count()).select_from(tables.sync_runs)
        before = tx.scalar(numbers)
        store.write_now(runs.begin_run, "full", ["anna"], NOON)
        return before or 0, tx.scalar(numbers) or 0

    assert store.read_now(count_twice) == (0, 0)
    assert len(store.read_now(runs.last_runs)) == 1


def test_a_transaction_that_fails_leaves_no_trace(store: Store) -> None:
    def half(tx: Connection) -> None:
        sources.remember_source(tx, "anna", "immich", "user-1")
        raise ItemError("no", reason="no")

    with pytest.raises(ItemError):
        store.write_now(half)
    assert store.read_now(runs.census).sources == ()


class TestMovedByHand:
    """The owner moves faces between people in Immich."""

    MIA, ZOE = Person("mia", "Mia", None, is_hidden=False), Person("zoe", "Zoe", None, is_hidden=False)

    def look(self, store: Store, name: str, person: str | None, *, face_id: str = "f1") -> None:
        found = (hint(face_id, person_id=person),) if person else ()
        store.write_now(face_readings.record_look, asset(name), found, now=NOON, rules=RULES)

    def asserted(self, store: Store) -> dict[str, tuple[int, int, int]]:
        """How many faces each person has, was given by hand, and had taken away by hand."""
        return {
            one.person_id: (len(one.face_ids), len(one.given), len(one.taken))
            for one in store.read_now(identities.assertions, RECIPE.space)
        }

    @pytest.fixture
    def library(self, store: Store) -> Store:
        for name in ("a1", "a2", "a3"):
            remember(store, asset(name, hints=(hint("f1", person_id="mia"),)))
            store.write_now(contents.record_content, content(asset(name), face_answer()), NOON)
        store.write_now(sources.remember_people, "anna", [self.MIA, self.ZOE])
        assert self.asserted(store) == {"mia": (3, 0, 0)}
        return store

    def test_a_face_is_given_to_another_person_and_back(self, library: Store) -> None:
        self.look(library, "a1", "zoe")
        assert self.asserted(library) == {"mia": (2, 0, 1), "zoe": (1, 1, 0)}
        self.look(library, "a1", "mia")
        assert self.asserted(library) == {"mia": (3, 0, 0)}

    def test_a_deleted_face_is_remembered_as_taken(self, library: Store) -> None:
        self.look(library, "a1", None)
        assert self.asserted(library) == {"mia": (2, 0, 1)}
        self.look(library, "a1", None)
        assert self.asserted(library) == {"mia": (2, 0, 1)}, "another look at the same"
        self.look(library, "a1", "mia", face_id="f9")
        assert self.asserted(library) == {"mia": (3, 0, 0)}

    def test_a_merge_of_people_is_no_word_about_single_faces(self, library: Store) -> None:
        for name in ("a1", "a2"):
            self.look(library, name, "zoe")
        library.write_now(sources.remember_people, "anna", [self.ZOE])
        library.write_now(sources.mark_person_gone, "anna", "mia", NOON)
        assert self.asserted(library) == {"zoe": (2, 0, 0)}
        self.look(library, "a3", "zoe")
        assert self.asserted(library) == {"zoe": (3, 0, 0)}

    def test_a_picture_that_is_not_listed_withdraws_nothing(self, library: Store) -> None:
        library.write_now(assets.remember_page, plans(asset("a1", hints=None)), run_id=2)
        assert self.asserted(library) == {"mia": (3, 0, 0)}


class TestNamesOfOneIdentity:
    def library(self, store: Store) -> None:
        remember(store, asset("a1", hints=(hint("f1", person_id="p1"),)))
        store.write_now(contents.record_content, content(asset("a1"), face_answer()), NOON)
        for source, name in (("berta", "Anna"), ("aaron", "Grandma")):
            store.write_now(sources.remember_people, source, [Person("p1", name, None, is_hidden=False)])

    def test_all_are_kept_and_the_chosen_one_is_shown(self, store: Store) -> None:
        self.library(store)
        plan = one_identity(1)
        links = (Link("aaron", "p1", 1), Link("berta", "p1", 1))
        linked = GroupingPlan(plan.new, plan.joins, (), links, plan.report, (Naming(1, "berta", "p1"),))
        store.write_now(identities.apply_grouping, linked, NOON)
        assert store.read_now(identities.labels) == {1: "Anna"}
        assert [(one.source, one.name, one.is_shown) for one in store.read_now(identities.given_names)[1]] == [
            ("berta", "Anna", True),
            ("aaron", "Grandma", False),
        ]
        (known,) = store.read_now(identities.all_known)
        assert known.named_by == ("berta", "p1")
        store.write_now(sources.remember_people, "berta", [Person("p1", "", None, is_hidden=False)])
        (known,) = store.read_now(identities.all_known)
        assert known.named_by is None, "a person without a name names nothing"
        assert store.read_now(identities.labels) == {1: "Grandma"}

    def test_an_older_database_keeps_the_names_that_it_showed(self, store: Store) -> None:
        self.library(store)
        plan = one_identity(1)
        links = (Link("aaron", "p1", 1), Link("berta", "p1", 1))
        store.write_now(identities.apply_grouping, GroupingPlan(plan.new, plan.joins, (), links, plan.report), NOON)
        before = store.read_now(identities.labels)
        with store.engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.downgrade(config, "0009")
        migrate(store.engine)
        assert store.read_now(identities.labels) == before == {1: "Grandma"}
        (known,) = store.read_now(identities.all_known)
        assert known.named_by == ("aaron", "p1")


@pytest.mark.parametrize("statement", ["DROP TABLE memberships", "ALTER TABLE identities RENAME COLUMN label TO text"])
def test_a_table_that_is_missing_is_named_and_is_no_outage(store: Store, statement: str) -> None:
    store.write_now(lambda tx: tx.execute(text(statement)))
    with pytest.raises(SetupError, match=r"not complete, as it has no (table|column).*Restore it"):
        store.read_now(members.list_identities)


def test_a_statement_that_is_wrong_is_no_outage_of_a_database(store: Store) -> None:
    with pytest.raises(SQLAlchemyError):
        store.read_now(lambda tx: tx.execute(text("SELECT FROM WHERE")))


@pytest.mark.parametrize("code", ["SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "SQLITE_PROTOCOL"])
def test_locks_of_another_program_are_an_outage(code: str) -> None:
    """The third one is SQLite's word for a lock of a write-ahead log that it did not get in ten seconds."""
    locked = sqlite3.OperationalError("of SQLite")
    locked.sqlite_errorname = code
    found = database_error(OperationalError("SELECT 1", None, locked))
    assert isinstance(found, TransientError)
    assert "locked by another program" in str(found)
