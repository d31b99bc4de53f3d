"""Eras in the store: members from one sync to the next."""

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest
from builders import NOON, RECIPE, asset, content, face_answer, nothing_to_report, one_identity, plans
from sqlalchemy import delete, select

from immich_facesets.eras import KeptEra
from immich_facesets.grouping.plan import GroupingPlan, Join, NewIdentity
from immich_facesets.spaces import BUFFALO_L
from service.passes.context import PassContext
from service.passes.publishing.eras import EraPlan, Eras
from service.progress import ProgressBoard
from service.settings import Settings
from service.store import assets, contents, identities, sources, spaces
from service.store.database import Store
from service.store.eras import EraVersion, StoredEras, record_eras, stored_eras
from service.store.tables import eras, faces

LOOK = EraVersion("years", "d1")
YOUNG = KeptEra("2001", 2000, 2001, 2003, frozenset({1, 2}), {3: None})
OLD = KeptEra("2015", 2015, 2015, 2015, frozenset({4}), {5: 0.93})


@pytest.fixture
def filled(store: Store) -> Store:
    """Five faces of identity 1, and an identity 2 without any."""
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    pictures = [asset(f"a{number}") for number in range(1, 6)]
    store.write_now(assets.remember_page, plans(*pictures), run_id=1)
    for number, picture in enumerate(pictures, start=1):
        store.write_now(contents.record_content, content(picture, face_answer(number)), NOON)
    plan = one_identity(1, 2, 3, 4, 5)
    new = (*plan.new, NewIdentity(2, "discovered", frozenset()))
    store.write_now(spaces.use_space, RECIPE.space, dataclasses.replace(plan, new=new), NOON)
    return store


def record(
    store: Store,
    wanted: Sequence[KeptEra],
    *,
    leaves: frozenset[int] = frozenset(),
    before: EraVersion | None = None,
    version: EraVersion = LOOK,
) -> bool:
    return store.write_now(record_eras, 1, wanted, leaves=leaves, before=before, version=version, now=NOON)


def life(store: Store) -> StoredEras:
    return store.read_now(stored_eras)[1]


def move(store: Store, number: int, *face_ids: int) -> None:
    """Assign these faces to an identity by a grouping."""
    joins = tuple(Join(face, number, 0.1, "decided") for face in face_ids)
    plan = GroupingPlan(new=(), joins=joins, leaves=(), links=(), report=nothing_to_report())
    store.write_now(identities.apply_grouping, plan, NOON)


def test_what_is_written_is_read(filled: Store) -> None:
    assert filled.read_now(stored_eras) == {}
    assert record(filled, [YOUNG, OLD])
    assert life(filled) == StoredEras((YOUNG, OLD), LOOK)
    assert record(filled, [], before=LOOK, version=EraVersion("years", "d2"))
    assert life(filled) == StoredEras((), EraVersion("years", "d2"))


def test_a_face_that_leaves_the_identity_leaves_its_era_and_finds_it_again(filled: Store) -> None:
    record(filled, [YOUNG, OLD])
    move(filled, 2, 1, 3, 5)
    assert [era.face_ids for era in life(filled).eras] == [{2}, {4}]
    mine = KeptEra("2001", 2001, 2001, 2001, frozenset({1}))
    filled.write_now(record_eras, 2, [mine], leaves=(), before=None, version=LOOK, now=NOON)
    move(filled, 1, 1, 3, 5)
    assert life(filled).eras == (YOUNG, OLD)


def test_a_face_that_is_deleted_leaves_its_era_and_the_era_stays(filled: Store) -> None:
    record(filled, [YOUNG, OLD])
    with filled.engine.begin() as connection:
        connection.execute(delete(faces).where(faces.c.face_id.in_([4, 5])))
    assert [(era.name, era.face_ids) for era in life(filled).eras] == [("2001", {1, 2, 3}), ("2015", frozenset())]


def test_a_split_on_purpose_moves_faces_and_forgets_names(filled: Store) -> None:
    record(filled, [YOUNG, OLD])
    other = KeptEra("2008", 2008, 2008, 2008, frozenset({1, 4}))
    smaller = dataclasses.replace(YOUNG, founders=frozenset({2}), joined={})
    assert record(filled, [smaller, other], leaves=frozenset({3, 5}), before=LOOK, version=EraVersion("years", "d2"))
    assert life(filled).eras == (smaller, other)


def test_who_read_before_somebody_else_wrote_writes_nothing(filled: Store) -> None:
    assert record(filled, [YOUNG])
    assert not record(filled, [OLD], before=None)
    assert not record(filled, [OLD], before=EraVersion("ages", LOOK.digest))
    assert life(filled).eras == (YOUNG,)


def test_an_era_is_as_old_as_its_first_writing(filled: Store) -> None:
    record(filled, [YOUNG])
    later = NOON.replace(year=NOON.year + 1)
    grown = YOUNG.with_joined({4: None})
    filled.write_now(record_eras, 1, [grown], leaves=(), before=LOOK, version=EraVersion("years", "d2"), now=later)
    with filled.engine.connect() as connection:
        assert connection.scalar(select(eras.c.made_at)) == NOON
    assert life(filled).eras == (grown,)


def test_faces_that_are_away_follow_the_name_of_their_era(filled: Store) -> None:
    record(filled, [YOUNG, OLD])
    move(filled, 2, 1)
    named = dataclasses.replace(YOUNG, name="school", founders=frozenset({2}))
    filled.write_now(
        record_eras, 1, [named, OLD], leaves=(), before=LOOK, version=LOOK, now=NOON, moved={"2001": "school"}
    )
    move(filled, 1, 1)
    assert {era.name: set(era.founders) for era in life(filled).eras} == {"2015": {4}, "school": {1, 2}}


@pytest.mark.parametrize(
    ("born", "ages", "is_by_age"),
    [("2001-02-03", "0-5", True), ("2001-02-03", "", False), (None, "0-5", False), ("0000-13-01", "0-5", False)],
)
async def test_eras_are_by_age_where_it_is_set_and_a_birth_date_is_known(
    store: Store, born: str | None, ages: str, is_by_age: bool
) -> None:
    conditions = PassContext(store, Settings(era_ages=ages), ProgressBoard(), asyncio.Event())
    found = await Eras.read(conditions, BUFFALO_L, {} if born is None else {7: born})
    assert (found.childhood(7) is not None) == is_by_age
    assert found.rules.gate.face_short == 100


async def test_somebody_who_wrote_meanwhile_is_not_overwritten_by_a_sync(filled: Store) -> None:
    conditions = PassContext(filled, Settings(), ProgressBoard(), asyncio.Event())
    found = await Eras.read(conditions, BUFFALO_L, {})
    plan = EraPlan(StoredEras(), StoredEras((YOUNG,), LOOK), frozenset())
    record(filled, [OLD], version=EraVersion("years", "by a person"))
    assert not await found.record(1, plan)
    assert life(filled).eras == (OLD,)
