"""The discover pass alone: new assets, known faces, and deleted assets."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from passes_scene import START, Clock, Stage, staged

from immich_facesets.errors import SetupError
from service.demo.immich import FakeAsset
from service.passes.discover import OVERLAP
from service.passes.fan_out import QUESTIONS_AT_ONCE
from service.progress import StageProgress
from service.store import runs
from service.store.sources import finish_listing
from service.store.tables import assets, failures, hints, people, sources

VERSIONS = ("2.7.5", "3.1.0", "3.3.5")

YESTERDAY: dict[str, Any] = {"created_at": START - timedelta(days=1), "updated_at": START - timedelta(days=1)}
"""A young picture that a listing of changes leaves out, once a newer one is known."""


def wanted(stage: Stage) -> set[str]:
    return {row.file_name for row in stage.rows(assets) if row.is_wanted}


def living(stage: Stage) -> set[str]:
    return {row.file_name for row in stage.rows(assets) if not row.is_gone}


def updated_after(stage: Stage) -> set[str | None]:
    """The start times of the searches since the log was cleared; None is a search without one."""
    found: set[str | None] = set()
    for body in stage.immich.requests.bodies():
        assert isinstance(body, dict)
        condition = body.get("filter", {}).get("updatedAt", {})
        found.add(body.get("updatedAfter") or condition.get("gte"))
    return found


def faces_updated_after(stage: Stage) -> set[str | None]:
    """The start times of the questions for pictures with faces; None is a question about all of them."""
    filters = [body["filter"] for body in stage.immich.requests.bodies() if isinstance(body, dict)]
    return {one.get("updatedAt", {}).get("gte") for one in filters if "hasPeople" in one}


def looks(stage: Stage, asset: FakeAsset) -> int:
    """How often the faces of an asset were asked for since the log was cleared."""
    return stage.immich.requests.assets("faces").count(asset.asset_id)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_first_run_knows_every_picture_and_which_are_worth_fetching(version: str, tmp_path: Path) -> None:
    async with staged(tmp_path, version, page_limit=4) as stage:
        for number in range(10):
            stage.add(f"{number}.jpg", face=number % 2 == 0)
        small = stage.add("small.jpg", face=False)
        stage.add_face(small, side=80)
        counts = await stage.discover()
        assert (counts.listed, counts.new, counts.changed, counts.gone, counts.failed) == (11, 11, 0, 0, 0)
        assert wanted(stage) == {"0.jpg", "2.jpg", "4.jpg", "6.jpg", "8.jpg"}
        assert len(stage.rows(hints)) == 6
        (source,) = stage.rows(sources)
        assert (source.full_listing_at, source.watermark) == (START, START)


@pytest.mark.parametrize("version", VERSIONS)
async def test_later_runs_ask_for_changes_and_reach_back_a_little(version: str, tmp_path: Path) -> None:
    async with staged(tmp_path, version) as stage:
        stage.add("old.jpg", face=False, created_at=START - timedelta(days=99))
        await stage.discover()
        stage.clock.move(hours=1)
        stage.add("new.jpg")
        stage.add("late.jpg", updated_at=START - timedelta(minutes=5))  # a commit that took long
        stage.immich.requests.clear()
        counts = await stage.discover()
        assert {instant(text) for text in updated_after(stage)} == {START - OVERLAP}
        assert counts.new == 2
        assert wanted(stage) == {"new.jpg", "late.jpg"}
        (source,) = stage.rows(sources)
        assert (source.full_listing_at, source.watermark) == (START, START + timedelta(hours=1))


async def test_after_a_clock_was_set_back_everything_is_listed(tmp_path: Path) -> None:
    async with staged(tmp_path, "3.1.0") as stage:
        stage.add("old.jpg")
        await stage.discover()
        stage.clock.move(days=-1)
        counts = await stage.discover()
        assert counts.listed == 1
        (source,) = stage.rows(sources)
        assert source.full_listing_at == START - timedelta(days=1)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_change_dated_in_the_future_does_not_blind_later_listings(version: str, tmp_path: Path) -> None:
    async with staged(tmp_path, version) as stage:
        stage.add("future.jpg", updated_at=START + timedelta(days=900))
        await stage.discover()
        assert stage.rows(sources)[0].watermark == START
        stage.clock.move(hours=1)
        stage.add("new.jpg")
        stage.immich.requests.clear()
        assert (await stage.discover()).new == 1
        assert {instant(text) for text in updated_after(stage)} == {START - OVERLAP}


async def test_the_watermark_follows_the_servers_clock_and_not_our_own(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.add("future.jpg", updated_at=START + timedelta(days=900))
        slow = Clock(START - timedelta(days=2))
        stage.immich.library.clock = slow
        await stage.discover()
        assert stage.rows(sources)[0].watermark == slow.now


async def test_a_watermark_in_the_future_is_mended_by_a_whole_listing(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.add()
        await stage.discover()
        future = START + timedelta(days=900)
        stage.store.write_now(finish_listing, "anna", watermark=future, full_at=None)
        stage.clock.move(hours=1)
        stage.add("new.jpg", updated_at=START)
        stage.immich.requests.clear()
        assert (await stage.discover()).new == 1
        assert None in updated_after(stage)
        assert stage.rows(sources)[0].watermark == START


def instant(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text).astimezone(UTC)


async def test_a_day_later_everything_is_listed_again(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.add()
        await stage.discover()
        stage.clock.move(hours=23)
        stage.immich.requests.clear()
        await stage.discover()
        assert None not in updated_after(stage)
        stage.clock.move(hours=1)
        stage.immich.requests.clear()
        await stage.discover()
        assert updated_after(stage) == {None}


async def test_a_person_can_ask_for_a_whole_listing_at_any_time(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.add()
        await stage.discover()
        stage.immich.requests.clear()
        await stage.discover(whole=True)
        assert updated_after(stage) == {None}


async def test_a_young_picture_is_looked_at_again_after_growing_pauses(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        young = stage.add("young.jpg", face=False)
        await stage.discover()
        minutes = []
        for _ in range(8):
            due = stage.row(assets, young).hints_due_at
            minutes.append((due - stage.clock.now) / timedelta(minutes=1))
            for moment, expected in ((due - timedelta(seconds=1), 0), (due, 1)):
                stage.clock.now = moment
                stage.immich.requests.clear()
                await stage.discover()
                assert looks(stage, young) == expected
        assert minutes[:7] == [5, 30, 120, 720, 2880, 7200, 14400]
        assert 15 * 1440 <= minutes[7] <= 45 * 1440, "from then on about once a month"


async def test_a_face_found_by_a_later_look_makes_the_picture_wanted(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        asset = stage.add("a.jpg", face=False)
        await stage.discover()
        assert wanted(stage) == set()
        stage.add_face(asset)
        stage.clock.move(minutes=4)
        await stage.discover()
        assert wanted(stage) == set()
        stage.clock.move(minutes=1)
        await stage.discover()
        assert wanted(stage) == {"a.jpg"}


async def test_a_changed_picture_is_looked_at_again_at_once(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        asset = stage.add("a.jpg", created_at=START - timedelta(days=99), updated_at=START - timedelta(days=99))
        await stage.discover()
        stage.clock.move(hours=1)
        stage.immich.touch(asset)
        asset.faces.clear()
        counts = await stage.discover()
        assert (counts.new, counts.changed, counts.looked) == (0, 1, 1)
        assert wanted(stage) == set()
        assert stage.rows(hints) == []


async def test_where_faces_come_along_many_due_looks_become_one_whole_listing(tmp_path: Path) -> None:
    async with staged(tmp_path, "2.7.5") as stage:
        several = [stage.add(f"{number}.jpg") for number in range(5)]
        await stage.discover()
        stage.clock.move(minutes=6)
        several[3].faces.clear()
        stage.immich.requests.clear()
        await stage.discover()
        assert stage.immich.requests.count("faces") == 0
        assert updated_after(stage) == {None}
        assert wanted(stage) == {"0.jpg", "1.jpg", "2.jpg", "4.jpg"}


async def test_where_faces_come_along_one_due_look_is_one_question(tmp_path: Path) -> None:
    async with staged(tmp_path, "2.7.5") as stage:
        for number in range(5):
            stage.add(f"{number}.jpg", created_at=START - timedelta(days=99), updated_at=START - timedelta(days=99))
        young = stage.add("young.jpg", updated_at=START - timedelta(days=99))
        stage.add("last.jpg", face=False, created_at=START - timedelta(days=99))
        await stage.discover()
        stage.clock.move(minutes=6)
        stage.immich.requests.clear()
        await stage.discover()
        assert stage.immich.requests.assets("faces") == [young.asset_id]
        assert None not in updated_after(stage)


@pytest.mark.parametrize("kind", ["listing", "faces"])
async def test_an_asset_touched_between_listing_and_the_question_for_faces_keeps_its_faces(
    kind: str, tmp_path: Path
) -> None:
    async with staged(tmp_path, "3.3.5") as stage:
        old: dict[str, Any] = {"created_at": START - timedelta(days=99), "updated_at": START - timedelta(days=99)}
        moved, still = stage.add("moved.jpg", **old), stage.add("still.jpg", **old)
        stage.add("new.jpg", face=False)
        await stage.discover()

        def touch(_query: str, body: object) -> bool:
            """Its faces are there all the time."""
            assert isinstance(body, dict)
            if ("hasPeople" in body["filter"]) == (kind == "faces"):
                moved.taken_at += timedelta(days=30)
                stage.immich.touch(moved)
            return False

        stage.immich.faults.add("search", "status", status=500, when=touch)
        for _ in range(3):
            stage.clock.move(hours=1)
            await stage.discover()
            assert {row.asset_id for row in stage.rows(hints)} == {moved.asset_id, still.asset_id}
            assert wanted(stage) == {"moved.jpg", "still.jpg"}


async def test_faces_found_after_the_first_look_are_read_after_the_next_whole_listing(tmp_path: Path) -> None:
    async with staged(tmp_path, "3.3.5") as stage:
        old: dict[str, Any] = {"created_at": START - timedelta(days=99), "updated_at": START - timedelta(days=99)}
        asset = stage.add("late.jpg", face=False, **old)
        stage.add("empty.jpg", face=False, **old)
        await stage.discover()
        stage.add_face(asset)
        stage.clock.move(hours=25)
        stage.immich.requests.clear()
        assert (await stage.discover()).looked == 1
        assert stage.immich.requests.assets("faces") == [asset.asset_id]
        assert wanted(stage) == {"late.jpg"}


async def test_only_pictures_with_faces_cost_a_request_each(tmp_path: Path) -> None:
    async with staged(tmp_path, "3.3.5") as stage:
        several = [stage.add(f"{number}.jpg", face=number % 10 == 0, **YESTERDAY) for number in range(200)]
        with_faces = {asset.asset_id for asset in several if asset.faces}
        stage.add_face(several[10], person_id="p1")  # a person, and an unassigned face beside it
        await stage.discover()
        assert sorted(stage.immich.requests.assets("faces")) == sorted(with_faces)
        assert stage.immich.requests.count("search") <= 4, (
            "a page of pictures, of lost files, of those with faces, of videos"
        )
        assert stage.immich.requests.count() <= 20 + 3 + 5, "and a few about the server, the key and the people"
        assert {row.asset_id for row in stage.rows(hints)} == with_faces


async def test_later_looks_at_many_young_pictures_without_faces_are_one_question(tmp_path: Path) -> None:
    async with staged(tmp_path, "3.3.5") as stage:
        several = [stage.add(f"{number}.jpg", face=number % 10 == 0, **YESTERDAY) for number in range(200)]
        known = [asset.asset_id for asset in several if asset.faces]
        await stage.discover()
        stage.add("newest.jpg", face=False)
        await stage.discover()
        stage.add_face(several[1])
        stage.clock.move(minutes=6)
        stage.immich.requests.clear()
        await stage.discover()
        assert None not in updated_after(stage) - faces_updated_after(stage), "the listing is that of changes"
        assert sorted(stage.immich.requests.assets("faces")) == sorted([*known, several[1].asset_id])
        assert "1.jpg" in wanted(stage)
        (due,) = {
            row.hints_due_at - stage.clock.now for row in stage.rows(assets) if row.file_name in {"2.jpg", "1.jpg"}
        }
        assert due == timedelta(minutes=30)


async def test_a_look_at_one_picture_without_faces_is_no_question_for_all(tmp_path: Path) -> None:
    async with staged(tmp_path, "3.3.5") as stage:
        old: dict[str, Any] = {"created_at": START - timedelta(days=99), "updated_at": START - timedelta(days=99)}
        for number in range(5):
            stage.add(f"{number}.jpg", **old)
        young = stage.add("young.jpg", face=False, **YESTERDAY)
        await stage.discover()
        stage.add("newest.jpg", face=False)
        await stage.discover()
        stage.clock.move(minutes=6)
        stage.immich.requests.clear()
        await stage.discover()
        assert looks(stage, young) == 1
        assert None not in faces_updated_after(stage)


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_a_reading_that_is_stopped_has_read_the_newest_pictures(version: str, tmp_path: Path) -> None:
    async with staged(tmp_path, version) as stage:
        several = [
            stage.add(f"{number}.jpg", taken_at=START - timedelta(days=400 + number * 37 % 60)) for number in range(60)
        ]
        several.sort(key=lambda asset: asset.taken_at, reverse=True)

        def stop_after_some(_query: str, _body: object) -> bool:
            if stage.immich.requests.count("faces") >= 5:
                stage.conditions.stop.set()
            return False

        stage.immich.faults.add("faces", "status", status=500, when=stop_after_some)
        await stage.discover()
        read = set(stage.immich.requests.assets("faces"))
        assert 5 <= len(read) <= 5 + QUESTIONS_AT_ONCE
        assert read == {asset.asset_id for asset in several[: len(read)]}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
async def test_all_faces_are_read_again_when_a_user_asks_for_it(version: str, whole: bool, tmp_path: Path) -> None:
    async with staged(tmp_path, version) as stage:
        old: dict[str, Any] = {"created_at": START - timedelta(days=99), "updated_at": START - timedelta(days=99)}
        several = [stage.add(f"{number}.jpg", face=number != 2, **old) for number in range(4)]
        stage.add("new.jpg", face=False)
        await stage.discover()
        stage.clock.move(hours=1)
        stage.add_face(several[2])
        several[3].faces.clear()
        await stage.discover()
        assert wanted(stage) == {"0.jpg", "1.jpg", "3.jpg"}, "no change of faces moves a date"
        stage.immich.requests.clear()
        await stage.discover(whole=whole, faces=True)
        assert wanted(stage) == {"0.jpg", "1.jpg", "2.jpg"}
        assert stage.immich.requests.count("faces") == {"2.7.5": 0, "3.1.0": 5, "3.3.5": 4}[version]
        assert [row.faces_asked_at for row in stage.rows(sources)] == [None]


async def test_an_interrupted_reading_of_all_faces_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        old: dict[str, Any] = {"created_at": START - timedelta(days=99), "updated_at": START - timedelta(days=99)}
        several = [stage.add(f"{number}.jpg", **old) for number in range(60)]
        await stage.discover()
        stage.clock.move(hours=1)
        stage.immich.requests.clear()

        def stop_after_some(_query: str, _body: object) -> bool:
            if stage.immich.requests.count("faces") >= 20:
                stage.conditions.stop.set()
            return False

        stage.immich.faults.add("faces", "status", status=500, when=stop_after_some)
        await stage.discover(faces=True)
        first = stage.immich.requests.assets("faces")
        assert 20 <= len(first) < 60
        assert stage.rows(sources)[0].faces_asked_at == stage.clock()
        stage.conditions.stop.clear()
        stage.immich.faults.clear()
        stage.clock.move(minutes=1)
        stage.immich.requests.clear()
        await stage.discover(faces=True)
        second = stage.immich.requests.assets("faces")
        assert sorted([*first, *second]) == sorted(asset.asset_id for asset in several), "each once"
        assert stage.rows(sources)[0].faces_asked_at is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_missing_from_a_listing_is_gone_only_when_asking_for_it_says_so(
    version: str, tmp_path: Path
) -> None:
    async with staged(tmp_path, version) as stage:
        deleted, trashed, film = (stage.add(f"{name}.jpg") for name in ("deleted", "trashed", "film"))
        stage.add("stays.jpg")
        await stage.discover()
        stage.immich.delete_asset(deleted)
        stage.immich.trash_asset(trashed)
        film.type = "VIDEO"  # missing from the listing, but not deleted
        stage.immich.library.revision += 1
        counts = await stage.discover()
        assert counts.gone == 0, "a listing of changes does not prove a deletion"
        stage.immich.requests.clear()
        counts = await stage.discover(whole=True)
        assert counts.gone == 2
        assert set(stage.immich.requests.assets("asset")) == {deleted.asset_id, trashed.asset_id, film.asset_id}
        assert living(stage) == {"stays.jpg", "film.jpg"}
        assert {row.asset_id for row in stage.rows(hints)}.isdisjoint({deleted.asset_id, trashed.asset_id})


async def test_what_cannot_be_confirmed_stays_until_it_can_and_ends_nothing(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        deleted = [stage.add(f"{number}.jpg") for number in range(3)]
        stage.add("stays.jpg")
        await stage.discover()
        for asset in deleted:
            stage.immich.delete_asset(asset)
        stage.immich.faults.add("asset", "status", status=500, asset_id=deleted[1].asset_id)
        counts = await stage.discover(whole=True)
        assert (counts.gone, counts.failed) == (2, 1)
        assert living(stage) == {"stays.jpg", "1.jpg"}
        stage.immich.faults.clear()
        counts = await stage.discover(whole=True)
        assert (counts.gone, counts.failed) == (1, 0)
        assert living(stage) == {"stays.jpg"}


def window_with(moment: datetime) -> Callable[[str, object], bool]:
    """Searches whose window contains this time."""

    def holds(_query: str, body: object) -> bool:
        assert isinstance(body, dict)
        first, last = body.get("takenAfter"), body.get("takenBefore")
        return (first is None or instant(first) <= moment) and (last is None or moment <= instant(last))

    return holds


async def test_while_a_part_cannot_be_listed_nothing_is_taken_for_deleted(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        deleted, spoilt = stage.add("deleted.jpg"), stage.add("spoilt.jpg")
        stage.add("stays.jpg")
        await stage.discover()
        stage.immich.delete_asset(deleted)
        stage.immich.faults.add("search", "status", status=500, when=window_with(spoilt.taken_at))
        stage.immich.requests.clear()
        counts = await stage.discover(whole=True)
        assert counts.bad_spots >= 1
        assert counts.gone == 0
        assert stage.immich.requests.count("asset") == 0
        assert living(stage) == {"deleted.jpg", "spoilt.jpg", "stays.jpg"}
        stage.immich.faults.clear()
        assert (await stage.discover(whole=True)).gone == 1
        assert living(stage) == {"spoilt.jpg", "stays.jpg"}


async def test_a_look_that_fails_rests_and_hinders_no_other(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        bad, good = stage.add("bad.jpg"), stage.add("good.jpg")
        stage.immich.faults.add("faces", "status", status=500, asset_id=bad.asset_id)
        counts = await stage.discover()
        assert (counts.looked, counts.failed) == (1, 1)
        assert wanted(stage) == {"good.jpg"}
        (failure,) = stage.rows(failures)
        assert (failure.stage, failure.source, failure.item) == ("discover", "anna", bad.asset_id)
        assert (failure.reason, failure.tries) == ("server_error", 1)
        assert failure.retry_at == START + timedelta(hours=1)

        stage.immich.requests.clear()
        stage.clock.move(minutes=59)
        await stage.discover()
        assert (looks(stage, bad), looks(stage, good)) == (0, 1)
        stage.immich.faults.clear()
        stage.clock.move(minutes=1)
        await stage.discover()
        assert wanted(stage) == {"bad.jpg", "good.jpg"}
        assert stage.rows(failures) == []


async def test_a_picture_deleted_between_listing_and_look_is_gone_at_once(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        asset, stays = stage.add("a.jpg"), stage.add("stays.jpg")
        await stage.discover()
        stage.clock.move(minutes=6)
        stage.immich.delete_asset(asset)
        counts = await stage.discover()
        assert (counts.gone, counts.failed) == (1, 0)
        assert living(stage) == {stays.file_name}
        assert stage.rows(failures) == []


async def test_a_look_and_its_confirmation_may_both_fail(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        bad = stage.add("bad.jpg")
        for route in ("faces", "asset"):
            stage.immich.faults.add(route, "status", status=500, asset_id=bad.asset_id)
        counts = await stage.discover()
        assert (counts.gone, counts.failed) == (0, 1)
        assert [row.item for row in stage.rows(failures)] == [bad.asset_id]


async def test_people_are_kept_as_the_source_has_them_now(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        person = stage.immich.add_person(owner="anna", name="Mira", birth_date="2001-02-03")
        hidden = stage.immich.add_person(owner="anna", name="", is_hidden=True)
        asset = stage.add(face=False)
        for one in (person, hidden):
            for _ in range(3):
                stage.add_face(asset, person_id=one.person_id)
        await stage.discover()
        found = {row.person_id: (row.name, str(row.birth_date), row.is_hidden) for row in stage.rows(people)}
        assert found == {person.person_id: ("Mira", "2001-02-03", False), hidden.person_id: ("", "None", True)}
        assert {row.person_id for row in stage.rows(hints)} == {person.person_id, hidden.person_id}

        person.name = "Mira B."
        del stage.immich.library.people["anna", hidden.person_id]
        stage.clock.move(hours=1)
        await stage.discover()
        rows = {row.person_id: (row.name, row.is_gone) for row in stage.rows(people)}
        assert rows == {person.person_id: ("Mira B.", False), hidden.person_id: ("", True)}


async def test_a_listing_that_was_stopped_is_begun_again(tmp_path: Path) -> None:
    async with staged(tmp_path, page_limit=3) as stage:
        for number in range(9):
            stage.add(f"{number}.jpg")
        stage.conditions.stop.set()
        await stage.discover()
        assert 0 < len(stage.rows(assets)) < 9
        (source,) = stage.rows(sources)
        assert (source.watermark, source.full_listing_at) == (None, None)
        stage.conditions.stop.clear()
        stage.immich.requests.clear()
        await stage.discover()
        assert len(wanted(stage)) == 9
        assert None in updated_after(stage)


async def test_what_immich_made_itself_is_skipped_and_counted(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.add("a.jpg")
        stage.add("b.jpg", original_path="/library/thumbs/ab/cd/1234-preview.jpeg", library_id=None)
        counts = await stage.discover()
        assert counts.skipped == {"rendition": 1}
        assert living(stage) == {"a.jpg"}


async def test_the_videos_of_the_last_whole_listing_are_remembered(tmp_path: Path) -> None:
    def known(stage: Stage) -> tuple[int, int]:
        (source,) = stage.conditions.store.read_now(runs.census).sources
        return source.videos, source.motion_photos

    async with staged(tmp_path) as stage:
        stage.add("a.jpg", live_photo_video_id="11111111-1111-4111-8111-111111111111")
        clip = stage.add("b.mp4", face=False, type="VIDEO", mime_type="video/mp4")
        await stage.discover(whole=True)
        assert known(stage) == (1, 1)
        stage.add("c.jpg")
        await stage.discover()
        assert known(stage) == (1, 1), "a listing of changes says nothing of the others"
        stage.immich.delete_asset(clip)
        await stage.discover(whole=True)
        assert known(stage) == (0, 1)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_key_of_another_account_touches_nothing_of_a_source(version: str, tmp_path: Path) -> None:
    async with staged(tmp_path, version, users=("anna", "ben")) as stage:
        stage.add("annas.jpg")
        stage.add("bens.jpg", owner="ben")
        stage.immich.add_person(owner="anna", name="Mira")
        await stage.discover("anna")
        before = [stage.rows(table) for table in (sources, assets, hints, people)]
        stage.sources["ben"]._name = "anna"  # as if the users file had swapped the keys
        stage.clock.move(hours=25)
        with pytest.raises(SetupError, match="belongs to another Immich account than the one 'anna' was made with"):
            await stage.discover("ben", whole=True)
        assert [stage.rows(table) for table in (sources, assets, hints, people)] == before


async def test_a_second_source_of_one_account_is_refused(tmp_path: Path) -> None:
    async with staged(tmp_path, users=("anna", "ben")) as stage:
        stage.add("annas.jpg")
        await stage.discover("anna")
        stage.sources["anna"]._name = "again"
        with pytest.raises(SetupError, match="users 'anna' and 'again' belong to one Immich account"):
            await stage.discover("anna")
        assert [row.name for row in stage.rows(sources)] == ["anna"]


async def test_a_missing_permission_ends_the_run_before_anything_is_written(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.add()
        (key,) = stage.immich.library.keys.values()
        stage.immich.library.keys[key.secret] = type(key)(
            key.secret, key.user, key.permissions - {"face.read"}, key.key_id, key.created_at
        )
        with pytest.raises(SetupError, match=r"lacks the permission face\.read"):
            await stage.discover()
        assert stage.rows(sources) == []
        assert [run.outcome for run in stage.store.read_now(runs.last_runs)] == [None]


async def test_progress_counts_pictures_and_then_faces(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        for number in range(5):
            stage.add(f"{number}.jpg", face=number > 1)
        board, seen = stage.conditions.board, list[StageProgress]()

        async def watch() -> None:
            async for now in board.changes():
                seen.append(now.stages[0])

        watching = asyncio.create_task(watch())
        await stage.discover()
        await asyncio.sleep(0)
        watching.cancel()
        assert ("listing", 5, None) in [(one.note, one.done, one.total) for one in seen]
        assert (seen[-1].note, seen[-1].done, seen[-1].total) == ("reading faces", 5, 5)


async def test_progress_tells_how_long_reading_the_faces_still_takes(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        for number in range(60):
            stage.add(f"{number}.jpg", face=number % 2 == 0)
        seen: list[StageProgress] = []

        def pass_time(_query: str, _body: object) -> bool:
            stage.clock.move(seconds=2)
            seen.append(stage.conditions.board.stage("discover"))
            return False

        stage.immich.faults.add("faces", "status", status=500, when=pass_time)
        await stage.discover()
        early, late = ([one for one in seen if (one.done >= 20) == is_late] for is_late in (False, True))
        assert {one.seconds_left for one in early} == {None}, "too few to tell"
        assert late
        for one in late:
            assert one.seconds_left is not None
            begun = one.done + QUESTIONS_AT_ONCE
            assert 2 <= one.seconds_left / (60 - one.done) <= 2 * begun / one.done
        assert stage.conditions.board.stage("discover").seconds_left is None


async def test_what_rests_after_a_failure_is_not_among_the_faces_to_read(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        bad = stage.add("bad.jpg")
        stage.add("good.jpg")
        stage.immich.faults.add("faces", "status", status=500, asset_id=bad.asset_id)
        await stage.discover()
        stage.clock.move(minutes=6)
        await stage.discover()
        now = stage.conditions.board.stage("discover")
        assert (now.note, now.done, now.total) == ("reading faces", 1, 1)


async def test_each_source_is_counted_from_its_beginning(tmp_path: Path) -> None:
    async with staged(tmp_path, "2.7.5", users=("anna", "ben")) as stage:
        for number in range(3):
            stage.add(f"{number}.jpg")
        await stage.discover()
        await stage.discover("ben")
        now = stage.conditions.board.stage("discover")
        assert (now.note, now.done, now.total) == ("listing", 0, None)


async def test_a_date_that_may_be_the_files_is_looked_up_once(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        taken = START - timedelta(days=400)
        dated: dict[str, Any] = {"taken_at": taken, "modified_at": taken, "created_at": START}
        phone = stage.add("phone.jpg", exif={"make": "Phone"}, **dated)
        scan = stage.add("scan.jpg", **dated)
        stage.add("clear.jpg", taken_at=taken, created_at=START)
        await stage.discover()
        asked = stage.immich.requests.assets("asset")
        assert sorted(asked) == sorted([phone.asset_id, scan.asset_id])
        assert (stage.row(assets, phone).date_kind, stage.row(assets, scan).date_kind) == ("camera", "file")
        await stage.discover(whole=True)
        assert stage.immich.requests.assets("asset") == asked, "nothing has changed"
        assert stage.row(assets, phone).date_kind == "camera"
        stage.clock.move(days=1)
        phone.exif, phone.updated_at = {}, stage.clock()
        stage.immich.touch(phone)
        await stage.discover()
        assert stage.row(assets, phone).date_kind == "file"


async def test_a_date_that_could_not_be_looked_up_is_asked_for_again(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        taken = START - timedelta(days=400)
        phone = stage.add("phone.jpg", exif={"make": "Phone"}, taken_at=taken, modified_at=taken, created_at=START)
        stage.immich.faults.add("asset", "status", status=500, asset_id=phone.asset_id)
        await stage.discover()
        assert stage.row(assets, phone).date_kind == "open"
        stage.immich.faults.clear()
        await stage.discover(whole=True)
        assert stage.row(assets, phone).date_kind == "camera"
