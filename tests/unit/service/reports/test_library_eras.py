"""Eras of a real database through the calls of API and pages: looked at, planned and changed."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from browsed_library import SPACE, BrowsedLibrary, fill
from era_builders import Period, periods
from mixtures import table_of
from sqlalchemy import Connection, delete, select, update

from immich_facesets.calibration.thresholds import in_use, measure_thresholds
from immich_facesets.eras import MergeEras, RenameEra, SplitEras
from immich_facesets.errors import RequestError
from immich_facesets.faces import Gate
from immich_facesets.moderation.decisions import BirthDate
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import RedoDecision, UndoDecision
from immich_facesets.spaces import BUFFALO_L
from service.progress import ProgressBoard
from service.reports.library import library_reads
from service.reports.library.eras import EraReads
from service.reports.stored_eras import IdentityEras
from service.settings import Settings
from service.store import moderation
from service.store.database import Store
from service.store.decisions import record_decision
from service.store.eras import stored_eras
from service.store.named_values import write_thresholds
from service.store.tables import assets, era_looks, eras, faces, vectors
from service.web.library.eras import EraCalls, EraQuestion, PlannedEra

YEARS = (1995, 2003, 2015)
FACES = 150
BY = Author("anna", "page")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def filled(store: Store) -> Store:
    """One person in pictures of three years, with a look for each; a face in five has no crop."""
    fill(store, BrowsedLibrary(sizes=(FACES,), dimension=128, named_share=1))
    nothing = measure_thresholds(table_of(np.zeros((0, 8))), defaults=BUFFALO_L, gate=Gate())
    store.write_now(write_thresholds, in_use(SPACE, "w600k_r50", nothing, fixed=(), is_wanted=False))
    store.write_now(_into_years)
    return store


def _into_years(tx: Connection) -> None:
    contents = sorted({row.content for row in tx.execute(select(assets.c.content))})
    year_of = {content: YEARS[place * len(YEARS) // len(contents)] for place, content in enumerate(contents)}
    rows: dict[int, list[int]] = {}
    for row in tx.execute(select(faces.c.face_id, faces.c.sha256).order_by(faces.c.face_id)):
        rows.setdefault(year_of[row.sha256], []).append(row.face_id)
    table = periods(*(Period(year, len(rows[year])) for year in YEARS))
    for face_id, vector in zip([face for year in YEARS for face in rows[year]], table.vectors, strict=True):
        tx.execute(update(vectors).where(vectors.c.face_id == face_id).values(vector=vector.astype("<f4").tobytes()))
    for place, content in enumerate(contents):
        day = f"{year_of[content]}-{1 + place % 12:02d}-{1 + place % 28:02d}T12:00:00"
        tx.execute(update(assets).where(assets.c.content == content).values(local_date=day, date_kind="camera"))
    tx.execute(update(faces).values(blur=100.0, det_score=0.9))


@pytest.fixture
def calls(filled: Store) -> EraCalls:
    return EraReads(filled, Settings()).calls()


def sizes(eras: tuple[PlannedEra, ...]) -> dict[str, int]:
    return {era.name: era.faces for era in eras}


async def split(calls: EraCalls) -> Any:
    return await calls.make(1, EraQuestion(change=SplitEras()), BY)


async def test_a_plan_shows_what_would_be_and_changes_nothing(filled: Store, calls: EraCalls) -> None:
    plan = await calls.plan(1, SplitEras())
    assert plan.before == ()
    assert sizes(plan.after).keys() == {"1995", "2003", "2015"}
    assert not plan.is_done
    assert plan.moved == sum(era.faces for era in plan.after)
    assert all(era.from_eras == {"": era.faces} for era in plan.after)
    assert all(0 < len(era.examples) <= 6 for era in plan.after)
    assert filled.read_now(stored_eras) == {}


async def test_a_probe_has_every_pair_and_face_at_each_distance(calls: EraCalls) -> None:
    probe = await calls.probe(1)
    assert probe.is_sortable
    assert sum(probe.within) + sum(probe.between) == probe.faces * (probe.faces - 1) // 2
    assert all(sum(group.faces for group in cut.groups) == probe.faces for cut in probe.cuts)
    assert {group.main_year for group in probe.cuts[1].groups if group.faces >= 20} == set(YEARS)


async def test_an_accepted_split_is_there_with_examples_and_done_once(filled: Store, calls: EraCalls) -> None:
    made = await split(calls)
    library = library_reads(filled, Settings(), ProgressBoard())
    found = (await library.eras(1)).eras
    assert {era.name: era.faces for era in found} == sizes(made.after)
    assert all(len(era.examples) == 8 for era in found)
    assert (await calls.plan(1, SplitEras())).is_done


async def test_a_rename_and_a_merge_are_written_and_seen_by_the_next_plan(calls: EraCalls) -> None:
    await split(calls)
    renamed = await calls.make(1, EraQuestion(change=RenameEra(era="2003", name="School")), BY)
    assert (renamed.moved, renamed.is_done) == (0, False)
    assert sizes(renamed.after).keys() == {"1995", "School", "2015"}
    merged = await calls.make(1, EraQuestion(change=MergeEras(eras=("1995",), into="School")), BY)
    assert sizes(merged.before) == sizes(renamed.after)
    (school,) = [era for era in merged.after if era.name == "School"]
    assert school.from_eras == {"School": sizes(merged.before)["School"], "1995": sizes(merged.before)["1995"]}
    assert (school.from_year, school.to_year) == (1995, 2003)


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten(calls: EraCalls) -> None:
    seen = (await split(calls)).version
    await calls.make(1, EraQuestion(change=RenameEra(era="2003", name="School")), BY)
    with pytest.raises(RequestError, match="load them again") as error:
        await calls.make(1, EraQuestion(change=MergeEras(eras=("1995",), into="2015"), version=seen), BY)
    assert error.value.status == 412
    now = (await calls.plan(1, SplitEras())).version
    merged = await calls.make(1, EraQuestion(change=MergeEras(eras=("1995",), into="2015"), version=now), BY)
    assert sizes(merged.after).keys() == {"School", "2015"}


async def test_eras_by_age_have_names_by_hand_that_a_sync_and_another_birthday_keep(filled: Store) -> None:
    filled.write_now(record_decision, BirthDate(1, "1990-01-01"), made_by="anna", now=NOW)
    calls = EraReads(filled, Settings(era_ages="3-6,10-15,20-30")).calls()
    await split(calls)
    renamed = await calls.make(1, EraQuestion(change=RenameEra(era="age_03_06", name="Small")), BY)
    assert sizes(renamed.after).keys() == {"Small", "age_10_15", "age_20_30"}
    assert await sync(filled, era_ages="3-6,10-15,20-30") == sizes(renamed.after)
    other = await sync(filled, era_ages="3-6,10-30")
    assert other.keys() == {"Small", "age_10_30"}
    assert await sync(filled, era_ages="3-6,10-30") == other
    undo = UndoDecision(decision=renamed.decision or 0)
    with pytest.raises(RequestError, match="divided in another way"):
        filled.write_now(moderation.decide, [undo], BY, NOW)
    back = EraReads(filled, Settings(era_ages="3-6,10-30")).calls()
    named = await back.make(1, EraQuestion(change=RenameEra(era="Small", name="age_03_06")), BY)
    assert sizes(named.after).keys() == {"age_03_06", "age_10_30"}
    filled.write_now(moderation.decide, [UndoDecision(decision=named.decision or 0)], BY, NOW)
    assert await sync(filled, era_ages="3-6,10-15,20-30") == sizes(renamed.after)
    filled.write_now(moderation.decide, [undo], BY, NOW)
    assert await sync(filled, era_ages="3-6,10-15,20-30") == {
        name.replace("Small", "age_03_06"): faces for name, faces in sizes(renamed.after).items()
    }


async def test_years_are_not_renamed_after_the_eras_became_ages(filled: Store, calls: EraCalls) -> None:
    await split(calls)
    filled.write_now(record_decision, BirthDate(1, "1990-01-01"), made_by="anna", now=NOW)
    with pytest.raises(RequestError, match="split them anew first"):
        await EraReads(filled, Settings(era_ages="3-6,10-15")).plan(1, RenameEra(era="1995", name="Small"))


async def sync(store: Store, **settings: Any) -> dict[str, int]:
    """Let a publish update the eras of identity 1; return their sizes."""
    identities = await IdentityEras.read(store, Settings(**settings), 1)
    plan = await identities.eras.plan(1, await identities.table(1))
    assert plan.is_done or await identities.eras.record(1, plan)
    return {era.name: len(era.face_ids) for era in plan.after.eras}


async def test_a_sync_leaves_what_was_undone_and_a_fresh_library_finds_what_was_decided(
    filled: Store, calls: EraCalls
) -> None:
    made = sizes((await split(calls)).after)
    first = await calls.make(1, EraQuestion(change=RenameEra(era="2003", name="School"), reason="why not"), BY)
    second = await calls.make(1, EraQuestion(change=MergeEras(eras=("1995",), into="School")), BY)
    assert (first.decision, second.decision) == (2, 3)
    filled.write_now(moderation.decide, [UndoDecision(decision=3)], BY, NOW)
    wanted = {name.replace("2003", "School"): faces for name, faces in made.items()}
    assert await sync(filled) == wanted
    before = filled.read_now(stored_eras)[1].eras

    def forget_eras(tx: Connection) -> None:
        tx.execute(delete(eras))
        tx.execute(delete(era_looks))

    filled.write_now(forget_eras)
    assert await sync(filled) == wanted
    assert filled.read_now(stored_eras)[1].eras == before
    filled.write_now(moderation.decide, [RedoDecision(decision=3)], BY, NOW)
    assert await sync(filled) == sizes(second.after)


async def test_one_identity_is_read_as_among_all(filled: Store, calls: EraCalls) -> None:
    await split(calls)
    every, one = [await IdentityEras.read(filled, Settings(), number) for number in (None, 1)]
    assert one.eras.stored == every.eras.stored
    assert one.facts.members == every.facts.members
    assert one.facts.places == {
        sha256: places for sha256, places in every.facts.places.items() if sha256 in one.facts.places
    }
    assert one.facts.places.keys() >= {member.face.sha256 for member in one.facts.members[1]}
    assert (await IdentityEras.read(filled, Settings(), 2)).eras.stored == {}


async def test_nobody_has_no_eras(calls: EraCalls) -> None:
    for call in (calls.probe(99), calls.plan(99, SplitEras())):
        with pytest.raises(RequestError) as error:
            await call
        assert error.value.status == 404
