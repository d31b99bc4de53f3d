"""A library that two users share answers each of them as a library of their own would."""

import dataclasses
import io
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from browsed_library import START, BrowsedLibrary, crop_of
from every_answer import every_answer, everything
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from shared_library import (
    ANNA,
    BEN,
    LABELLED,
    ONLY_ANNAS,
    ONLY_BENS,
    SCHOOL,
    USERS,
    face_in_pictures_of,
    fill_shared,
    leave_only,
    merge_members,
    numbers_seen_by,
    other_of,
)
from sqlalchemy import Connection, delete, insert, update

from immich_facesets.errors import RequestError
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import (
    BirthDate,
    Cover,
    Decision,
    FaceRef,
    ForSets,
    Ignore,
    Merge,
    Part,
    Undo,
)
from service.files.crops import keep_crop
from service.passes.context import CROPS_FOLDER
from service.progress import ProgressBoard
from service.reports.library import library_reads
from service.reports.library.users import MOST_USERS, UserLibraries, user_reads
from service.settings import Settings
from service.store.database import Store, open_engine
from service.store.decisions import last_id, record_decision
from service.store.tables import assets, births, crops, decisions, era_faces, eras, memberships, people
from service.store.user_database import UserDatabase
from service.web.library.identities import FacesQuery, IdentitiesQuery, NearestQuery, PageQuery
from service.web.library.reads import LibraryReads

LIBRARY = BrowsedLibrary(sizes=(24, 20, 15, 9, 7, 6, 3, 3, 2), strangers=16)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BOTH = 4
"""A person of whom both users have pictures."""

SEEN = {
    "identities", "labels", "covers", "survivor", "identity", "faces", "eras", "nearest", "figures", "together", "face",
    "search", "crop", "thumbnail", "has_picture", "sources", "source_names",
}  # fmt: skip


@pytest.fixture
def shared(store: Store) -> Store:
    fill_shared(store, LIBRARY)
    return store


def reads_of(user_database: UserDatabase, user: str, **fields: Any) -> LibraryReads:
    return user_reads(user_database.reader(user), Settings(**fields), ProgressBoard())


def decide(store: Store, *made: Decision) -> None:
    for decision in made:
        store.write_now(record_decision, decision, made_by="admin", now=NOW)


def write(store: Store, *made: Any) -> None:
    def work(tx: Connection) -> None:
        for statement in made:
            tx.execute(statement)

    store.write_now(work)


@pytest.mark.parametrize("user", USERS)
async def test_a_user_is_told_what_a_library_of_their_own_would_tell(
    shared: Store, user_database: UserDatabase, user: str
) -> None:
    about = shared.read_now(everything)
    told = await every_answer(reads_of(user_database, user), about)
    shared.write_now(leave_only, user)
    alone = await every_answer(library_reads(shared, Settings(), ProgressBoard()), about)
    assert {
        question: (told[question], alone[question]) for question in alone if told[question] != alone[question]
    } == {}
    text = "\n".join(told.values())
    assert f"{user}'s friend" in text
    assert f"{user}_IMG" in text
    assert other_of(user) not in text


@pytest.fixture
def template(migrated_sqlite: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(migrated_sqlite, tmp_path / "template.db"))


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=6),
    strangers=st.integers(0, 8),
    seed=st.integers(0, 10_000),
    user=st.sampled_from(USERS),
)
async def test_no_shared_library_tells_a_user_more(
    template: Path, tmp_path: Path, sizes: list[int], strangers: int, seed: int, user: str
) -> None:
    address = f"sqlite:///{shutil.copyfile(template, tmp_path / 'facesets.db')}"
    store, database = Store(open_engine(address)), UserDatabase(open_engine(address))
    try:
        fill_shared(store, BrowsedLibrary(sizes=tuple(sizes), strangers=strangers), seed=seed)
        about = store.read_now(everything)
        told = await every_answer(reads_of(database, user), about)
        store.write_now(leave_only, user)
        assert told == await every_answer(library_reads(store, Settings(), ProgressBoard()), about)
    finally:
        database.close()
        store.close()


async def test_all_that_is_the_administrators_is_refused(shared: Store, user_database: UserDatabase) -> None:
    del shared
    reads = reads_of(user_database, ANNA)
    for field in dataclasses.fields(LibraryReads):
        if field.name not in SEEN:
            with pytest.raises(RequestError, match=r"is the administrator's$") as refused:
                await getattr(reads, field.name)(1, 2)
            assert refused.value.status == 403


async def test_a_picture_that_is_gone_is_gone_from_answers_that_were_kept(
    shared: Store, user_database: UserDatabase
) -> None:
    reads, face = reads_of(user_database, ANNA), shared.read_now(face_in_pictures_of, BOTH, ANNA)

    async def faces_of_both() -> list[int]:
        listed = (await reads.identities(IdentitiesQuery())).identities
        return [one.faces for one in listed if one.number == BOTH]

    (before,) = await faces_of_both()
    write(shared, delete(assets).where(assets.c.content == face.sha256))
    assert await faces_of_both() == [before - 1]


