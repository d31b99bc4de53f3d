"""The database as single users see it: which part of each table, and from which transaction on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from browsed_library import START, BrowsedLibrary
from shared_library import ANNA, BEN, ONLY_ANNAS, ONLY_BENS, USERS, face_in_pictures_of, fill_shared
from sqlalchemy import Column, Connection, MetaData, String, Table, delete, func, insert, select, text, update

from immich_facesets.errors import SetupError
from service.store.browsing.whole_pictures import has_crop, has_picture
from service.store.change_tracking import VERSION_FACTS
from service.store.database import Store, open_engine
from service.store.named_values import GUARDRAILS, read_value, write_value
from service.store.tables import (
    assets,
    births,
    contents,
    crops,
    decisions,
    embeddings,
    era_faces,
    eras,
    faces,
    facts,
    failures,
    fingerprints,
    hints,
    identities,
    memberships,
    metadata,
    people,
    sources,
    vectors,
)
from service.store.user_database import UserDatabase
from service.store.user_views import CUTS

LIBRARY = BrowsedLibrary(sizes=(9, 8, 6, 4), strangers=5)
LATER = datetime(2020, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def shared(store: Store) -> Store:
    fill_shared(store, LIBRARY)
    return store


def count(tx: Connection, table: Table) -> int:
    return tx.scalar(select(func.count()).select_from(table)) or 0


def rows_of(tx: Connection, statement: Any) -> list[Any]:
    return list(tx.execute(statement).all())


def column(tx: Connection, one: Any) -> set[Any]:
    return set(tx.scalars(select(one)))


def write(store: Store, *made: Any) -> None:
    def work(tx: Connection) -> None:
        for statement in made:
            tx.execute(statement)

    store.write_now(work)


def test_every_table_says_which_part_of_it_a_user_sees() -> None:
    assert CUTS.keys() == metadata.tables.keys()
    for name, cut in CUTS.items():
        assert cut.columns.keys() <= set(metadata.tables[name].columns.keys())


def test_nothing_is_seen_of_tables_that_no_answer_to_a_user_needs() -> None:
    needed = {
        "sources", "assets", "people", "births", "hints", "failures", "contents", "fingerprints", "embeddings", "faces",
        "vectors", "crops", "cuts", "enrichments", "memberships", "identities", "era_faces", "eras", "decisions", "facts",
    }  # fmt: skip
    assert {name for name, cut in CUTS.items() if cut.rows != "false"} == needed


def test_rows_of_another_source_are_not_seen(shared: Store, user_database: UserDatabase) -> None:
    place = {"x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 9.0, "image_width": 9, "image_height": 9}
    failed = {"stage": "embed", "reason": "corrupt", "message": "", "tries": 1}
    moments = dict.fromkeys(("first_at", "last_at", "retry_at"), START)
    for user in USERS:
        write(
            shared,
            insert(hints).values(source=user, asset_id="a", face_id="f", **place),
            insert(failures).values(source=user, item=f"{user}.jpg", **failed, **moments),
        )
    for table in (assets, people, births, hints, failures):
        assert shared.read_now(column, table.c.source) == set(USERS)
        assert user_database.reader(ANNA).read_now(column, table.c.source) == {ANNA}


@pytest.mark.usefixtures("shared")
def test_every_table_can_be_read_as_a_user(user_database: UserDatabase) -> None:
    reader = user_database.reader(ANNA)
    for table in metadata.sorted_tables:
        reader.read_now(rows_of, select(table))


@pytest.mark.usefixtures("shared")
def test_a_table_without_a_cut_is_an_error(user_database: UserDatabase) -> None:
    unknown = Table("alembic_version", MetaData(), Column("version_num", String))  # it is there, and has no view
    with pytest.raises(SetupError, match="has no table"):
        user_database.reader(ANNA).read_now(count, unknown)


@pytest.mark.parametrize("user", USERS)
def test_a_user_sees_the_faces_of_their_own_pictures(shared: Store, user_database: UserDatabase, user: str) -> None:
    def own(tx: Connection) -> set[int]:
        shown = select(faces.c.face_id).join(assets, assets.c.content == faces.c.sha256)
        return set(tx.scalars(shown.where(assets.c.source == user)))

    expected = shared.read_now(own)
    reader = user_database.reader(user)
    assert 0 < len(expected) < shared.read_now(count, faces)
    assert reader.read_now(column, faces.c.face_id) == expected
    assert reader.read_now(column, vectors.c.face_id) == expected
    assert reader.read_now(column, memberships.c.face_id) == expected & shared.read_now(column, memberships.c.face_id)
    assert reader.read_now(column, crops.c.face_id) == expected & shared.read_now(column, crops.c.face_id)
    assert reader.read_now(column, era_faces.c.face_id) == expected & shared.read_now(column, era_faces.c.face_id)
    assert reader.read_now(column, sources.c.name) == {user}
    assert reader.read_now(column, people.c.source) == {user}


@pytest.mark.parametrize("user", USERS)
def test_a_user_sees_the_contents_of_pictures_that_are_not_gone(
    shared: Store, user_database: UserDatabase, user: str
) -> None:
    everything = sorted(shared.read_now(column, contents.c.sha256))
    write(shared, insert(fingerprints).values([{"fingerprint": f"f{one}", "sha256": one} for one in everything]))
    own = shared.read_now(rows_of, select(assets.c.content).where(assets.c.source == user).distinct())
    gone, *expected = sorted(row.content for row in own)
    write(shared, update(assets).where(assets.c.source == user, assets.c.content == gone).values(is_gone=True))
    reader = user_database.reader(user)
    assert 0 < len(expected) < len(everything)
    for one in (assets.c.content, contents.c.sha256, embeddings.c.sha256, fingerprints.c.sha256):
        assert sorted(reader.read_now(column, one)) == expected


def test_a_person_of_another_user_is_not_there(shared: Store, user_database: UserDatabase) -> None:
    everybody = shared.read_now(column, identities.c.number)
    assert user_database.reader(ANNA).read_now(column, identities.c.number) == everybody - {ONLY_BENS}
    assert user_database.reader(BEN).read_now(column, identities.c.number) == everybody - {ONLY_ANNAS}


def test_somebody_who_is_no_user_sees_nothing(shared: Store, user_database: UserDatabase) -> None:
    write(shared, insert(people).values(source="", person_id="p", name="Imported", is_hidden=False))
    for name in ("", "nobody", "anna' OR '1'='1"):
        reader = user_database.reader(name)
        for table in (sources, assets, faces, identities, eras):
            assert reader.read_now(count, table) == 0
    assert user_database.reader("nobody").read_now(count, people) == 0


@pytest.mark.usefixtures("shared")
def test_users_who_read_in_turns_see_their_own(user_database: UserDatabase) -> None:
    expected = {user: user_database.reader(user).read_now(column, faces.c.face_id) for user in USERS}
    with ThreadPoolExecutor(4) as threads:
        asked = [USERS[turn % 2] for turn in range(40)]
        found = list(threads.map(lambda user: user_database.reader(user).read_now(column, faces.c.face_id), asked))
    assert found == [expected[user] for user in asked]


@pytest.mark.parametrize("user", USERS)
def test_a_picture_that_is_gone_takes_its_faces_away(shared: Store, user_database: UserDatabase, user: str) -> None:
    reader = user_database.reader(user)
    joined = select(faces.c.face_id, faces.c.sha256, crops.c.file).join(crops, crops.c.face_id == faces.c.face_id)
    face, sha256, file = reader.read_now(rows_of, joined)[0]
    name = file.rpartition("/")[2]
    assert reader.read_now(has_picture, sha256)
    assert reader.read_now(has_crop, sha256, name)
    write(shared, update(assets).where(assets.c.source == user, assets.c.content == sha256).values(is_gone=True))
    assert not reader.read_now(has_picture, sha256)
    assert not reader.read_now(has_crop, sha256, name)
    assert face not in reader.read_now(column, faces.c.face_id)


def test_what_changes_while_a_user_reads_is_seen_by_the_next_read(shared: Store, user_database: UserDatabase) -> None:
    reader = user_database.reader(ANNA)

    def read(tx: Connection) -> tuple[int, int]:
        before = count(tx, faces)
        write(shared, update(assets).where(assets.c.source == ANNA).values(is_gone=True))
        return before, count(tx, faces)

    before, meanwhile = reader.read_now(read)
    assert before == meanwhile > 0
    assert reader.read_now(count, faces) == 0


def test_a_read_that_fails_leaves_the_next_one_whole(shared: Store, user_database: UserDatabase) -> None:
    reader = user_database.reader(ANNA)
    expected = reader.read_now(count, faces)
    write(shared, update(assets).where(assets.c.source == BEN).values(is_gone=True))  # so that faces are listed anew

    def fail(_: Connection) -> None:
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        reader.read_now(fail)
    assert reader.read_now(count, faces) == expected
    assert user_database.reader(BEN).read_now(count, faces) == 0


@pytest.mark.usefixtures("shared")
def test_nobody_is_left_on_a_connection(user_database: UserDatabase) -> None:
    user_database.reader(ANNA).read_now(count, faces)
    with user_database.engine.connect() as connection:
        temp = "temp" if user_database.engine.dialect.name == "sqlite" else "pg_temp"
        assert connection.scalar(text(f"SELECT count(*) FROM {temp}.faces")) == 0  # noqa: S608 - of two constants


def test_others_names_dates_and_words_are_no_part_of_what_is_seen(shared: Store, user_database: UserDatabase) -> None:
    both = 4
    face = shared.read_now(face_in_pictures_of, both, ANNA)
    write(
        shared,
        delete(people).where(people.c.identity == both),
        insert(people).values(source=BEN, person_id="bb", name="ben's", is_hidden=False, identity=both),
        update(identities)
        .where(identities.c.number == both)
        .values(origin="asserted", named_by_source=BEN, named_by_person="bb", created_at=START),
        update(memberships).where(memberships.c.face_id == face.face_id).values(how="asserted"),
        update(assets).where(assets.c.source == ANNA).values(created_at=LATER),
    )
    reader = user_database.reader(ANNA)

    def seen(tx: Connection) -> tuple[Any, str]:
        row = tx.execute(select(identities).where(identities.c.number == both)).one()
        return row, tx.scalars(select(memberships.c.how).where(memberships.c.face_id == face.face_id)).one()

    row, how = reader.read_now(seen)
    assert (row.origin, row.named_by_source, row.named_by_person, row.created_at) == ("discovered", None, None, LATER)
    assert how == "matched"
    asset = shared.read_now(
        lambda tx: tx.scalar(select(assets.c.asset_id).where(assets.c.source == ANNA, assets.c.content == face.sha256))
    )
    box = {"x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 9.0, "image_width": 9, "image_height": 9}
    write(
        shared,
        insert(people).values(source=ANNA, person_id="aa", name="anna's", is_hidden=False, identity=both),
        insert(hints).values(source=ANNA, asset_id=asset, face_id="f", person_id="aa", **box),
        update(assets).values(created_at=START),
    )
    row, how = reader.read_now(seen)
    assert (row.origin, how, row.created_at) == ("asserted", "asserted", START)


def test_an_era_without_an_own_face_is_not_there_and_others_have_own_years(
    shared: Store, user_database: UserDatabase
) -> None:
    write(
        shared,
        delete(era_faces),
        delete(eras),
        *(
            insert(eras).values(
                identity=4, name=name, kind="years", from_year=1950, main_year=1960, to_year=1970, made_at=START
            )
            for name in ("mine", "theirs")
        ),
    )
    mine = shared.read_now(face_in_pictures_of, 4, ANNA)
    theirs = shared.read_now(face_in_pictures_of, 4, BEN)
    write(
        shared,
        *(
            insert(era_faces).values(face_id=face.face_id, identity=4, name=name, is_founder=True)
            for face, name in ((mine, "mine"), (theirs, "theirs"))
        ),
        update(assets)
        .where(assets.c.content == mine.sha256)
        .values(local_date="2011-05-01T12:00:00", date_kind="camera"),
    )
    rows = user_database.reader(ANNA).read_now(rows_of, select(eras))
    assert [(row.name, row.from_year, row.main_year, row.to_year) for row in rows] == [("mine", 2011, 2011, 2011)]


def test_decisions_have_their_effect_and_tell_nothing_of_who_made_them(
    shared: Store, user_database: UserDatabase
) -> None:
    body = {"kind": "lock", "identity": 1}
    write(
        shared,
        insert(decisions).values(
            kind="lock",
            body=body,
            made_by="admin",
            made_at=START,
            uid="u",
            batch="u",
            reason="secret",
            members={"1": []},
        ),
    )
    (row,) = user_database.reader(ANNA).read_now(rows_of, select(decisions))
    assert row.body == body
    assert (row.made_by, row.reason, row.uid, row.batch, row.members) == ("", "", None, None, None)


def test_findings_of_a_grouping_are_not_seen(shared: Store, user_database: UserDatabase) -> None:
    shared.write_now(write_value, GUARDRAILS, ["ben is mixed"])
    reader = user_database.reader(ANNA)
    assert reader.read_now(read_value, GUARDRAILS) is None
    names = reader.read_now(column, facts.c.name)
    assert {"space", "thresholds", "version of assets"} <= names <= {"space", "thresholds", *VERSION_FACTS}


def test_a_user_writes_nothing(shared: Store, user_database: UserDatabase) -> None:
    for statement in (delete(memberships), update(identities).values(label="x"), delete(sources)):
        with pytest.raises(Exception, match=r"cannot modify|read-only"):
            user_database.reader(ANNA).read_now(Connection.execute, statement)
    assert shared.read_now(count, memberships) > 0


def test_a_database_user_without_the_right_to_make_views_is_told_what_to_grant(shared: Store) -> None:
    if shared.kind == "sqlite":
        pytest.skip("SQLite has no rights")
    name = shared.engine.url.database
    write(
        shared,
        text("DROP ROLE IF EXISTS limited"),
        text("CREATE ROLE limited LOGIN"),
        text(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"),
    )
    address = shared.engine.url.set(username="limited").render_as_string(hide_password=False)
    opened = UserDatabase(open_engine(address))
    try:
        with pytest.raises(SetupError, match="GRANT TEMPORARY ON DATABASE"):
            opened.reader(ANNA).read_now(count, faces)
    finally:
        opened.close()
        write(shared, text("DROP ROLE limited"))
