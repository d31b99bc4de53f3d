"""The status of a sync that runs in another process."""

from datetime import timedelta

from builders import NOON, asset

from immich_facesets.listing import ListingRules, plan_page
from service.reports.status import FacesToRead, faces_to_read
from service.store import assets, face_readings, runs, sources
from service.store.database import Store

RULES = ListingRules()


def listed(store: Store, number: int) -> int:
    """A running sync that has listed so many pictures, whose faces it has yet to read; return its id."""
    store.write_now(sources.remember_source, "anna", "immich", "user-1")
    run_id = store.write_now(runs.begin_run, "full", ["anna"], NOON)
    found = [asset(f"a{one:03}", hints=None) for one in range(number)]
    store.write_now(assets.remember_page, plan_page(found, {}, NOON, RULES), run_id=run_id)
    return run_id


async def test_the_time_left_follows_the_readings_of_the_last_minute(store: Store) -> None:
    listed(store, 200)
    assert await faces_to_read(store, NOON) == FacesToRead(pictures=200, seconds_left=None)
    for number in range(50):  # the first 20 take 3 s each, the others 1 s
        at = NOON + timedelta(seconds=3 * min(number, 20) + max(0, number - 20))
        store.write_now(face_readings.record_look, asset(f"a{number:03}"), (), now=at, rules=RULES)
    now = NOON + timedelta(seconds=89)
    lately = 40  # those later than second 29
    assert await faces_to_read(store, now) == FacesToRead(pictures=150, seconds_left=150 * 60 / lately)


async def test_an_export_reads_no_faces(store: Store) -> None:
    listed(store, 200)
    store.write_now(runs.begin_run, "export", ["anna"], NOON)
    assert await faces_to_read(store, NOON) is None


async def test_what_one_answer_settled_is_no_measure_of_the_readings(store: Store) -> None:
    listed(store, 200)
    settled = [f"a{number:03}" for number in range(150)]
    store.write_now(face_readings.record_no_faces, "anna", settled, now=NOON + timedelta(seconds=1), rules=RULES)
    now = NOON + timedelta(seconds=2)
    assert await faces_to_read(store, now) == FacesToRead(pictures=50, seconds_left=None)


async def test_nothing_is_left_to_a_sync_that_has_ended(store: Store) -> None:
    run_id = listed(store, 3)
    store.write_now(runs.end_run, run_id, outcome="stopped", message="", counts={}, now=NOON)
    assert await faces_to_read(store, NOON) is None