async def test_a_merge_of_others_is_not_told(shared: Store, user_database: UserDatabase) -> None:
    decide(shared, Merge(into=BOTH, parts=(Part(number=ONLY_BENS),)))
    write(shared, update(memberships).where(memberships.c.identity == ONLY_BENS).values(identity=BOTH))
    reads = reads_of(user_database, ANNA)
    assert await library_reads(shared, Settings(), ProgressBoard()).survivor(ONLY_BENS) == BOTH
    assert await reads.survivor(ONLY_BENS) is None
    assert await reads.identity(ONLY_BENS) is None
    assert (await reads.faces(ONLY_BENS, FacesQuery())).total == 0
    assert (await reads.eras(ONLY_BENS)).eras == ()
    assert (await reads.nearest(ONLY_BENS, NearestQuery())).identities == ()
    assert (await reads.together(ONLY_BENS, PageQuery())).identities == ()
    assert await reads.covers([ONLY_BENS]) == {}
    assert await reads.survivor(BOTH) == BOTH


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=5),
    seed=st.integers(0, 10_000),
    user=st.sampled_from(USERS),
)
@example(pairs=[(ONLY_BENS, LABELLED), (ONLY_ANNAS, ONLY_BENS)], seed=0, user=ANNA)
async def test_a_merged_number_leads_on_where_a_library_of_their_own_would_lead(
    template: Path, tmp_path: Path, pairs: list[tuple[int, int]], seed: int, user: str
) -> None:
    address = f"sqlite:///{shutil.copyfile(template, tmp_path / 'facesets.db')}"
    store, database = Store(open_engine(address)), UserDatabase(open_engine(address))
    try:
        fill_shared(store, BrowsedLibrary(sizes=(6, 6, 3, 2, 1, 1)), seed=seed)
        seen, own = store.read_now(numbers_seen_by, user), list[Merge]()
        there = set(store.read_now(everything).numbers)
        for into, number in pairs:
            if into != number and {into, number} <= there:
                there.discard(number)
                made = store.write_now(merge_members, into, number)
                decide(store, made)
                own += [made] if {into, number} <= seen else []
        told = [await reads_of(database, user).survivor(number) for number in range(1, 7)]
        store.write_now(leave_only, user)
        write(store, delete(decisions))
        decide(store, *own)
        alone = library_reads(store, Settings(), ProgressBoard()).survivor
        led = [await alone(number) for number in range(1, 7)]
        assert told == [None if one is None else await alone(one) for one in led], "and to a person who is there"
    finally:
        database.close()
        store.close()


async def test_a_merge_of_two_own_people_leads_a_user_on_until_it_is_undone(
    shared: Store, user_database: UserDatabase
) -> None:
    both = BOTH + 1
    decide(shared, shared.write_now(merge_members, BOTH, both))
    reads = reads_of(user_database, ANNA)
    assert await reads.survivor(both) == BOTH
    assert await reads.identity(both) is None, "the answer is at the other number"
    decide(shared, Undo(decision=shared.read_now(last_id)))
    assert await reads.survivor(both) != BOTH


async def test_a_moderators_words_are_shown_without_the_decisions(shared: Store, user_database: UserDatabase) -> None:
    face = shared.read_now(face_in_pictures_of, BOTH, ANNA)
    ref = FaceRef(face.sha256, Box(face.x1, face.y1, face.x2, face.y2))
    decide(shared, BirthDate(identity=LABELLED, birth_date="1980-02-03"), ForSets(identity=BOTH, faces=(ref,)))
    reads = reads_of(user_database, ANNA)
    labelled = await reads.identity(LABELLED)
    assert labelled is not None
    assert (labelled.identity.label, labelled.birth_date) == ("A moderator's word", "1980-02-03")
    assert labelled.why_not_exported == ""
    told = await reads.face(face.face_id)
    whole = await library_reads(shared, Settings(), ProgressBoard()).face(face.face_id)
    assert told is not None
    assert whole is not None
    assert (len(whole.decisions), told.decisions) == (1, ())
    assert (whole.for_sets, told.for_sets) == ("included", "")


async def test_a_stranger_is_left_out_for_everybody(shared: Store, user_database: UserDatabase) -> None:
    decide(shared, Ignore(identity=ONLY_ANNAS))
    found = await reads_of(user_database, ANNA).identities(IdentitiesQuery())
    assert found.total > 0
    assert ONLY_ANNAS not in {one.number for one in found.identities}


async def test_a_cover_in_anothers_picture_gives_way_to_an_own_one(shared: Store, user_database: UserDatabase) -> None:
    face = shared.read_now(face_in_pictures_of, BOTH, BEN)
    decide(shared, Cover(identity=BOTH, face=FaceRef(face.sha256, Box(face.x1, face.y1, face.x2, face.y2))))
    covers = {user: (await reads_of(user_database, user).covers([BOTH]))[BOTH].face for user in USERS}
    assert covers[BEN] == face.face_id
    own = await reads_of(user_database, ANNA).faces(BOTH, FacesQuery(limit=200))
    assert covers[ANNA] in {one.id for one in own.faces}


async def test_eras_are_named_by_the_years_of_seen_faces(shared: Store, user_database: UserDatabase) -> None:
    face = shared.read_now(face_in_pictures_of, BOTH, ANNA)
    shown = assets.c.content == face.sha256
    write(
        shared,
        delete(era_faces),
        delete(eras),
        update(assets).where(shown).values(local_date="2011-05-01T12:00:00", date_kind="camera"),
        insert(eras).values(identity=BOTH, name="1987_2", kind="years", main_year=1987, made_at=START),
        insert(era_faces).values(face_id=face.face_id, identity=BOTH, name="1987_2", is_founder=True),
    )
    reads = reads_of(user_database, ANNA)
    (era,) = (await reads.eras(BOTH)).eras
    assert (era.name, era.from_year, era.main_year, era.to_year, era.faces) == ("2011", 2011, 2011, 2011, 1)
    assert [one.face for one in era.examples] in ([], [face.face_id])
    write(shared, delete(era_faces), update(eras).values(name=SCHOOL))
    write(shared, insert(era_faces).values(face_id=face.face_id, identity=BOTH, name=SCHOOL, is_founder=True))
    assert [one.name for one in (await reads.eras(BOTH)).eras] == [SCHOOL]


async def test_eras_by_age_are_told_to_those_who_know_the_birth_date(
    shared: Store, user_database: UserDatabase
) -> None:
    face = shared.read_now(face_in_pictures_of, LABELLED, ANNA)
    name = "age_03_05"
    write(
        shared,
        delete(era_faces),
        delete(eras),
        update(assets).where(assets.c.content == face.sha256).values(local_date="2011-05-01", date_kind="camera"),
        insert(eras).values(identity=LABELLED, name=name, kind="ages", main_year=2011, made_at=START),
        insert(era_faces).values(face_id=face.face_id, identity=LABELLED, name=name, is_founder=True),
    )
    reads = reads_of(user_database, ANNA)
    assert [(era.name, era.kind) for era in (await reads.eras(LABELLED)).eras] == [("2011", "years")]
    write(shared, insert(people).values(source=ANNA, person_id="own", name="", is_hidden=False, identity=LABELLED))
    for born, known in (("1987-02-03", ("2011", "years")), ("2005-07-01", (name, "ages"))):
        own = {"source": ANNA, "account": "", "person_id": "own", "is_last": True}
        write(shared, delete(births).where(births.c.person_id == "own"), insert(births).values(birth_date=born, **own))
        assert [(era.name, era.kind) for era in (await reads.eras(LABELLED)).eras] == [known], born
    decide(shared, BirthDate(identity=LABELLED, birth_date="2007-02-03"))
    assert [(era.name, era.kind) for era in (await reads.eras(LABELLED)).eras] == [(name, "ages")]


@pytest.fixture
def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (300, 300), (90, 120, 200)).save(stream, "JPEG")
    return stream.getvalue()


async def test_a_crop_is_given_to_those_who_have_its_picture(
    shared: Store, user_database: UserDatabase, tmp_path: Path, jpeg: bytes
) -> None:
    face = shared.read_now(face_in_pictures_of, BOTH, BEN)
    file = keep_crop(tmp_path / CROPS_FOLDER, face.sha256, jpeg)
    write(
        shared,
        delete(crops).where(crops.c.face_id == face.face_id),
        insert(crops).values(face_id=face.face_id, file=file, x1=0, y1=0, x2=9, y2=9),
    )
    name = file.rpartition("/")[2]
    assert await library_reads(shared, Settings(data_dir=tmp_path), ProgressBoard()).crop(name) == jpeg
    ben, anna = (reads_of(user_database, user, data_dir=tmp_path) for user in (BEN, ANNA))
    assert await ben.crop(name) == jpeg
    assert await ben.thumbnail(name, 64) is not None
    for wrong in (name, crop_of(0, 1).rpartition("/")[2], "../facesets.db", ""):
        assert await anna.crop(wrong) is None
        assert await anna.thumbnail(wrong, 64) is None
    write(shared, delete(crops).where(crops.c.face_id == face.face_id))
    assert await ben.crop(name) is None, "a file that no face names any more"


async def test_the_reads_of_the_latest_users_are_kept(user_database: UserDatabase) -> None:
    libraries = UserLibraries(user_database, Settings(), ProgressBoard())
    first = libraries.of(ANNA)
    assert libraries.of(ANNA) is first
    for number in range(MOST_USERS - 1):
        libraries.of(f"user {number}")
    assert libraries.of(ANNA) is first
    libraries.of("one more")
    assert libraries.of(ANNA) is first
    for number in range(MOST_USERS):
        libraries.of(f"another {number}")
    assert libraries.of(ANNA) is not first
